// SPDX-License-Identifier: Apache-2.0
//
// Whether carrying connections over can mean anything: it takes another node and an address that
// both share.

import WireCore

/// Finds listeners whose connections cannot go on anywhere.
enum CarryOverCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        for carryOver in facts.carryOvers {
            let title = carryOver.listener
            guard facts.nodes.count == 2, facts.hasElection != false else {
                diagnostics.add(
                    Diagnostic(
                        .warning, carryOver.range,
                        "carry_over of \(title) has no effect: there is no other node to go on at",
                        suggestion: "remove it, or write pair with two nodes"))
                continue
            }
            // `link` is where a secret is missing.
            if carryOver.level == .requests, facts.link != nil {
                diagnostics.add(
                    Diagnostic(
                        .warning, carryOver.range,
                        "carry_over: requests of \(title) is idle without the pair's secret: "
                            + "anyone on the network could read requests, or make them",
                        suggestion: "add link: { secret_file: /etc/tandem/pair.key } to pair"))
            }
            guard let bind = carryOver.bind, !bind.address.isAny,
                !facts.virtualRouters.contains(where: \.hasUnreadableAddresses)
            else { continue }
            let isShared = facts.virtualRouters.contains { router in
                router.settings.announce == .lan
                    && router.addresses.contains { $0.value == bind.address }
            }
            guard !isShared else { continue }
            diagnostics.add(
                Diagnostic(
                    .warning, carryOver.range,
                    "carry_over of \(title) has no effect: \(bind.address) never moves",
                    suggestion: "bind a virtual address, or every address: 0.0.0.0 or [::]"))
        }
    }
}
