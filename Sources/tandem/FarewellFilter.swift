// SPDX-License-Identifier: Apache-2.0
//
// Keeps the kernel from closing this process's connections in order when it is killed, so that what
// the other node says is the first that clients hear. In force from the start until the process
// ends by itself; after a death it stays, and the next start puts its own in its place.

internal import LinuxIO
internal import NFTablesIO
internal import Telemetry
internal import VRRPService
internal import WireCore

/// The rules that are in force.
struct FarewellFilter {
    /// What keeps a dead process silent.
    enum Verdict: String {
        /// IPv4 by the order of descriptors, IPv6 by rules or not in use.
        case ordered
        /// Both by rules: the order is not proven.
        case rules
        /// The kernel refused the rules.
        case refused
    }

    let verdict: Verdict
    private let rules: FarewellRules?

    /// Puts the rules in force for those of `addresses` that need them.
    static func install(
        for addresses: [IPAddress], order: DescriptorOrderSelfTest.Verdict, logger: Logger
    ) -> FarewellFilter {
        let isOrdered = order == .proven
        let needing = isOrdered ? addresses.filter { $0.family == .ipv6 } : addresses
        let verdict = isOrdered ? Verdict.ordered : .rules
        guard !needing.isEmpty else { return FarewellFilter(verdict: verdict, rules: nil) }
        let rules = FarewellRules(addresses: needing)
        do throws(RulesError) {
            try RulesContext().run(rules.installation)
            return FarewellFilter(verdict: verdict, rules: rules)
        } catch {
            logger.warning(
                "clients may take a cut answer for a whole one when this process dies",
                [
                    "family": isOrdered ? "ipv6" : "both", "reason": error.description,
                    "needs": "nf_tables with nft_fib and CAP_NET_ADMIN",
                ])
            return FarewellFilter(verdict: .refused, rules: nil)
        }
    }

    /// Takes the rules back: the process ends by itself and has closed its connections.
    func remove() {
        guard let rules else { return }
        _ = try? RulesContext().run(rules.removal)
    }
}
