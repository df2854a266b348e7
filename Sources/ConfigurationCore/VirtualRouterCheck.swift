// SPDX-License-Identifier: Apache-2.0
//
// The rules between the keys of one virtual router. Groups of them: RouterGroupCheck.

import WireCore

/// Finds virtual routers that cannot work as they are written.
struct VirtualRouterCheck {
    private typealias Router = ConfigurationFacts.VirtualRouter

    /// A `fast` router that advertises more often than this is warned of: the scheduler of a busy
    /// host alone makes a silence of three intervals.
    static let fastIntervalMin = TimeSpan.milliseconds(50)

    private let facts: ConfigurationFacts
    private let router: Router
    private var found: [Diagnostic] = []

    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        for router in facts.virtualRouters {
            var check = VirtualRouterCheck(facts: facts, router: router)
            check.run()
            for diagnostic in check.found { diagnostics.add(diagnostic) }
        }
        RouterGroupCheck.run(facts, into: &diagnostics)
    }

    private init(facts: ConfigurationFacts, router: ConfigurationFacts.VirtualRouter) {
        self.facts = facts
        self.router = router
    }

    private mutating func run() {
        checkNodeNames()
        checkLinkLocal()
        guard router.hasReadableAnnounce else { return }
        guard router.settings.announce == .lan else {
            checkRoute()
            return
        }
        checkPreempt()
        checkVersion()
        checkChecksum()
        checkAuthentication()
        checkUnicast()
        checkInterface()
        checkOwnAddresses()
        checkPriorities()
        checkTakeover()
    }

    // MARK: Nodes

    private mutating func checkNodeNames() {
        let names = facts.nodes.map(\.name.value)
        guard !names.isEmpty else { return }
        for node in router.nodes where !names.contains(node.name.value) {
            report(
                .error, node.name.range, "no node is called \(Quoted.text(node.name.value))",
                Suggestion.text(for: node.name.value, in: names, listing: "nodes"))
        }
    }

    /// Where the router is, its nodes need addresses; those of `pair.nodes` are elsewhere.
    private mutating func checkInterface() {
        guard let range = router.values["interface"], let pair = facts.pairInterface?.value,
            router.settings.interface != pair, !facts.nodes.isEmpty
        else { return }
        let interface = router.settings.interface
        let own = Dictionary(router.nodes.map { ($0.name.value, $0) }) { first, _ in first }
        let missing4 = facts.nodes.filter { own[$0.name.value]?.address == nil }
        if router.first(.ipv4) != nil, !missing4.isEmpty {
            reportUnknownAddress(missing4, "address", interface, range)
        }
        // Without the key each interface's link-local address is taken, which is right anywhere.
        let missing6 = facts.nodes.filter {
            $0.ipv6Address != nil && own[$0.name.value]?.ipv6Address == nil
        }
        if router.first(.ipv6) != nil, !missing6.isEmpty {
            reportUnknownAddress(missing6, "ipv6_address", interface, range)
        }
    }

    private mutating func reportUnknownAddress(
        _ nodes: [ConfigurationFacts.Node], _ key: String, _ interface: String,
        _ range: SourceRange
    ) {
        let names = nodes.map { Quoted.text($0.name.value) }.joined(separator: " and ")
        let example = nodes.map { "\($0.name.value): { \(key): ... }" }.joined(separator: ", ")
        report(
            .error, range,
            "\(router.title) is on \(interface), but pair.nodes has the \(key) of \(names) on "
                + "another interface",
            "add nodes: { \(example) }")
    }

    private mutating func checkOwnAddresses() {
        var firsts: [IPAddress: SourceRange] = [:]
        let own = router.nodes.flatMap { node in
            [
                node.address.map { Located(value: IPAddress.v4($0.value), range: $0.range) },
                node.ipv6Address.map { Located(value: IPAddress.v6($0.value), range: $0.range) },
            ].compactMap(\.self)
        }
        for address in own {
            guard let first = firsts[address.value] else {
                firsts[address.value] = address.range
                continue
            }
            report(
                .error, address.range,
                "two nodes have the address \(address.value) in \(router.title)",
                "each node needs its own", note: first, "the first is here")
        }
    }

    private mutating func checkPriorities() {
        guard let (first, second) = facts.priorities(in: router), first == second else { return }
        // Without a key of its own PairCheck speaks of pair.nodes.
        guard let range = router.nodes.compactMap(\.priority).last?.range else { return }
        report(
            .warning, range, "both nodes have the priority \(first) in \(router.title)",
            "the higher address decides; give one node a higher priority")
    }

    // MARK: Addresses

    /// RFC 3927 §7: routers do not forward such addresses.
    private mutating func checkLinkLocal() {
        for address in router.addresses {
            guard case .v4(let v4) = address.value, v4.rawValue >> 16 == 0xA9FE else { continue }
            report(
                .warning, address.range, "\(v4) is a link-local address",
                "only hosts of the same LAN reach it")
        }
    }

    // MARK: The wire

    /// RFC 3768: IPv4 alone, in whole seconds.
    private mutating func checkVersion() {
        guard router.settings.version == .version2, let version = router.values["version"] else {
            return
        }
        if let address = router.first(.ipv6) {
            report(
                .error, address.range, "VRRP version 2 has no IPv6 addresses",
                "remove version: 2, or give the IPv6 addresses a virtual router of their own",
                note: version, "the version is here")
        }
        let interval = router.settings.advertiseInterval
        if !interval.nanoseconds.isMultiple(of: TimeSpan.seconds(1).nanoseconds),
            let range = router.values["advertise_interval"]
        {
            let seconds = max(1, (interval.nanoseconds + 500_000_000) / 1_000_000_000)
            report(
                .error, range,
                "VRRP version 2 counts whole seconds, not \(DurationText.render(interval))",
                "write \(seconds)s, or version: 3", note: version, "the version is here")
        }
    }

    /// RFC 9568 §5.2.8: over IPv6 the pseudo-header always counts.
    private mutating func checkChecksum() {
        guard let key = router.keys["checksum"] else { return }
        if router.settings.version == .version2 {
            reportNoEffect(key, "checksum", "with version: 2", "version 2 has one form; remove it")
        } else if router.families == [.ipv6], !router.hasUnreadableAddresses {
            reportNoEffect(
                key, "checksum", "without an IPv4 address", "IPv6 has one form; remove it")
        }
    }

    private mutating func checkAuthentication() {
        guard router.settings.authentication == .hmac, let range = router.values["authentication"]
        else { return }
        // `link` is where a secret is missing.
        if facts.link != nil {
            report(
                .error, range, "authentication: hmac needs the pair's secret",
                "add link: { secret_file: /etc/tandem/pair.key } to pair")
        }
        if router.settings.version == .version2 {
            report(
                .error, range, "authentication: hmac needs version: 3",
                "remove version: 2, or the authentication")
        } else if router.settings.checksum == .rfc5798 {
            report(
                .warning, range, "peers that need checksum: rfc5798 drop adverts with an HMAC",
                "keepalived and FRR know no such trailer; use one of the two keys alone")
        }
    }

    private mutating func checkUnicast() {
        guard router.settings.transport == .unicast, let range = router.values["transport"],
            router.first(.ipv6) != nil
        else { return }
        let missing = facts.nodes.filter { node in
            node.ipv6Address == nil
                && router.nodes.first { $0.name.value == node.name.value }?.ipv6Address == nil
        }
        guard !missing.isEmpty else { return }
        let names = missing.map { Quoted.text($0.name.value) }.joined(separator: " and ")
        report(
            .error, range, "unicast adverts over IPv6 need the ipv6_address of node \(names)",
            "add ipv6_address to each of pair.nodes")
    }

    // MARK: Modes

    private mutating func checkPreempt() {
        guard !router.settings.preempt, router.settings.preemptDelay != .zero,
            let range = router.values["preempt_delay"]
        else { return }
        report(
            .warning, range, "preempt_delay has no effect without preempt: true",
            "add preempt: true, or remove it")
    }

    private mutating func checkTakeover() {
        let interval = router.settings.advertiseInterval
        guard router.settings.takeover == .fast, interval < Self.fastIntervalMin,
            let range = router.values["takeover"]
        else { return }
        let silence = DurationText.render(interval.multiplied(by: 3))
        report(
            .warning, range,
            "with takeover: fast and adverts every \(DurationText.render(interval)) a stall of "
                + "\(silence) moves the addresses",
            "takeover: safe asks the pair link as well")
    }

    /// Keys of the election, which routes do without.
    static let electionKeys = [
        "preempt", "preempt_delay", "advertise_interval", "transport", "version", "checksum",
        "authentication", "takeover", "announce_interval", "group", "nodes",
    ]

    private mutating func checkRoute() {
        if router.settings.virtualMAC, let range = router.keys["virtual_mac"] {
            report(
                .error, range, "virtual_mac and announce: route exclude each other",
                "a virtual MAC belongs to the one node that answers on the LAN; remove it")
        }
        for key in Self.electionKeys {
            guard let range = router.keys[key] else { continue }
            reportNoEffect(
                range, key, "with announce: route",
                "every healthy node serves, there is no election; remove it")
        }
    }

    // MARK: Reports

    private mutating func reportNoEffect(
        _ range: SourceRange, _ key: String, _ reason: String, _ suggestion: String
    ) {
        report(
            .warning, range, "\"\(key)\" of \(router.title) has no effect \(reason)", suggestion)
    }

    private mutating func report(
        _ severity: Diagnostic.Severity, _ range: SourceRange, _ message: String,
        _ suggestion: String?, note: SourceRange? = nil, _ noteText: String = ""
    ) {
        let notes = note.map { [Diagnostic.Note(range: $0, message: noteText)] } ?? []
        found.append(
            Diagnostic(severity, range, message, suggestion: suggestion, notes: notes))
    }
}

extension ConfigurationFacts {
    /// The priorities that the first and the second node have in `router`; `nil` unless there are
    /// two and both can be read.
    func priorities(in router: VirtualRouter) -> (UInt8, UInt8)? {
        guard nodes.count == 2 else { return nil }
        let priorities = nodes.compactMap { node in
            router.nodes.first { $0.name.value == node.name.value }?.priority?.value
                ?? node.priority?.value
        }
        return priorities.count == 2 ? (priorities[0], priorities[1]) : nil
    }
}
