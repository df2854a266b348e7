// SPDX-License-Identifier: Apache-2.0
//
// The rules between the two nodes and their virtual routers.

import WireCore

/// Finds pairs that would not work as a pair.
enum PairCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        checkNodes(facts, into: &diagnostics)
        checkIdentifiers(facts, into: &diagnostics)
        checkAddresses(facts, into: &diagnostics)
        for router in facts.virtualRouters where !router.preempt {
            guard let range = router.preemptDelay else { continue }
            diagnostics.add(
                Diagnostic(
                    .warning, range, "preempt_delay has no effect without preempt: true",
                    suggestion: "add preempt: true, or remove it"))
        }
        if let link = facts.link {
            diagnostics.add(
                Diagnostic(
                    .warning, link,
                    "the pair link is not authenticated: anyone on the network can pose as a node",
                    suggestion: "add link: { secret_file: /etc/tandem/pair.key }"))
        }
    }

    private static func checkNodes(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        guard facts.nodes.count == 2 else { return }
        let (first, second) = (facts.nodes[0], facts.nodes[1])
        if let one = first.address, let other = second.address, one.value == other.value {
            diagnostics.add(
                Diagnostic(
                    .error, other.range, "both nodes have the address \(other.value)",
                    suggestion: "each node needs its own",
                    notes: [Diagnostic.Note(range: one.range, message: "the first is here")]))
        }
        if let one = first.priority, let other = second.priority, one.value == other.value {
            diagnostics.add(
                Diagnostic(
                    .warning, other.range, "both nodes have the priority \(other.value)",
                    suggestion: "the higher address decides; give one node a higher priority",
                    notes: [Diagnostic.Note(range: one.range, message: "the first is here")]))
        }
    }

    private static func checkIdentifiers(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        var firsts: [UInt8: SourceRange] = [:]
        for id in facts.virtualRouters.compactMap(\.id) {
            guard let first = firsts[id.value] else {
                firsts[id.value] = id.range
                continue
            }
            diagnostics.add(
                Diagnostic(
                    .error, id.range, "two virtual routers have the id \(id.value)",
                    suggestion: "each needs its own VRID",
                    notes: [Diagnostic.Note(range: first, message: "the first is here")]))
        }
    }

    private static func checkAddresses(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        var firsts: [IPv4Address: SourceRange] = [:]
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
            guard let node = facts.nodes.first(where: { $0.address?.value == address.value }),
                let own = node.address
            else { continue }
            let name = Quoted.text(node.name.value)
            diagnostics.add(
                Diagnostic(
                    .error, address.range,
                    "the virtual address \(address.value) is the own address of node \(name)",
                    suggestion: "node \(name) would answer for it even as backup; use a free one",
                    notes: [Diagnostic.Note(range: own.range, message: "the node is here")]))
        }
    }
}
