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
    /// Held clients at which a turn is not waited out: the answers of more would leave the
    /// processor's cache before they leave the host.
    static let heldCountMax = 32
    /// How long those who wait may be joined by others, so that one frame tells of them all.
    static let collectingSpan = TimeSpan.milliseconds(1)
    /// Answers that must be expected within that time for anybody to wait for others.
    static let joiningCountMin: UInt64 = 4
    /// How long what nobody waits for may wait for a frame that leaves anyway: a request that the
    /// kernel has not acknowledged, because it does so with the answer or 40 ms later.
    static let deferralSpan = TimeSpan.milliseconds(5)
    /// The longest request that comes in one segment on any path (RFC 8200 §5: 1,280 bytes, less
    /// the headers); of a longer one the kernel may acknowledge a part at once.
    static let deferredHeadByteCountMax = 1_208
    /// The longest head of a request that is told.
    static let headByteCountMax = 8 * 1_024
    /// How long the end of a turn may wait for the channel before clients go on without it.
    static let patience = TimeSpan.milliseconds(50)
    /// How often it is looked whether the other node has what requests wait for: the kernel does
    /// not say when an acknowledgement comes.
    static let acknowledgementLookSpan = TimeSpan.microseconds(100)
    /// How long requests wait for that before the channel is given up: some packets in a row may be
    /// lost.
    static let acknowledgementPatience = TimeSpan.milliseconds(300)
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

    /// How long after a worker let go of its connections it tells on the same channel what it has:
    /// the other node has taken what it knew of them by then.
    static let newBeginningSpan = TimeSpan.milliseconds(500)

    /// Its end; `nil` while nobody is told anything.
    var writer: ShadowChannelWriter.Pointer?
    /// Names the present channel, or the time without one; no connection is known to that.
    private(set) var channel: UInt32 = 1
    /// Names the connection that the channel is, through all its snapshots.
    private(set) var link: UInt32 = 1
    /// There is something to look at when the turn ends.
    var needsTending = false
    /// Clients whose request, or the end of whose answer, waits; as event tokens.
    var heldRequests: [UInt64] = []
    var heldAnswers: [UInt64] = []
    /// Clients whose request was told and waits until the other node has that.
    private(set) var sentRequests = SentRequests()
    /// Since when the first of those who are held waits.
    var heldSince = Instant(nanoseconds: 0)
    /// They wait for others.
    var isCollecting = false
    /// How quickly answers are held.
    private var pace = AnswerPace()
    /// Clients of the present channel whose answer is to come and was not told.
    private(set) var pendingCount = 0
    /// Something was told that has to leave with this turn.
    var isUrgent = false
    /// When the rest of what was told has to leave.
    var deferralEnd = Instant.distantFuture
    /// The next slot that a snapshot looks at; `nil` when none is under way.
    var snapshotSlot: Int?
    /// When everything is told anew, because connections went without a word; or before the next
    /// connection is told.
    var newBeginning: Instant?
    /// Connections that the other node knows.
    var openCount = 0
    /// What the log is told about channels and connections.
    var log = LogRateLimiter()
    /// The kernel does not let this process look: it is not asked again for this channel.
    var isForbidden = false

    @inline(__always)
    var isOpen: Bool { writer != nil }

    /// A snapshot goes on, and nothing keeps it.
    private var wantsTurn: Bool {
        guard snapshotSlot != nil, let writer else { return false }
        return writer.pointee.waitBegan == nil
    }

    @inline(__always)
    var heldCount: Int { heldRequests.count &+ heldAnswers.count }

    /// Something has to leave with this turn.
    func isDue(now: Instant) -> Bool {
        guard heldCount == 0 else { return true }
        guard let writer else { return false }
        guard !isUrgent, now < deferralEnd else { return !writer.pointee.isWritten }
        return writer.pointee.backlogByteCount > 0
    }

    /// Those who wait may go on waiting for others.
    func mayCollect(now: Instant) -> Bool { isOpen && paysToWait(now: now) }

    /// Others are on their way, answers come quickly, and the first of those who wait has not
    /// waited long.
    func paysToWait(now: Instant) -> Bool {
        heldCount > 0 && heldCount < Self.heldCountMax
            && pendingCount > heldRequests.count &+ sentRequests.count
            && now < heldSince + Self.collectingSpan
            && pace.isExpected(Self.joiningCountMin, within: Self.collectingSpan)
    }

    /// So many answers that were held go on.
    mutating func noteReleased(answerCount: Int, now: Instant) {
        pace.note(count: answerCount, now: now)
    }

    /// The requests that were held were written: they wait until the other node has that.
    mutating func noteRequestsWritten(now: Instant) {
        guard !heldRequests.isEmpty else { return }
        sentRequests.add(heldRequests, end: writer?.pointee.sentByteCount, now: now)
        heldRequests.removeAll(keepingCapacity: true)
    }

    /// Requests that need not wait any longer, as event tokens.
    mutating func takeAcknowledgedRequests() -> [UInt64] {
        guard !sentRequests.isEmpty else { return [] }
        return sentRequests.take(acknowledged: writer?.pointee.acknowledgedByteCount ?? 0)
    }

    /// What a client of the present channel waits for has changed.
    @inline(__always)
    mutating func noteStanding(from old: ShadowStanding, to new: ShadowStanding) {
        guard old.isPending != new.isPending else { return }
        pendingCount &+= new.isPending ? 1 : -1
    }

    /// Something was told; unless it is urgent it leaves with what is, or soon.
    @inline(__always)
    mutating func noteTold(isUrgent: Bool, now: Instant) {
        guard !isUrgent else {
            self.isUrgent = true
            return
        }
        if deferralEnd == .distantFuture { deferralEnd = now + Self.deferralSpan }
    }

    /// All that was told leaves.
    mutating func noteCommit() {
        isUrgent = false
        isCollecting = false
        deferralEnd = .distantFuture
    }

    /// How long the worker may wait for events while the channel is open.
    func waitSpan(now: Instant) -> TimeSpan {
        var span = Self.turnIntervalMax
        if !sentRequests.isEmpty { span = Self.acknowledgementLookSpan }
        guard !isCollecting else { return min(span, heldSince + Self.collectingSpan - now) }
        guard !wantsTurn, deferralEnd > now else { return .zero }
        return min(span, deferralEnd - now)
    }

    /// From here on no connection is known to the other node.
    mutating func beginChannel() {
        channel &+= 1
        if channel == 0 { channel = 1 }
        openCount = 0
        pendingCount = 0
    }

    /// The channel is gone: what was not written on it was not told.
    mutating func endLink() {
        writer = nil
        sentRequests.giveUp()
        link &+= 1
        if link == 0 { link = 1 }
        snapshotSlot = nil
        newBeginning = nil
        needsTending = true
        beginChannel()
    }

    deinit {
        guard let writer else { return }
        writer.deinitialize(count: 1)
        writer.deallocate()
    }
}
