// SPDX-License-Identifier: Apache-2.0
//
// What the other node could know of one client connection: where it is in the two streams of TCP,
// and what was told of it. The numbers are counted whether anybody is told or not, because that is
// cheaper than to ask.

internal import ReplicationCore
internal import WireCore

/// What the other node was told about the request in progress.
enum ShadowStanding: UInt8 {
    /// Nothing is in flight, or the end of the answer was told already.
    case idle
    /// The head of a request that may be repeated.
    case asked
    /// Something is in flight that only the client can repeat.
    case busy
    /// Bytes pass unread between it and a backend.
    case passing

    /// An answer is to come.
    var isPending: Bool { self == .asked || self == .busy }
}

/// The shadow of one client connection.
struct ClientShadow {
    /// Sequence number of the first byte that this record counts, in each direction.
    private(set) var sendBase: UInt32 = 0
    private(set) var receiveBase: UInt32 = 0
    /// Bytes that the socket took, and gave; they wrap around.
    var sentByteCount: UInt32 = 0
    var receivedByteCount: UInt32 = 0
    /// The channel on which the other node was told of it; 0 for none.
    var channel: UInt32 = 0
    /// The channel's connection on which it was given to the other node; 0 for none.
    var movedLink: UInt32 = 0
    /// When its request was told, in milliseconds; wraps around.
    var toldMilliseconds: UInt32 = 0
    var standing = ShadowStanding.idle
    var level = ShadowLevel.reset
    /// Nothing is written to its socket until the other node was told what was to be told.
    var isHeld = false
    /// The request at the front of its input was told before it was begun.
    var isRequestTold = false

    /// The other node is to be told of it when its last answer has left.
    var isOwed = false

    /// Nobody knows it.
    init() {}

    /// Takes the numbers that the kernel has at this moment.
    mutating func settle(_ state: borrowing TransportState) {
        sendBase = state.sendSequence &- sentByteCount
        receiveBase = state.receiveSequence &- receivedByteCount
    }

    /// Sequence number behind the last byte that the socket took.
    @inline(__always)
    var sendSequence: UInt32 { sendBase &+ sentByteCount }

    /// Sequence number behind the last byte that a message has used up, when so many that were
    /// received are still to be dealt with.
    @inline(__always)
    func receiveSequence(unread byteCount: Int) -> UInt32 {
        receiveBase &+ receivedByteCount &- UInt32(truncatingIfNeeded: byteCount)
    }

    /// Counts bytes that the socket took.
    @inline(__always)
    mutating func noteSent(_ byteCount: Int) {
        sentByteCount &+= UInt32(truncatingIfNeeded: byteCount)
    }

    /// Counts bytes that the socket gave.
    @inline(__always)
    mutating func noteReceived(_ byteCount: Int) {
        receivedByteCount &+= UInt32(truncatingIfNeeded: byteCount)
    }
}
