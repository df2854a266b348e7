// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair.track`.

import WireCore

extension ConfigurationReader {
    /// The longest argument of a check script's command.
    static let argumentByteCountMax = 4_095

    /// Key `track`; `interface` is the pair's.
    mutating func tracking(in pair: Section, interface: String) -> TrackingConfiguration {
        guard let section = section("track", title: "pair.track", in: pair) else {
            return TrackingConfiguration()
        }
        let interfaces = trackedInterfaces(in: section)
        let gateway = trackedGateway(in: section, interface: interface)
        let backends = trackedBackends(in: section)
        let scripts = (named("scripts", in: section) ?? []).compactMap { trackedScript($0) }
        let policy: ConfigurationDifferencePolicy? = choice(
            in: section, "on_different_configuration")
        if policy == .hold {
            facts.tracking.hold = section.fields["on_different_configuration"]?.value.range
        }
        return TrackingConfiguration(
            interfaces: interfaces, gateway: gateway, backends: backends, scripts: scripts,
            workerStall: durationOrDefault("worker_stall", in: section),
            onDifferentConfiguration: policy ?? .warn)
    }

    private mutating func trackedInterfaces(in track: Section) -> [TrackedInterface] {
        let fields = pairs("interfaces", in: track) ?? []
        return fields.compactMap { field in
            do throws(ScalarProblem) {
                try NameText.check(interface: field.name)
            } catch {
                self.error(
                    field.keyRange,
                    "bad interface name \(Quoted.text(field.name)) in \"interfaces\" of "
                        + "pair.track: \(error.reason)",
                    suggestion: error.suggestion)
            }
            let title = "tracked interface \(Quoted.text(field.name))"
            guard
                let section = open(
                    field.value, path: "\(KeyTable.trackPath).interfaces.NAME", title: title,
                    range: field.keyRange)
            else { return nil }
            facts.tracking.interfaces.append(Located(value: field.name, range: field.keyRange))
            let penalty = penalty(in: section, of: title) ?? .fault
            return TrackedInterface(
                name: field.name, penalty: penalty,
                upDelay: durationOrDefault("up_delay", in: section))
        }
    }

    private mutating func trackedGateway(
        in track: Section, interface: String
    ) -> TrackedGateway? {
        let title = "pair.track.gateway"
        guard let section = section("gateway", title: title, in: track) else { return nil }
        facts.tracking.gatewayKey = section.range
        let address = value("address", "address", in: section) { text throws(ScalarProblem) in
            let address = try AddressText.ip(text)
            switch address {
            case .v4(let address):
                try Self.checkUnicast(address)
                if address.isLoopback { throw ScalarProblem("this is a loopback address") }
            case .v6(let address): try Self.checkUnicast(address)
            }
            return address
        }
        facts.tracking.gateway = address
        let own = interfaceName("interface", in: section)
        let interval = durationOrDefault("interval", in: section)
        let fall = integerOrDefault("fall", in: section)
        let rise = integerOrDefault("rise", in: section)
        facts.tracking.gatewaySilence = interval.multiplied(by: UInt64(fall))
        let penalty = penalty(in: section, of: title, isShared: true)
        guard let address else { return nil }
        return TrackedGateway(
            address: address.value, interface: own?.value ?? interface, interval: interval,
            fall: fall, rise: rise, penalty: penalty)
    }

    private mutating func trackedBackends(in track: Section) -> TrackedBackends? {
        let title = "pair.track.backends"
        guard let section = section("backends", title: title, in: track) else { return nil }
        let nodes = section.fields["pools"] == nil ? [] : list("pools", in: section) ?? []
        let pools = nodes.compactMap { node in
            value(node, "name", for: "\"pools\" in \(title)") { text throws(ScalarProblem) in
                try NameText.check(name: text)
                return text
            }
        }
        for (index, pool) in pools.enumerated() {
            guard let first = pools[..<index].first(where: { $0.value == pool.value }) else {
                continue
            }
            warning(
                pool.range, "pool \(Quoted.text(pool.value)) is listed twice",
                suggestion: "remove one",
                notes: [Diagnostic.Note(range: first.range, message: "the first is here")])
        }
        facts.tracking.pools = pools
        let below = percentOrDefault("below", in: section)
        let above = percent("above", in: section)
        if let above, above.value < below {
            error(
                above.range,
                "above \(PercentText.render(above.value)) is less than below "
                    + PercentText.render(below),
                suggestion: "between them the penalty would begin and end at once; write at least "
                    + PercentText.render(below))
        }
        let penalty = penalty(in: section, of: title, isShared: true, absent: .points(50))
        return TrackedBackends(
            pools: pools.map(\.value), below: below, above: above?.value ?? below,
            penalty: penalty ?? .points(50))
    }

    private mutating func trackedScript(_ field: Field) -> TrackedScript? {
        let title = "script \(Quoted.text(field.name))"
        guard
            let section = open(
                field.value, path: "\(KeyTable.trackPath).scripts.NAME", title: title,
                range: field.keyRange)
        else { return nil }
        let command = command(in: section)
        let interval = durationOrDefault("interval", in: section)
        let timeout = durationOrDefault("timeout", in: section)
        if timeout > interval, let field = section.fields["timeout"] ?? section.fields["interval"] {
            warning(
                field.value.range,
                "a run may outlast the time to the next one (timeout "
                    + "\(DurationText.render(timeout)), interval \(DurationText.render(interval)))",
                suggestion: "make timeout at most interval")
        }
        let fall = integerOrDefault("fall", in: section)
        let rise = integerOrDefault("rise", in: section)
        let penalty = penalty(in: section, of: title) ?? .fault
        guard let command else { return nil }
        return TrackedScript(
            name: field.name, command: command, interval: interval, timeout: timeout, fall: fall,
            rise: rise, penalty: penalty)
    }

    /// Key `command`: a path and arguments; `nil` when absent or bad.
    private mutating func command(in section: Section) -> [String]? {
        guard let field = field("command", in: section) else { return nil }
        if case .scalar(let text, _) = field.value.content {
            let words = text.split(separator: " ").joined(separator: ", ")
            error(
                field.value.range,
                "\(Self.phrase("command", in: section)) must be a list: no shell reads it",
                suggestion: "write command: [\(words)]")
            return nil
        }
        guard let nodes = list("command", in: section), !nodes.isEmpty else { return nil }
        let place = "\"command\" in \(section.title ?? "")"
        let words = nodes.enumerated().compactMap { index, node in
            value(node, index == 0 ? "path" : "argument", for: place) {
                text throws(ScalarProblem) in
                if index == 0 {
                    try NameText.check(filePath: text, byteCountMax: Self.argumentByteCountMax)
                } else if text.utf8.count > Self.argumentByteCountMax {
                    throw ScalarProblem("it has more than \(Self.argumentByteCountMax) bytes")
                } else if text.utf8.contains(0) {
                    throw ScalarProblem("it has a zero byte")
                }
                return text
            }
        }
        return words.count == nodes.count ? words.map(\.value) : nil
    }

    /// Key `penalty`; `nil` when absent or bad.
    ///
    /// What holds, `absent` included, is noted for the checks; `isShared` says that both nodes are
    /// likely to see the tracker fail at once.
    private mutating func penalty(
        in section: Section, of tracker: String, isShared: Bool = false,
        absent: TrackingPenalty? = nil
    ) -> TrackingPenalty? {
        let key = KeyTable.key(Self.path("penalty", in: section))
        guard case .penalty(let range) = key.form else {
            preconditionFailure("\(key.path) is no penalty")
        }
        let located = value("penalty", "penalty", in: section) {
            text throws(ScalarProblem) -> TrackingPenalty in
            if text == "fault" { return .fault }
            if text.first?.isLetter == true {
                throw ScalarProblem(
                    "allowed are fault and \(range.lowerBound) to \(range.upperBound)",
                    suggestion: Suggestion.nearest(to: text, in: ["fault"]).map {
                        "did you mean \"\($0)\"?"
                    })
            }
            let digits = text.hasPrefix("-") ? String(text.dropFirst()) : text
            if text.hasPrefix("-"), Int(digits).map(range.contains) == true {
                throw .didYouMean("a penalty is what is taken off", digits)
            }
            return .points(UInt8(clamping: try Self.integer(text, range, key)))
        }
        if let penalty = located?.value ?? (section.fields["penalty"] == nil ? absent : nil) {
            let noted = ConfigurationFacts.Penalty(
                tracker: tracker, penalty: penalty, range: located?.range ?? section.range)
            facts.tracking.penalties.append(noted)
            if isShared, penalty == .fault { facts.tracking.sharedFaults.append(noted) }
        }
        return located?.value
    }
}
