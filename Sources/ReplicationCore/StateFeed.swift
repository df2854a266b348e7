// SPDX-License-Identifier: Apache-2.0
//
// The sending end of the table stream: which item comes next, which ones the peer has not
// acknowledged, and when everything has to be told anew. Owns no table, no socket and no clock.
//
//     disconnected --connected--> awaiting --acknowledged--> sending
//          ^                                 known and kept: goes on behind what was applied
//          |                                 unknown:        snapshot, then tail
//          +--- disconnected ---- any
//
// In `sending` the driver asks what is next, pulls pieces out of the tables as it is told, and
// hands every item over once. Items stay in the log until they are acknowledged; while the log is
// full nothing is pulled, so changes wait in their tables. A table that forgot changes is told
// again by itself, between the changes of all of them.

public import WireCore

/// Numbers what is told about tables and keeps it until the peer has it.
public struct StateFeed: Sendable {
    /// Bytes of items that may be unacknowledged; one item may go beyond.
    public static let logByteCountMax = 2 * 1024 * 1024
    /// Age of the oldest kept item beyond which a new connection begins with a snapshot: ages and
    /// remaining spans in an item are those of the moment it was pulled.
    public static let resumptionSpanMax = TimeSpan.seconds(2)
    /// What an item costs beside its content.
    static let itemOverheadByteCount = 64

    /// What the driver does next.
    public enum Step: Hashable, Sendable {
        /// Nothing can or need be done now.
        case nothing
        /// Hand this item to the connection, then call ``sent()``.
        case send(StateMessage)
        /// Take changes out of the table at this index, then call ``pulled(_:at:)``.
        case pullChanges(table: Int)
        /// Take a piece of a snapshot, then call ``pulledSnapshot(_:next:at:)``.
        case pullSnapshot(table: Int, cursor: Int)
    }

    private enum Phase: Sendable {
        case disconnected
        case awaiting(token: UInt64)
        case sending(token: UInt64)
    }

    private struct Item: Sendable {
        let message: StateMessage
        let sequence: UInt64
        let entryCount: Int
        let byteCount: Int
        let pulledAt: Instant
    }

    private struct SnapshotPosition: Sendable {
        var table: Int
        var cursor: Int
        /// Of all tables, with a beginning and an end that the peer hears; else of this one alone.
        let isWhole: Bool
    }

    /// How much of a table the items tell.
    public enum Progress: Hashable, Sendable {
        /// All of it but its last changes.
        case told
        /// A part: a snapshot is in the middle of it.
        case underWay
        /// Nothing that counts: a snapshot will.
        case awaited
    }

    private let tableCount: Int
    private let logByteCountMax: Int
    private var phase = Phase.disconnected
    private var log: [Item] = []
    /// Items before this index are acknowledged and wait to be removed.
    private var logStart = 0
    /// The first item that this connection was not given.
    private var nextUnsent = 0
    private var logByteCount = 0
    private var snapshot: SnapshotPosition?
    private var needsSnapshot = true
    /// Tables that are told again by themselves, the next one first.
    private var retold: [Int] = []
    private var turn = 0
    private var emptyPulls = 0
    private var isSnapshotsTurn = false
    /// Number of the newest item.
    public private(set) var newestSequence: UInt64 = 0
    private var baseSequence: UInt64 = 0
    private var toldCount: UInt64 = 0
    private var isComplete = false
    private var acknowledgedSequence: UInt64 = 0
    /// Entries in items that the peer has not acknowledged.
    public private(set) var unacknowledgedEntryCount: UInt64 = 0
    /// Snapshots begun.
    public private(set) var snapshotCount: UInt64 = 0
    /// Tables told again by themselves, because they forgot changes.
    public private(set) var retoldCount: UInt64 = 0
    /// Connections on which the stream went on where it was.
    public private(set) var resumptionCount: UInt64 = 0
    /// Acknowledgements of items that do not exist.
    public private(set) var impossibleCount: UInt64 = 0

    /// Makes a feed of so many tables; another limit than the normal one is for tests.
    public init(tableCount: Int, logByteCountMax: Int = Self.logByteCountMax) {
        self.tableCount = tableCount
        self.logByteCountMax = logByteCountMax
    }

    // MARK: - The connection

    /// A connection to the peer is up; `token` was never used before.
    public mutating func connected(token: UInt64) {
        phase = .awaiting(token: token)
    }

    /// The connection to the peer is gone.
    public mutating func disconnected() {
        phase = .disconnected
    }

    /// The peer says how far it has come.
    public mutating func acknowledged(
        _ acknowledgement: StateAcknowledgement, at now: Instant
    ) {
        switch phase {
        case .disconnected:
            return
        case .awaiting(let token):
            guard acknowledgement.token == token else { return }
            goOn(behind: acknowledgement.appliedSequence, at: now)
            phase = .sending(token: token)
        case .sending(let token):
            // Until the snapshot reaches a peer that knows nothing it says so again.
            guard acknowledgement.token == token, let applied = acknowledgement.appliedSequence
            else { return }
            forget(through: applied)
        }
        checkInvariants()
    }

    /// Everything has to be told anew.
    private mutating func restart() {
        needsSnapshot = true
        retold = []
        snapshot = nil
        isComplete = false
    }

    /// The table at this index forgot changes: it is told again, and the others go on.
    ///
    /// One that is being told is finished first, or it would never come to its end.
    public mutating func retell(table: Int) {
        precondition((0..<tableCount).contains(table), "there is no table \(table)")
        guard progress(of: table) != .awaited else { return }
        retold.append(table)
    }

    private mutating func goOn(behind applied: UInt64?, at now: Instant) {
        if let applied, applied > newestSequence {
            // Not this stream: it cannot have been sent.
            impossibleCount += 1
            startOver()
            return
        }
        if let applied { forget(through: applied) }
        if let oldest = oldestUnacknowledged, now - oldest > Self.resumptionSpanMax {
            startOver()
            return
        }
        nextUnsent = logStart
        switch applied {
        case .some(let applied) where applied == acknowledgedSequence && baseSequence > 0:
            resumptionCount += 1
        case .some:
            // A log that begins with a snapshot makes sense to whoever heard of an earlier one.
            if case .snapshotBegan? = firstMessage { return }
            startOver()
        case nil:
            // What an earlier process of the peer told this node is in no log: the process that
            // told it had it. Only a new snapshot tells it to another one.
            startOver()
        }
    }

    private var firstMessage: StateMessage? {
        logStart < log.count ? log[logStart].message : nil
    }

    private mutating func startOver() {
        log = []
        logStart = 0
        nextUnsent = 0
        logByteCount = 0
        unacknowledgedEntryCount = 0
        acknowledgedSequence = newestSequence
        restart()
    }

    private mutating func forget(through applied: UInt64) {
        guard applied <= newestSequence else {
            impossibleCount += 1
            return
        }
        while logStart < log.count, log[logStart].sequence <= applied {
            logByteCount -= log[logStart].byteCount
            unacknowledgedEntryCount &-= UInt64(log[logStart].entryCount)
            logStart += 1
        }
        acknowledgedSequence = max(acknowledgedSequence, applied)
        nextUnsent = max(nextUnsent, logStart)
        if logStart > 64, logStart > log.count / 2 {
            log.removeFirst(logStart)
            nextUnsent -= logStart
            logStart = 0
        }
    }

    // MARK: - What comes next

    /// Something may have changed: asks every table again.
    public mutating func wake() {
        emptyPulls = 0
    }

    /// What the driver does next; the same until it was done.
    public mutating func next(at now: Instant) -> Step {
        guard case .sending = phase else { return .nothing }
        if nextUnsent < log.count { return .send(log[nextUnsent].message) }
        guard logByteCount < logByteCountMax else { return .nothing }
        if needsSnapshot {
            beginSnapshot(at: now)
            return .send(log[nextUnsent].message)
        }
        beginRetelling()
        if let snapshot, isSnapshotsTurn || emptyPulls >= tableCount {
            guard snapshot.table < tableCount else {
                endSnapshot(at: now)
                return .send(log[nextUnsent].message)
            }
            return .pullSnapshot(table: snapshot.table, cursor: snapshot.cursor)
        }
        guard emptyPulls < tableCount else { return .nothing }
        if let snapshot, snapshot.isWhole {
            // What the snapshot has not begun yet will be told by it.
            let begun = snapshot.table + (snapshot.cursor > 0 ? 1 : 0)
            guard begun > 0 else {
                return .pullSnapshot(table: snapshot.table, cursor: snapshot.cursor)
            }
            turn %= begun
        }
        return .pullChanges(table: turn)
    }

    /// The item was given to the connection.
    public mutating func sent() {
        precondition(nextUnsent < log.count, "nothing was to be sent")
        nextUnsent += 1
    }

    /// What a table answered to ``Step/pullChanges(table:)``.
    public mutating func pulled(_ blob: StateBlob?, at now: Instant) {
        if let blob {
            emptyPulls = 0
            append(blob, at: now)
        } else {
            emptyPulls += 1
        }
        turn = (turn + 1) % max(tableCount, 1)
        isSnapshotsTurn = snapshot != nil
        checkInvariants()
    }

    /// What a table answered to ``Step/pullSnapshot(table:cursor:)``.
    public mutating func pulledSnapshot(_ blob: StateBlob?, next: Int?, at now: Instant) {
        guard let position = snapshot else { preconditionFailure("no snapshot was to be pulled") }
        if let blob { append(blob, at: now) }
        if let next {
            snapshot?.cursor = next
        } else if position.isWhole {
            snapshot = SnapshotPosition(table: position.table + 1, cursor: 0, isWhole: true)
        } else {
            snapshot = nil
        }
        isSnapshotsTurn = false
        emptyPulls = 0
        checkInvariants()
    }

    private mutating func beginSnapshot(at now: Instant) {
        needsSnapshot = false
        snapshot = SnapshotPosition(table: 0, cursor: 0, isWhole: true)
        isComplete = false
        snapshotCount += 1
        toldCount = 0
        isSnapshotsTurn = true
        newestSequence += 1
        baseSequence = newestSequence
        append(.snapshotBegan(sequence: newestSequence), entryCount: 0, byteCount: 0, at: now)
    }

    private mutating func beginRetelling() {
        guard snapshot == nil, let table = retold.first else { return }
        retold.removeFirst()
        snapshot = SnapshotPosition(table: table, cursor: 0, isWhole: false)
        retoldCount += 1
        // What waits in the table is forgotten by its snapshot: no need to pull it first.
        isSnapshotsTurn = true
    }

    private mutating func endSnapshot(at now: Instant) {
        snapshot = nil
        isComplete = true
        emptyPulls = 0
        turn = 0
        newestSequence += 1
        append(.snapshotEnded(sequence: newestSequence), entryCount: 0, byteCount: 0, at: now)
    }

    private mutating func append(_ blob: StateBlob, at now: Instant) {
        precondition(
            blob.bytes.count <= StateBlob.byteCountMax && blob.entryCount >= 0,
            "table \(blob.table) gave \(blob.bytes.count) bytes")
        newestSequence += 1
        toldCount &+= UInt64(blob.entryCount)
        append(
            .blob(sequence: newestSequence, blob), entryCount: blob.entryCount,
            byteCount: blob.bytes.count, at: now)
    }

    private mutating func append(
        _ message: StateMessage, entryCount: Int, byteCount: Int, at now: Instant
    ) {
        let byteCount = byteCount + Self.itemOverheadByteCount
        log.append(
            Item(
                message: message, sequence: newestSequence, entryCount: entryCount,
                byteCount: byteCount, pulledAt: now))
        logByteCount += byteCount
        unacknowledgedEntryCount &+= UInt64(entryCount)
    }

    // MARK: - Where it stands

    /// What tells the peer where this stream stands; `nil` without a connection.
    ///
    /// `waitingCount` is entries that wait in the tables, those that the snapshot under way has not
    /// reached among them.
    public func standing(waitingCount: UInt64) -> StateMessage? {
        switch phase {
        case .disconnected: return nil
        case .awaiting, .sending: break
        }
        return .standing(
            StateStanding(
                baseSequence: baseSequence, newestSequence: newestSequence, toldCount: toldCount,
                waitingCount: waitingCount, isComplete: isEverythingTold))
    }

    /// A whole snapshot was told, and no table is told again.
    private var isEverythingTold: Bool {
        isComplete && !needsSnapshot && snapshot == nil && retold.isEmpty
    }

    /// How much of the table at this index the items tell.
    public func progress(of table: Int) -> Progress {
        guard !needsSnapshot, !retold.contains(table) else { return .awaited }
        guard let snapshot else { return .told }
        if table == snapshot.table { return snapshot.cursor == 0 ? .awaited : .underWay }
        return snapshot.isWhole && table > snapshot.table ? .awaited : .told
    }

    /// The peer has acknowledged every item, a whole snapshot among them.
    public var isAcknowledged: Bool {
        guard case .sending = phase else { return false }
        return isEverythingTold && acknowledgedSequence == newestSequence
    }

    /// When the oldest item that is not acknowledged was pulled.
    public var oldestUnacknowledged: Instant? {
        logStart < log.count ? log[logStart].pulledAt : nil
    }

    private func checkInvariants() {
        assert(logStart <= nextUnsent && nextUnsent <= log.count, "log out of order")
        assert(acknowledgedSequence <= newestSequence, "more acknowledged than told")
        assert(logByteCount >= 0 && (logStart < log.count || logByteCount == 0), "log's size")
        assert(logStart < log.count || unacknowledgedEntryCount == 0, "entries of no item")
    }
}
