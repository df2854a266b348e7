// SPDX-License-Identifier: Apache-2.0
//
// Marks on sockets (SO_MARK) by which packet rules tell connections apart.

/// Marks that this program gives to its sockets.
public enum ConnectionMark {
    /// A connection that began at the other node and goes on here: its packets are this node's,
    /// though this node never saw its first segment.
    public static let adopted: UInt32 = 0x7464_6164
}
