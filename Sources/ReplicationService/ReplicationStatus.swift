// SPDX-License-Identifier: Apache-2.0
//
// What the two nodes know of each other's state, for the operator and for whoever has to wait.

/// A picture of the replication stream at one moment.
public struct ReplicationStatus: Hashable, Sendable {
    /// One table.
    public struct Table: Hashable, Sendable {
        /// What it is called.
        public var name: String
        /// Entries here, whoever made them.
        public var entryCount: Int
        /// Entries that the peer was not told yet.
        public var waitingCount: Int
    }

    /// The connection to the peer is up.
    public var isSending = false
    /// The connection from the peer is up.
    public var isReceiving = false
    /// Everything the peer has is here: it said so within the last two seconds.
    public var isInSync = false
    /// Everything this node has is there: the peer acknowledged it.
    public var isPeerInSync = false
    /// Entries that the peer announced and this node lacks; `nil` when that is not known, because
    /// the peer was never heard or its snapshot is not complete.
    public var missingCount: UInt64?
    /// Entries that this node has and the peer did not acknowledge.
    public var lagEntryCount: UInt64 = 0
    /// How long the peer has been lacking something.
    public var lagMilliseconds: UInt64 = 0
    /// Snapshots sent to the peer.
    public var snapshotsSent: UInt64 = 0
    /// Snapshots of the peer taken in whole.
    public var snapshotsReceived: UInt64 = 0
    /// Tables that were told again by themselves, because they had more changes than they can keep.
    public var tablesRetold: UInt64 = 0
    /// Connections that were taken up again without a snapshot.
    public var resumptions: UInt64 = 0
    /// Channels that this node's workers write on.
    public var shadowChannelsOut = 0
    /// Channels of the peer's workers.
    public var shadowChannelsIn = 0
    /// Those on which all connections of the worker were told.
    public var shadowChannelsWhole = 0
    /// The replicated tables.
    public var tables: [Table] = []

    /// Makes the picture of a node that nobody has talked to.
    public init() {}
}
