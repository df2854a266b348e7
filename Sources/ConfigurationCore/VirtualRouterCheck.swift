// SPDX-License-Identifier: Apache-2.0
//
// The rules between the keys of one virtual router, and between those of one group.

import WireCore

/// Finds virtual routers that cannot work as they are written.
enum VirtualRouterCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        for router in facts.virtualRouters {
            if router.settings.announce == .route {
                checkRoute(router, into: &diagnostics)
                continue
            }
            checkPreempt(router, into: &diagnostics)
        }
    }

    private static func checkPreempt(
        _ router: ConfigurationFacts.VirtualRouter, into diagnostics: inout DiagnosticList
    ) {
        guard !router.settings.preempt, router.settings.preemptDelay != .zero,
            let range = router.values["preempt_delay"]
        else { return }
        diagnostics.add(
            Diagnostic(
                .warning, range, "preempt_delay has no effect without preempt: true",
                suggestion: "add preempt: true, or remove it"))
    }

    /// Keys of the election, which routes do without.
    static let electionKeys = [
        "preempt", "preempt_delay", "advertise_interval", "transport", "version", "checksum",
        "authentication", "takeover", "announce_interval", "group", "nodes",
    ]

    private static func checkRoute(
        _ router: ConfigurationFacts.VirtualRouter, into diagnostics: inout DiagnosticList
    ) {
        for key in electionKeys {
            guard let range = router.keys[key] else { continue }
            diagnostics.add(
                Diagnostic(
                    .warning, range,
                    "\"\(key)\" of \(router.title) has no effect with announce: route",
                    suggestion: "every healthy node serves, there is no election; remove it"))
        }
    }
}
