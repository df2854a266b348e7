// SPDX-License-Identifier: Apache-2.0
//
// What one worker keeps about shadows in common: its channel to the other node, who waits for the
// end of the turn, and how far a snapshot is.

internal import EventLoop
internal import LinuxIO
internal import Telemetry
internal import WireCore

/// One worker's way to tell the other node about its connections.
struct ShadowDesk: ~Copyable {
    /// Held clients at which a turn is not waited out.
    static let heldCountMax = 32
    /// The longest head of a request that is told.
    static let headByteCountMax = 8 * 1_024
    /// How long the end of a turn may wait for the channel before clients go on without it.
    static let patience = TimeSpan.milliseconds(50)
    /// Silence after which the channel says that nothing happened.
    static let standingSpan = TimeSpan.milliseconds(45)
    /// The worker turns at least this often while its channel is open.
    static let turnIntervalMax = TimeSpan.milliseconds(50)
    /// Slots that one turn of a snapshot looks at, and connections it captures.
    static let slotsPerTurnMax = 1_024
    static let capturesPerTurnMax = 32
    /// After an answer that took so long, an acknowledgement may have left alone (the kernel's
    /// shortest delay of one is 40 ms).
    static let acknowledgedMilliseconds: UInt32 = 35

    /// Its end; `nil` while nobody is told anything.
    var writer: ShadowChannelWriter.Pointer?
    /// Names the present channel, or the time without one; no connection is known to that.
    private(set) var channel: UInt32 = 1
    /// There is something to look at when the turn ends.
    var needsTending = false
    /// Clients whose request, or the end of whose answer, waits; as event tokens.
    var heldRequests: [UInt64] = []
    var heldAnswers: [UInt64] = []
    /// The next slot that a snapshot looks at; `nil` when none is under way.
    var snapshotSlot: Int?
    /// Connections that the other node knows.
    var openCount = 0
    /// What the log is told about channels and connections.
    var log = LogRateLimiter()
    /// The kernel does not let this process look: it is not asked again for this channel.
    var isForbidden = false

    @inline(__always)
    var isOpen: Bool { writer != nil }

    /// A snapshot goes on, and nothing keeps it.
    var wantsTurn: Bool {
        guard snapshotSlot != nil, let writer else { return false }
        return writer.pointee.waitBegan == nil
    }

    @inline(__always)
    var heldCount: Int { heldRequests.count &+ heldAnswers.count }

    /// From here on no connection is known to the other node.
    mutating func beginChannel() {
        channel &+= 1
        if channel == 0 { channel = 1 }
        openCount = 0
    }

    deinit {
        guard let writer else { return }
        writer.deinitialize(count: 1)
        writer.deallocate()
    }
}
