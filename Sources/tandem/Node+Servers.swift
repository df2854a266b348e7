// SPDX-License-Identifier: Apache-2.0
//
// Backends at run time: the commands that change them.

internal import AdminService
internal import BalancerCore
internal import ConfigurationCore
internal import HealthService
internal import Telemetry
internal import WireCore

extension Node {
    /// Registers the commands that change backends.
    func registerServerCommands() {
        registry.addAction(
            "set server",
            help: "POOL/NAME state|weight|addr|health VALUE: change a backend;"
                + " health down and stopping hold until health up"
        ) { [unowned self] words in
            change { () throws(ServerCommandError) in try ServerCommand.parse(words) }
        }
        registry.addAction("enable server", help: "POOL/NAME: as state ready") {
            [unowned self] words in setState(.ready, words)
        }
        registry.addAction("disable server", help: "POOL/NAME: as state maint") {
            [unowned self] words in setState(.maintenance, words)
        }
        registry.addAction("set weight", help: "POOL/NAME N[%]: change a weight") {
            [unowned self] words in
            change { () throws(ServerCommandError) in
                let name = try ServerCommand.name(words.first ?? "")
                return (name, try ServerCommand.weight(words.count == 2 ? words[1] : ""))
            }
        }
        registry.addAction("get weight", help: "POOL/NAME: the weight in force") {
            [unowned self] words in weightText(words)
        }
    }

    private func setState(_ state: ServerChange.State, _ words: [String]) -> AdminReply {
        change { () throws(ServerCommandError) in
            (try ServerCommand.name(words.first ?? ""), .state(state))
        }
    }

    private func weightText(_ words: [String]) -> AdminReply {
        do throws(ServerCommandError) {
            let name = try ServerCommand.name(words.first ?? "")
            let backend = try find(name)
            let weight = roster.overrides[BackendRoster.Name(name)].weight ?? backend.weight
            return AdminReply("\(weight) (initial \(backend.weight))\n")
        } catch {
            return AdminReply(error.text + "\n", isFailure: true)
        }
    }

    /// Reads and performs a change; there is nothing to say when it worked, as in HAProxy.
    private func change(
        _ read: () throws(ServerCommandError) -> (name: ServerName, change: ServerChange)
    ) -> AdminReply {
        do throws(ServerCommandError) {
            let (name, change) = try read()
            let backend = try find(name)
            return AdminReply(try perform(change, on: name, backend))
        } catch {
            return AdminReply(error.text + "\n", isFailure: true)
        }
    }

    /// The backend as the file says.
    private func find(_ name: ServerName) throws(ServerCommandError) -> BackendConfiguration {
        if let backend = roster[BackendRoster.Name(name)] { return backend }
        guard let pool = roster.pools.first(where: { $0.name == name.pool }) else {
            throw ServerCommandError.unknown(
                "No such backend.", name.pool, among: roster.pools.map(\.name))
        }
        throw ServerCommandError.unknown(
            "No such server.", name.backend, among: pool.backends.map(\.name))
    }

    private func perform(
        _ change: ServerChange, on server: ServerName, _ backend: BackendConfiguration
    ) throws(ServerCommandError) -> String {
        let name = BackendRoster.Name(server)
        var override = roster.overrides[name]
        var answer = ""
        switch change {
        case .state(let state): override.state = RuntimeOverride.State(state)
        case .weight(let weight): override.weight = weight == backend.weight ? nil : weight
        case .weightPercent(let percent):
            let weight = min(backend.weight * percent / 100, ServerCommand.weightMax)
            override.weight = weight == backend.weight ? nil : weight
        case .health(.stopping): override.health = .stopping
        case .health(.up): override.health = nil
        case .health(.down): override.health = .down
        case .address(let address, let port):
            answer = changeText(from: override.address ?? backend.address, to: address, port)
            let current = override.address?.port ?? backend.address?.port ?? 0
            let endpoint = Endpoint(address: address, port: port ?? current)
            override.address = endpoint == backend.address ? nil : endpoint
        }
        let previous = roster
        guard roster.set(override, for: name) else {
            throw ServerCommandError(
                "Too many servers are changed by commands: put lasting changes into the file.")
        }
        if previous.overrides[name].address != override.address {
            guard putBackendsInForce() else {
                roster = previous
                throw ServerCommandError("The address cannot be used: see the log.")
            }
        }
        govern(name, override)
        tellPeer(name, override)
        if change == .health(.up) {
            _ = health?.setForcedHealth(pool: name.pool, backend: name.backend, .up)
        }
        logger.info(
            "[pool \(name.pool)] backend \(name.backend) changed by command",
            ["command": "\(change)", "now": override.isEmpty ? "as configured" : "\(override)"])
        return answer
    }

    /// HAProxy's words for a change of address.
    private func changeText(from old: Endpoint?, to address: IPAddress, _ port: UInt16?) -> String {
        let oldAddress = old.map { "\($0.address)" } ?? ""
        let oldPort = old?.port ?? 0
        let addressText =
            oldAddress == "\(address)"
            ? "no need to change the addr" : "IP changed from '\(oldAddress)' to '\(address)'"
        let portText =
            port == nil || port == oldPort
            ? "no need to change the port" : "port changed from '\(oldPort)' to '\(port ?? 0)'"
        return "\(addressText), \(portText) by 'stats socket command'\n"
    }

    /// Tells the checks what commands changed about a backend.
    func govern(_ name: BackendRoster.Name, _ override: RuntimeOverride) {
        guard let health else { return }
        let state: AdminState =
            switch override.state {
            case .ready: .ready
            case .drain: .drain
            case .maintenance: .maintenance
            }
        let forced: ForcedHealth? =
            switch override.health {
            case nil: nil
            case .stopping: .stopping
            case .down: .down
            }
        _ = health.setAdminState(pool: name.pool, backend: name.backend, state)
        _ = health.setWeight(pool: name.pool, backend: name.backend, override.weight)
        _ = health.holdHealth(pool: name.pool, backend: name.backend, forced)
    }
}

extension ServerCommandError {
    /// HAProxy's sentence, and the nearest name there is.
    fileprivate static func unknown(
        _ sentence: String, _ word: String, among names: [String]
    ) -> ServerCommandError {
        let nearest = Suggestion.nearest(to: word, in: names)
        return ServerCommandError(sentence + (nearest.map { " Did you mean \"\($0)\"?" } ?? ""))
    }
}

extension BackendRoster.Name {
    init(_ name: ServerName) {
        self.init(pool: name.pool, backend: name.backend)
    }
}

extension RuntimeOverride.State {
    fileprivate init(_ state: ServerChange.State) {
        switch state {
        case .ready: self = .ready
        case .drain: self = .drain
        case .maintenance: self = .maintenance
        }
    }
}
