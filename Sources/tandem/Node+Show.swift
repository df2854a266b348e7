// SPDX-License-Identifier: Apache-2.0
//
// The smaller answers of the runtime socket: who this is, the states of backends, who is connected.

internal import AdminService
internal import BalancerCore
internal import ConfigurationCore
internal import ConfigurationService
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import Telemetry
internal import WireCore

extension Node {
    /// Registers the commands that show something.
    func registerShowCommands() {
        registry.add("show info", help: "[json]: name, version, uptime, process, totals") {
            [unowned self] words in
            words.first == "json"
                ? JSONValue.object(information()).rendered() : informationText()
        }
        registry.add("show servers state", help: "[POOL]: states in HAProxy's file format") {
            [unowned self] words in ServerStateTable.text(serverStateRows(of: words.first))
        }
        registry.add("show sess", help: "who is connected") { [unowned self] _ in sessionText() }
        registry.add("show table", help: "[POOL]: which cookies are remembered for which backend") {
            [unowned self] words in words.first.map(tableText) ?? tablesText()
        }
    }

    // MARK: show info

    /// HAProxy's names for what is alike.
    private func information() -> [(String, JSONValue)] {
        let uptime = Clock.now() - startedAt
        let statistics = dataPlane?.statistics()
        let listeners = statistics?.listeners ?? []
        return [
            ("Name", .string("tandem")),
            ("Version", .string(Tandem.version)),
            ("Nbthread", .integer(Int64(dataPlane?.workerCount ?? 0))),
            ("Process_num", .integer(1)),
            ("Pid", .integer(Int64(ProcessLimits.processID))),
            ("Uptime_sec", .unsigned(uptime.milliseconds / 1_000)),
            ("CurrConns", .integer(Int64(statistics?.openConnections ?? 0))),
            ("CumConns", .unsigned(listeners.reduce(0) { $0 &+ $1.connectionsAccepted })),
            ("CumReq", .unsigned(listeners.reduce(0) { $0 &+ $1.requests })),
            ("Listeners", .integer(Int64(listeners.count))),
            ("Stopping", .integer(isLeaving ? 1 : 0)),
            ("node", .string(name)),
            ("role", .string(role)),
            ("configuration", .string(loaded.hash.description)),
        ]
    }

    private func informationText() -> String {
        information().map { name, value in
            if case .string(let text) = value { return "\(name): \(text)\n" }
            return "\(name): \(value.rendered())\n"
        }
        .joined()
    }

    // MARK: show servers state

    private func serverStateRows(of wanted: String?) -> [ServerStateRow] {
        guard let statistics = dataPlane?.statistics() else { return [] }
        let backends = backendRows(statistics)
        var rows: [ServerStateRow] = []
        for (index, pool) in roster.pools.enumerated() {
            guard wanted == nil || wanted == pool.name else { continue }
            let own = backends.filter { $0.pool == pool.name }
            for (place, backend) in own.enumerated() {
                rows.append(
                    serverStateRow(
                        backend, pool, poolNumber: statistics.listeners.count + index + 1,
                        number: place + 1))
            }
        }
        return rows
    }

    private func serverStateRow(
        _ backend: BackendRow, _ pool: PoolConfiguration, poolNumber: Int, number: Int
    ) -> ServerStateRow {
        let name = BackendRoster.Name(pool: pool.name, backend: backend.name)
        let written = roster[name]
        let state = roster.overrides[name].state
        let isChecked = backend.health.isChecked
        let isPassing = backend.health.verdict == .up
        let host = backend.name.contains("@") ? backend.name : nil
        return ServerStateRow(
            poolNumber: poolNumber, pool: pool.name, number: number, name: backend.name,
            address: "\(backend.health.address.address)", port: backend.health.address.port,
            operationalState: backend.operationalState,
            administrativeState: state == .maintenance ? 1 : state == .drain ? 8 : 0,
            weight: Int(backend.standing.weight), initialWeight: written?.weight ?? 1,
            secondsSinceChange: secondsSinceChange(backend),
            checkResult: isChecked ? (isPassing ? 3 : 2) : 0,
            checkHealth: min(backend.health.consecutivePasses, 100),
            checkState: isChecked ? 6 : 0, hostName: host)
    }

    // MARK: show sess

    private func sessionText() -> String {
        guard let listed = dataPlane?.sessions() else { return "" }
        var text = ""
        for session in listed.sessions {
            text += "\(session.identifier): proto=tcp src=\(session.client) "
            text += "fe=\(session.listener) be=\(session.pool ?? "<NONE>") "
            text += "srv=\(session.backend ?? "<none>") st=\(session.activity.rawValue) "
            text += "age=\(session.age.milliseconds)ms calls=\(session.requestCount)\n"
        }
        if listed.omittedCount > 0 { text += "# \(listed.omittedCount) more are not shown\n" }
        return text
    }

    // MARK: show table

    /// Entries that one answer lists.
    private static let tableEntriesMax = 10_000

    /// One line for each sticky pool, in HAProxy's form.
    private func tablesText() -> String {
        roster.pools.compactMap { pool in
            guard let sticky = pool.sticky,
                let numbers = dataPlane?.stickyStatistics(pool: pool.name)
            else { return nil }
            return "# table: \(pool.name), type: \(sticky.mode.rawValue), "
                + "size:\(numbers.entriesMax), used:\(numbers.entryCount), kept:\(numbers.kept), "
                + "moved:\(numbers.moved), unknown:\(numbers.unknown), "
                + "assigned:\(numbers.assigned)\n"
        }
        .joined()
    }

    /// The entries of a pool that remembers cookies; their values are kept as hashes only.
    private func tableText(_ pool: String) -> String {
        guard let dataPlane, let numbers = dataPlane.stickyStatistics(pool: pool) else {
            return "No such table.\n"
        }
        var text = "# table: \(pool), size:\(numbers.entriesMax), used:\(numbers.entryCount)\n"
        let listed = dataPlane.stickyEntries(
            pool: pool, from: 0, limit: Self.tableEntriesMax, now: Clock.now())
        for entry in listed.entries {
            text += "\(String(entry.key, radix: 16)): server_name=\(entry.backend ?? "-") "
            text += "idle=\(entry.idleSeconds)s\n"
        }
        if listed.next != nil { text += "# more are not shown\n" }
        return text
    }
}
