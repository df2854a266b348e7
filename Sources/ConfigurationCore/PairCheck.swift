// SPDX-License-Identifier: Apache-2.0
//
// The rules between the nodes of a pair and what they share. What concerns one virtual router or
// compares two: VirtualRouterCheck; trackers: TrackingCheck.

import WireCore

/// Finds pairs that would not work as a pair.
enum PairCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        checkNodeCount(facts, into: &diagnostics)
        checkNodes(facts, into: &diagnostics)
        checkIdentifiers(facts, into: &diagnostics)
        checkAddresses(facts, into: &diagnostics)
        VirtualRouterCheck.run(facts, into: &diagnostics)
        TrackingCheck.run(facts, into: &diagnostics)
        checkLink(facts, into: &diagnostics)
    }

    /// An election and the link are matters of two nodes.
    private static func checkNodeCount(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        guard let range = facts.nodesRange, facts.nodes.count != 2, !facts.nodes.isEmpty,
            facts.hasElection == true
        else { return }
        let count = facts.nodes.count
        diagnostics.add(
            Diagnostic(
                .error, range,
                "\"nodes\" of pair has \(count == 1 ? "1 entry" : "\(count) entries"); allowed are "
                    + "exactly 2 while a virtual router has announce: lan",
                suggestion: count == 1
                    ? "a node alone needs no pair; remove the key pair"
                    : "remove the others, or write announce: route for every virtual router"))
    }

    private static func checkLink(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        guard facts.nodes.count == 2 else {
            if let key = facts.linkKey, facts.hasElection == false, !facts.nodes.isEmpty {
                diagnostics.add(
                    Diagnostic(
                        .warning, key, "pair.link has no effect without exactly two nodes",
                        suggestion: "remove it"))
            }
            return
        }
        guard let link = facts.link else { return }
        diagnostics.add(
            Diagnostic(
                .warning, link,
                "the pair link is not authenticated: anyone on the network can pose as a node; "
                    + "commands about servers, learned cookies and rate limits are not shared",
                suggestion: "add link: { secret_file: /etc/tandem/pair.key }"))
    }

    private static func checkNodes(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        reportTwice(facts.nodes.compactMap(\.address), into: &diagnostics)
        reportTwice(facts.nodes.compactMap(\.ipv6Address), into: &diagnostics)
        guard facts.nodes.count == 2 else { return }
        let (first, second) = (facts.nodes[0], facts.nodes[1])
        // A priority that every virtual router replaces decides nothing.
        let isUsed =
            facts.virtualRouters.isEmpty
            || facts.virtualRouters.contains { router in
                router.settings.announce == .lan
                    && !router.nodes.contains { $0.priority != nil }
            }
        if let one = first.priority, let other = second.priority, one.value == other.value, isUsed {
            diagnostics.add(
                Diagnostic(
                    .warning, other.range, "both nodes have the priority \(other.value)",
                    suggestion: "the higher address decides; give one node a higher priority",
                    notes: [Diagnostic.Note(range: one.range, message: "the first is here")]))
        }
    }

    private static func reportTwice<Address: Hashable & Sendable & CustomStringConvertible>(
        _ addresses: [Located<Address>], into diagnostics: inout DiagnosticList
    ) {
        var firsts: [Address: SourceRange] = [:]
        for address in addresses {
            guard let first = firsts[address.value] else {
                firsts[address.value] = address.range
                continue
            }
            diagnostics.add(
                Diagnostic(
                    .error, address.range, "both nodes have the address \(address.value)",
                    suggestion: "each node needs its own",
                    notes: [Diagnostic.Note(range: first, message: "the first is here")]))
        }
    }

    /// RFC 9568 §5.2.3: the routers of the two families with one VRID are separate, and so are
    /// those of two networks.
    private static func checkIdentifiers(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        struct Place: Hashable {
            var id: UInt8
            var interface: String
            var family: AddressFamily
        }
        var firsts: [Place: SourceRange] = [:]
        for router in facts.virtualRouters where router.settings.announce == .lan {
            guard let id = router.id else { continue }
            let places = router.families.map {
                Place(id: id.value, interface: router.settings.interface, family: $0)
            }
            let first = places.compactMap { firsts[$0] }.first
            for place in places where firsts[place] == nil { firsts[place] = id.range }
            guard let first else { continue }
            diagnostics.add(
                Diagnostic(
                    .error, id.range, "two virtual routers have the id \(id.value)",
                    suggestion: "each of an interface and family needs its own VRID",
                    notes: [Diagnostic.Note(range: first, message: "the first is here")]))
        }
    }

    private static func checkAddresses(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        var firsts: [IPAddress: SourceRange] = [:]
        for address in facts.virtualRouters.flatMap(\.addresses) {
            if let first = firsts[address.value] {
                diagnostics.add(
                    Diagnostic(
                        .error, address.range,
                        "the virtual address \(address.value) is listed twice",
                        suggestion: "remove one",
                        notes: [Diagnostic.Note(range: first, message: "the first is here")]))
                continue
            }
            firsts[address.value] = address.range
            guard let (node, own) = facts.owner(of: address.value) else { continue }
            let name = Quoted.text(node)
            diagnostics.add(
                Diagnostic(
                    .error, address.range,
                    "the virtual address \(address.value) is the own address of node \(name)",
                    suggestion: "node \(name) would answer for it even as backup; use a free one",
                    notes: [Diagnostic.Note(range: own, message: "the node is here")]))
        }
    }
}

extension ConfigurationFacts {
    /// Whether some virtual router needs an election; `nil` while a key `announce` is unreadable.
    var hasElection: Bool? {
        if virtualRouters.contains(where: { !$0.hasReadableAnnounce }) { return nil }
        return virtualRouters.isEmpty || virtualRouters.contains { $0.settings.announce == .lan }
    }

    /// The node whose own address `address` is, in any virtual router, and where that stands.
    func owner(of address: IPAddress) -> (name: String, range: SourceRange)? {
        for node in nodes + virtualRouters.flatMap(\.nodes) {
            if let own = node.address, .v4(own.value) == address {
                return (node.name.value, own.range)
            }
            if let own = node.ipv6Address, .v6(own.value) == address {
                return (node.name.value, own.range)
            }
        }
        return nil
    }
}

extension ConfigurationFacts.VirtualRouter {
    /// The families that it surely has addresses of; both when it has none that can be read.
    var families: [AddressFamily] {
        AddressFamily.allCases.filter { family in
            addresses.contains { $0.value.family == family }
        }
    }

    /// The first address of a family.
    func first(_ family: AddressFamily) -> Located<IPAddress>? {
        addresses.first { $0.value.family == family }
    }
}
