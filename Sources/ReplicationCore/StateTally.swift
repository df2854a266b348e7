// SPDX-License-Identifier: Apache-2.0
//
// What became of the entries of one replicated table.

/// Counts of one replicated table since the start; numbers only grow.
public struct StateTally: Hashable, Sendable {
    /// Entries made for the peer.
    public var sent: UInt64 = 0
    /// Entries that came from the peer.
    public var received: UInt64 = 0
    /// Those of them that changed what this node knows.
    public var taken: UInt64 = 0
    /// Those that said nothing newer.
    public var older: UInt64 = 0
    /// Those about something that this node's configuration does not have.
    public var unknown: UInt64 = 0
    /// Those for which there was no room.
    public var full: UInt64 = 0
    /// Pieces that could not be read to their end.
    public var faults: UInt64 = 0
    /// Entries that were old and made room.
    public var forgotten: UInt64 = 0

    /// Starts at nothing.
    public init() {}

    /// Adds other counts.
    public static func += (left: inout StateTally, right: StateTally) {
        left.sent &+= right.sent
        left.received &+= right.received
        left.taken &+= right.taken
        left.older &+= right.older
        left.unknown &+= right.unknown
        left.full &+= right.full
        left.faults &+= right.faults
        left.forgotten &+= right.forgotten
    }
}

/// Why authenticated bytes are no piece of a table.
public enum StateFault: Error, Hashable, Sendable {
    /// They end too early.
    case truncated
    /// They are of a version that says nothing to this one.
    case unknownVersion(UInt8)
    /// A number that no version defined, or one out of its range.
    case outOfRange
}
