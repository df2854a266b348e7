// SPDX-License-Identifier: Apache-2.0
//
// Whether this node's workers have a connection that the peer had as well, and since when.

/// What this node has of a connection.
enum OwnHolding {
    /// Nothing.
    case none
    /// One from before its address came here last: the peer's word about it is younger.
    case former
    /// One that began here, or went on here, since the address came: the peer's word is older.
    case current
}
