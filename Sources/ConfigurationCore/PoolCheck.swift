// SPDX-License-Identifier: Apache-2.0
//
// The rules between routes and pools: every name is defined, every pool is used.

import WireCore

/// Finds pools that nobody defines and pools that nobody uses.
enum PoolCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        guard let pools = facts.pools else { return }
        let names = pools.map(\.value)
        let known = Set(names)
        var meant: Set<String> = []
        for reference in facts.poolReferences where !known.contains(reference.value) {
            if diagnostics.isFull { break }
            if let nearest = Suggestion.nearest(to: reference.value, in: names) {
                meant.insert(nearest)
            }
            diagnostics.add(
                Diagnostic(
                    .error, reference.range,
                    "no pool is called \(Quoted.text(reference.value))",
                    suggestion: Suggestion.text(
                        for: reference.value, in: names, listing: "pools")))
        }
        checkUse(facts, pools, meant: meant, into: &diagnostics)
        checkTwins(facts, into: &diagnostics)
        checkConnections(facts, into: &diagnostics)
    }

    private static func checkUse(
        _ facts: ConfigurationFacts, _ pools: [Located<String>], meant: Set<String>,
        into diagnostics: inout DiagnosticList
    ) {
        guard !facts.hasUnreadableRoutes else { return }
        let used = meant.union(facts.poolReferences.map(\.value))
        for pool in pools where !used.contains(pool.value) {
            diagnostics.add(
                Diagnostic(
                    .warning, pool.range,
                    "pool \(Quoted.text(pool.value)) is never used",
                    suggestion: "no route sends requests to it"))
        }
    }

    /// A connection that passes unread shows no header, path or cookie.
    private static func checkConnections(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        for need in facts.requestNeeds {
            guard let user = facts.tcpPools.first(where: { $0.value == need.pool }) else {
                continue
            }
            diagnostics.add(
                Diagnostic(
                    .warning, need.range,
                    "\(need.what) of pool \(Quoted.text(need.pool)) is never seen in the "
                        + "connections of a listener with protocol tcp",
                    suggestion: "such a listener's clients go by their address",
                    notes: [Diagnostic.Note(range: user.range, message: "the listener is here")]))
        }
    }

    /// One server under two names gets twice its share.
    private static func checkTwins(
        _ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList
    ) {
        struct Place: Hashable {
            var pool: String
            var address: BackendAddress
        }
        var firsts: [Place: ConfigurationFacts.Backend] = [:]
        for backend in facts.backends {
            let place = Place(
                pool: backend.pool, address: backend.address.value)
            guard let first = firsts[place] else {
                firsts[place] = backend
                continue
            }
            diagnostics.add(
                Diagnostic(
                    .warning, backend.address.range,
                    "backends \(Quoted.text(first.name)) and \(Quoted.text(backend.name)) of pool "
                        + "\(Quoted.text(backend.pool)) have the same address",
                    suggestion: "use weight to give one server a larger share",
                    notes: [
                        Diagnostic.Note(range: first.address.range, message: "the first is here")
                    ]))
        }
    }
}
