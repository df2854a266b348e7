// SPDX-License-Identifier: Apache-2.0
//
// What a table has to offer so that both nodes have it. How its pieces travel is the stream's.

public import ReplicationCore

/// A table that is replicated to the peer; called on the replication thread alone.
public protocol ReplicatedTable: AnyObject {
    /// Which table it is on the wire; the same number on both nodes.
    var tableID: UInt8 { get }
    /// What it is called in metrics and logs.
    var name: StaticString { get }
    /// Entries it has.
    var entryCount: Int { get }
    /// Entries that changed and were not told by ``nextChanges(byteCountMax:)``.
    var waitingCount: Int { get }
    /// Changes were forgotten because too many waited: the peer needs a snapshot.
    var hasLostChanges: Bool { get }
    /// Set by the stream; call it when something waits. Otherwise it is seen within 100 ms.
    var onChange: (() -> Void)? { get set }

    /// What changed since the last call, the oldest first; `nil` when nothing did.
    ///
    /// Called while the peer can take it, so an entry that changes often waits once. The blob has
    /// at most `byteCountMax` bytes.
    func nextChanges(byteCountMax: Int) -> StateBlob?
    /// The piece of the table at `cursor`.
    ///
    /// What changes between two pieces comes through ``nextChanges(byteCountMax:)`` as always;
    /// entries that come or go in between may be told or not.
    ///
    /// - Parameters:
    ///   - cursor: 0 begins; then changes that wait are forgotten, for the snapshot tells them.
    ///   - byteCountMax: the most bytes of the blob.
    /// - Returns: the piece, and the next cursor unless it was the last one.
    func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?)

    /// Takes what the peer told; it is no change that has to be told back.
    func apply(_ blob: StateBlob)
    /// Everything that the peer has follows; may come again before the end.
    func peerSnapshotBegan()
    /// Everything that the peer has was told.
    func peerSnapshotEnded()
}

extension ReplicatedTable {
    /// Never forgets a change.
    public var hasLostChanges: Bool { false }

    /// Does not mind what the peer no longer has.
    public func peerSnapshotBegan() {}

    /// Does not mind what the peer no longer has.
    public func peerSnapshotEnded() {}
}
