// SPDX-License-Identifier: Apache-2.0
//
// What operators decided on the other node of a pair and this node has not followed yet: a backend
// may come, a file may change its mind, an address may become usable. And what a reload of this
// node's file ends on both.

/// Decisions of the other node that wait until they can be followed.
public struct PeerOverrides: Sendable {
    /// A decision that waits.
    public struct Decision: Hashable, Sendable {
        /// The backend.
        public var name: RuntimeOverrides.Name
        /// What was decided, and against which file.
        public var shared: SharedOverride
        /// The node that decided.
        public var origin: String

        /// Names a decision.
        public init(name: RuntimeOverrides.Name, shared: SharedOverride, origin: String) {
            self.name = name
            self.shared = shared
            self.origin = origin
        }
    }

    /// Decisions about backends that this node cannot change yet; of more some are forgotten.
    public static let countMax = 16_384

    private struct Waiting {
        var decision: Decision
        /// Why it could not be followed, as it was said last.
        var refusal: String?
    }

    private var waiting: [RuntimeOverrides.Name: Waiting] = [:]

    /// Starts without decisions.
    public init() {}

    /// How many wait.
    public var count: Int { waiting.count }

    /// Whether one waits that was tried and refused.
    public var hasRefused: Bool { waiting.values.contains { $0.refusal != nil } }

    /// The other node decided; the newest decision about a backend counts.
    public mutating func heard(_ decision: Decision) {
        waiting[decision.name] = Waiting(decision: decision)
        while waiting.count > Self.countMax,
            let other = waiting.keys.first(where: {
                $0 != decision.name
            })
        {
            waiting[other] = nil
        }
    }

    /// A newer decision was made here, or the other node's was followed.
    public mutating func settled(_ name: RuntimeOverrides.Name) {
        waiting[name] = nil
    }

    /// The decision could not be followed and stays; true when that is news.
    public mutating func refused(_ name: RuntimeOverrides.Name, because reason: String) -> Bool {
        guard let known = waiting[name], known.refusal != reason else { return false }
        waiting[name]?.refusal = reason
        return true
    }

    /// The decisions that this node's file leaves room for, by name.
    ///
    /// - Parameter basis: what the file says about a backend that there is now; `nil` for others.
    /// - Returns: the decisions; they wait until ``settled(_:)``.
    public func due(
        basis: (RuntimeOverrides.Name) -> BackendConfiguration?
    ) -> [Decision] {
        waiting.values.map(\.decision).filter { decision in
            basis(decision.name).map { decision.shared.holds(against: $0) } ?? false
        }.sorted { $0.name < $1.name }
    }

    /// A reloaded file ended changes of commands, here and for the other node: what it says is
    /// newer than they are.
    ///
    /// - Parameter dropped: the changes that the file contradicts.
    /// - Returns: what to tell the other node, or an old change would come back from it, or with
    ///   the old file.
    public mutating func fileEnded(
        _ dropped: [DroppedOverride]
    ) -> [(name: RuntimeOverrides.Name, shared: SharedOverride)] {
        dropped.map { change in
            waiting[change.name] = nil
            return (change.name, .asConfigured)
        }
    }
}
