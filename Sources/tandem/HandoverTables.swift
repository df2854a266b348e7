// SPDX-License-Identifier: Apache-2.0
//
// The tables of this node's part in a switchover: made, made loud, removed. They belong to this
// process and go with it.

internal import LinuxIO
internal import NFTablesIO
internal import Telemetry

/// Owns the rules; belongs to the pair thread.
final class HandoverTables {
    /// Why packets cannot be passed on, or `nil`.
    private(set) var refusal: String?
    /// Why connections cannot move between the nodes, or `nil`.
    private(set) var movingRefusal: String?
    private let context: RulesContext?
    private let logger: Logger
    private var rules: HandoverRules?
    private var isSilent = false

    /// Finds out what the kernel can by making tables that do nothing.
    init(logger: Logger) {
        self.logger = logger
        do throws(RulesError) {
            let context = try RulesContext()
            try Self.attempt(.old, movesConnections: false, with: context)
            do throws(RulesError) {
                for role in [HandoverRules.Role.old, .new] {
                    try Self.attempt(role, movesConnections: true, with: context)
                }
            } catch {
                movingRefusal = error.description
                logger.warning(
                    "a switchover will close connections: the kernel cannot tell which are moved",
                    ["reason": error.description, "needs": "nft_socket"])
            }
            self.context = consume context
        } catch {
            context = nil
            refusal = error.description
            movingRefusal = error.description
            logger.warning(
                "a switchover will close connections: packets cannot be passed on",
                ["reason": error.description, "needs": "nf_tables and CAP_NET_ADMIN"])
        }
    }

    private static func attempt(
        _ role: HandoverRules.Role, movesConnections: Bool, with context: borrowing RulesContext
    ) throws(RulesError) {
        let trial = HandoverRules.trial(
            role: role, owner: ProcessLimits.processID, movesConnections: movesConnections)
        try context.run(trial.installation)
        try context.run(trial.removal)
    }

    /// Makes the tables of one side and puts them in force; whatever was there goes.
    ///
    /// - Returns: false when the kernel refused; then none are left.
    func install(
        _ role: HandoverRules.Role, _ paths: [HandoverPath], movesConnections: Bool
    ) -> Bool {
        remove()
        let rules = HandoverRules(
            role: role, paths: paths, owner: ProcessLimits.processID,
            movesConnections: movesConnections && movingRefusal == nil)
        guard run(rules.installation) else { return false }
        self.rules = rules
        if role == .old, !run(rules.activation) {
            remove()
            return false
        }
        isSilent = true
        return true
    }

    /// Ends the silence about the addresses.
    func makeLoud() {
        guard isSilent, let commands = rules?.loudness else { return }
        isSilent = false
        _ = run(commands)
    }

    /// Removes what is there.
    func remove() {
        guard let rules = rules.take() else { return }
        isSilent = false
        _ = run(rules.removal)
    }

    private func run(_ commands: String) -> Bool {
        switch context {
        case .some(let context):
            do throws(RulesError) {
                try context.run(commands)
                return true
            } catch {
                logger.error("the kernel refused rules", ["reason": error.description])
                return false
            }
        case nil: return false
        }
    }
}
