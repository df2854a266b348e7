// SPDX-License-Identifier: Apache-2.0
//
// Keeps the kernel from closing this process's IPv6 connections in order when it is killed, so that
// the other node's reset is the first that clients hear. Lives as long as its object.

internal import LinuxIO
internal import NFTablesIO
internal import Telemetry
internal import WireCore

/// Owns the rules; belongs to the thread that made it.
final class FarewellFilter {
    /// Above the number of the rules' socket, which is opened early.
    private static let occupiedBelow: CInt = 128

    private let context: RulesContext
    /// No connection may get a number below the rules' socket: it would be closed after the rules
    /// are gone, and its end would be heard.
    private let placeholders: [DescriptorPlaceholder]

    private init(_ context: consuming RulesContext) {
        self.context = context
        placeholders = DescriptorPlaceholder.occupy(below: Self.occupiedBelow)
    }

    /// Puts the rules in force; `nil` when no address needs them or the kernel refused.
    static func make(for addresses: [IPAddress], logger: Logger) -> FarewellFilter? {
        let addresses = addresses.compactMap(\.ipv6)
        guard !addresses.isEmpty else { return nil }
        let rules = FarewellRules(
            addresses: addresses, owner: CInt(truncatingIfNeeded: ProcessLimits.processID))
        do throws(RulesError) {
            let context = try RulesContext()
            try context.run(rules.installation)
            return FarewellFilter(context)
        } catch {
            logger.warning(
                "clients over IPv6 may take a cut answer for a whole one when this process dies",
                ["reason": error.description, "needs": "nf_tables with nft_fib and CAP_NET_ADMIN"])
            return nil
        }
    }
}
