// SPDX-License-Identifier: Apache-2.0
//
// Whether connections for WebSockets can move with the address that they come from.

import WireCore

/// Finds addresses of `tunnel_source` that the other node cannot take over.
enum TunnelSourceCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        for source in facts.tunnelSources {
            let title = "tunnel_source of pool \(Quoted.text(source.pool))"
            guard facts.nodes.count == 2, facts.hasElection != false else {
                diagnostics.add(
                    Diagnostic(
                        .warning, source.address.range,
                        "\(title) has no effect: there is no other node to go on at",
                        suggestion: "remove it, or write pair with two nodes"))
                continue
            }
            guard isVirtual(source, title, facts, into: &diagnostics) else { continue }
            checkFamily(source, title, into: &diagnostics)
            checkUse(source, title, facts, into: &diagnostics)
        }
    }

    private static func isVirtual(
        _ source: ConfigurationFacts.TunnelSource, _ title: String, _ facts: ConfigurationFacts,
        into diagnostics: inout DiagnosticList
    ) -> Bool {
        // What could not be read may be it.
        guard !facts.virtualRouters.contains(where: \.hasUnreadableAddresses) else { return false }
        let elected = facts.virtualRouters.filter { $0.settings.announce == .lan }
        let addresses = elected.flatMap(\.addresses).map(\.value)
        guard !addresses.contains(source.address.value) else { return true }
        let sameFamily = addresses.first { $0.family == source.address.value.family }
        let isRouted = facts.virtualRouters.contains { router in
            router.settings.announce == .route
                && router.addresses.contains { $0.value == source.address.value }
        }
        diagnostics.add(
            Diagnostic(
                .error, source.address.range,
                isRouted
                    ? "\(title) is at several nodes at once: its router has announce: route"
                    : "\(title) is no virtual address of the pair",
                suggestion: sameFamily.map { "write tunnel_source: \($0)" }
                    ?? "write an address of a virtual router with announce: lan"))
        return false
    }

    /// A connection has one family at both ends.
    private static func checkFamily(
        _ source: ConfigurationFacts.TunnelSource, _ title: String,
        into diagnostics: inout DiagnosticList
    ) {
        let family = source.address.value.family
        guard let other = source.backends.first(where: { $0.family != family }) else { return }
        diagnostics.add(
            Diagnostic(
                .error, source.address.range,
                "\(title) cannot reach the backend \(other): one is IPv4, the other IPv6",
                suggestion: "write a virtual address of the backends' family"))
    }

    private static func checkUse(
        _ source: ConfigurationFacts.TunnelSource, _ title: String, _ facts: ConfigurationFacts,
        into diagnostics: inout DiagnosticList
    ) {
        guard !facts.hasUnreadableRoutes,
            !facts.carryOvers.contains(where: { $0.pools.contains(source.pool) })
        else { return }
        diagnostics.add(
            Diagnostic(
                .warning, source.address.range,
                "\(title) has no effect: no listener with carry_over sends it requests",
                suggestion: "write carry_over: idle at the listener"))
    }
}
