// SPDX-License-Identifier: Apache-2.0
//
// What the pair thread tells the replication thread.

public import WireCore

/// Something happened to virtual addresses.
public enum ReplicationCommand: Hashable, Sendable {
    /// They are on this host and announced since `at`: the peer's clients on them are reset.
    case addressesTaken([IPAddress], at: Instant)
    /// They are about to be on this host while the peer's clients go on at the peer: nothing of
    /// them may be ended here.
    case addressesPrepared([IPAddress])
    /// They are on this host no more: the peer must remember the clients that this node had.
    case addressesLost([IPAddress])
    /// A worker gave its shadow channel up, or lost it.
    case shadowChannelLost(worker: Int)
}
