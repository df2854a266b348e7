// SPDX-License-Identifier: Apache-2.0
//
// Which of two decisions is the newer one, when two nodes with clocks of their own decide.

/// When a decision was made, in a count that both nodes keep, and where.
public struct StateVersion: Hashable, Sendable {
    /// Larger numbers are refused: the count must be able to go on.
    public static let countMax: UInt64 = 1 << 62

    /// The count; each decision has a larger one than all that its node had heard of.
    public var count: UInt64
    /// The node that decided.
    public var origin: String

    /// Names a version.
    public init(count: UInt64, origin: String) {
        self.count = count
        self.origin = origin
    }
}

extension StateVersion: Comparable {
    /// By count; of decisions that were made at once by the name of the node.
    public static func < (left: StateVersion, right: StateVersion) -> Bool {
        (left.count, left.origin) < (right.count, right.origin)
    }
}

/// A logical clock (Lamport, 1978): counts decisions.
///
/// Who answers to a decision is newer than the decision, whatever the clocks of two hosts say. Of
/// decisions whose makers had not heard of each other the count tells nothing; there the board goes
/// by their ages.
public struct LogicalClock: Hashable, Sendable {
    /// The last count given or heard.
    public private(set) var count: UInt64

    /// Starts; `firstCount` should be one that no process of this node has used before.
    public init(firstCount: UInt64) {
        count = min(firstCount, StateVersion.countMax / 2)
    }

    /// The count of a new decision.
    public mutating func next() -> UInt64 {
        count = min(count &+ 1, StateVersion.countMax)
        return count
    }

    /// Another node's decision was heard of.
    public mutating func hear(_ heard: UInt64) {
        count = max(count, min(heard, StateVersion.countMax))
    }
}
