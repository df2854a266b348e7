// SPDX-License-Identifier: Apache-2.0
//
// What the other node could know of the backend's side of a tunnel: where that connection is in the
// two streams of TCP, and what was told of it.

internal import ReplicationCore
internal import WireCore

/// The shadow of the backend's side of a tunnel.
struct TunnelShadow {
    /// It comes from an address that moves between the nodes.
    var isMovable = false
    /// Bytes have passed since the other node was told where it is.
    var isRestOwed = true
    /// The channel on which the other node was told of it; 0 for none.
    var channel: UInt32 = 0
    /// Sequence numbers of the next byte from the backend and to it; they wrap around.
    private(set) var receiveSequence: UInt32 = 0
    private(set) var sendSequence: UInt32 = 0
    /// What the journal was told it is.
    var journalKey: ClientKey?

    /// Where it is.
    var position: StreamPosition {
        StreamPosition(receive: receiveSequence, send: sendSequence)
    }

    /// Takes the numbers that the kernel has at this moment.
    mutating func settle(_ state: borrowing TransportState) {
        receiveSequence = state.receiveSequence
        sendSequence = state.sendSequence
    }

    /// Counts bytes that the backend's socket took.
    @inline(__always)
    mutating func noteSent(_ byteCount: Int) {
        guard byteCount > 0 else { return }
        sendSequence &+= UInt32(truncatingIfNeeded: byteCount)
        isRestOwed = true
    }

    /// Counts bytes that the backend's socket gave.
    @inline(__always)
    mutating func noteReceived(_ byteCount: Int) {
        guard byteCount > 0 else { return }
        receiveSequence &+= UInt32(truncatingIfNeeded: byteCount)
        isRestOwed = true
    }
}
