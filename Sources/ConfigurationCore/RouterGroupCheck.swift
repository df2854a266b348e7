// SPDX-License-Identifier: Apache-2.0
//
// The rules between virtual routers that move together.

import WireCore

/// Finds groups that are none, and groups whose members want to be apart.
enum RouterGroupCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        let routers = facts.virtualRouters.filter {
            $0.settings.announce == .lan && $0.settings.group != nil
        }
        var groups: [String: [ConfigurationFacts.VirtualRouter]] = [:]
        for router in routers { groups[router.settings.group ?? "", default: []].append(router) }
        for (name, members) in groups {
            if members.count == 1 {
                let others = groups.keys.filter { $0 != name }.sorted()
                checkAlone(members[0], name, others, into: &diagnostics)
            }
            checkOrder(members, name, facts, into: &diagnostics)
        }
    }

    private static func checkAlone(
        _ router: ConfigurationFacts.VirtualRouter, _ name: String, _ others: [String],
        into diagnostics: inout DiagnosticList
    ) {
        guard let range = router.values["group"] else { return }
        let nearest = Suggestion.nearest(to: name, in: others)
        diagnostics.add(
            Diagnostic(
                .warning, range, "group \(Quoted.text(name)) has one virtual router",
                suggestion: nearest.map { "did you mean \"\($0)\"?" }
                    ?? "write the same group for those that move with it, or remove it"))
    }

    private static func checkOrder(
        _ members: [ConfigurationFacts.VirtualRouter], _ name: String,
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        var first: (router: ConfigurationFacts.VirtualRouter, prefersFirst: Bool)?
        for router in members {
            guard let (one, other) = facts.priorities(in: router), one != other,
                let range = router.values["group"]
            else { continue }
            guard let known = first else {
                first = (router, one > other)
                continue
            }
            guard known.prefersFirst != (one > other) else { continue }
            let notes = known.router.values["group"].map {
                [Diagnostic.Note(range: $0, message: "\(known.router.title) is here")]
            }
            diagnostics.add(
                Diagnostic(
                    .warning, range,
                    "\(known.router.title) and \(router.title) of group \(Quoted.text(name)) "
                        + "prefer different nodes",
                    suggestion: "they move together, so one is never where it prefers; give them "
                        + "the same order, or no group",
                    notes: notes ?? []))
        }
    }
}
