// SPDX-License-Identifier: Apache-2.0
//
// Puts the rules in force that keep the kernel from resetting connections that are about to be made
// here. Lives as long as its object.

internal import LinuxIO
internal import NFTablesIO
internal import ReplicationService
internal import Telemetry
internal import WireCore

/// Owns the rules; belongs to the thread that made it.
final class ResetSilence: ResetSilencing {
    /// `nil` after a refusal: without its socket the table is gone, and nothing is held back.
    private var context: RulesContext?
    private let rules: ResetSilenceRules
    private let logger: Logger
    private var addresses: Set<IPAddress>

    private init(
        _ context: consuming RulesContext, _ rules: ResetSilenceRules,
        _ addresses: Set<IPAddress>, _ logger: Logger
    ) {
        self.context = consume context
        self.rules = rules
        self.addresses = addresses
        self.logger = logger
    }

    /// Silences the kernel about `addresses`, which are not here yet; `nil` when it refused.
    static func make(for addresses: [IPAddress], logger: Logger) -> ResetSilence? {
        let rules = ResetSilenceRules(owner: CInt(truncatingIfNeeded: ProcessLimits.processID))
        do throws(RulesError) {
            let context = try RulesContext()
            try context.run(rules.setting(addresses))
            return ResetSilence(context, rules, Set(addresses), logger)
        } catch {
            logger.warning(
                "some clients may be reset while their connections are taken over",
                ["reason": error.description, "needs": "nf_tables and CAP_NET_ADMIN"])
            return nil
        }
    }

    func silence(_ addresses: Set<IPAddress>) {
        set(self.addresses.union(addresses))
    }

    func release(_ addresses: Set<IPAddress>) {
        set(self.addresses.subtracting(addresses))
    }

    private func set(_ wanted: Set<IPAddress>) {
        guard wanted != addresses else { return }
        let context = context.take()
        guard let context else { return }
        addresses = wanted
        do throws(RulesError) {
            try context.run(rules.setting(Array(wanted)))
            self.context = consume context
        } catch {
            addresses = []
            logger.warning(
                "the kernel's resets are not held back any more", ["reason": error.description])
        }
    }
}
