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

/// A logical clock (Lamport, 1978) that starts at the time of day.
///
/// So a decision right after a restart is newer than those of before, also when nothing was heard
/// from the other node yet; and whatever the clocks of two hosts say, who answers to a decision is
/// newer than the decision.
public struct LogicalClock: Hashable, Sendable {
    /// The last count given or heard.
    public private(set) var count: UInt64

    /// Starts; `wallMilliseconds` since 1970.
    public init(wallMilliseconds: UInt64) {
        count = min(wallMilliseconds, StateVersion.countMax / 2)
    }

    /// The count of a new decision.
    public mutating func next(wallMilliseconds: UInt64) -> UInt64 {
        let floor = min(wallMilliseconds, StateVersion.countMax / 2)
        count = min(max(count &+ 1, floor), StateVersion.countMax)
        return count
    }

    /// Another node's decision was heard of.
    public mutating func hear(_ heard: UInt64) {
        count = max(count, min(heard, StateVersion.countMax))
    }
}
