// SPDX-License-Identifier: Apache-2.0
//
// The tables that both nodes have: tells the peer what changes here, applies what it tells, and
// knows what is missing on either side. Belongs to the loop of the replication thread; the
// connections are the replicator's.

import EventLoop
import ReplicationCore
import Telemetry
import WireCore

/// Replicates tables in both directions.
final class StateReplicator {
    /// Items sent and pieces pulled before the loop gets its turn.
    static let stepsPerTurnMax = 64
    /// How often tables are asked for changes that they did not announce.
    static let pollInterval = TimeSpan.milliseconds(10)
    /// How often, in polls, the peer hears where this node stands.
    static let pollsPerStanding = 10

    private let loop: EventLoop
    private let logger: Logger
    private let report: ReplicationReport
    private let incarnation: UInt64
    private let tables: [any ReplicatedTable]
    private var feed: StateFeed
    private var mirror = StateMirror()
    private var connectionCount: UInt64 = 0
    /// Entries of the table under way that the snapshot has told.
    private var snapshotEntryCount = 0
    private var behindSince: Instant?
    private var unknownBlobCount: UInt64 = 0
    private var owesOpening = false
    private var owesAcknowledgement = false
    private var owesStanding = false
    private var pollCount = 0
    /// Items were sent since the last standing.
    private var hasNews = false
    private var isOutboundUp = false
    /// Called when something has to be sent soon; set before ``start()``.
    var onWork: () -> Void = {}
    /// Called when what waits on the peer's channel is too old to be applied: it has to end.
    var onOverslept: () -> Void = {}
    private var tickedAt: Instant?

    init(
        tables: [any ReplicatedTable], incarnation: UInt64, loop: EventLoop,
        report: ReplicationReport, logger: Logger
    ) {
        self.tables = tables
        self.incarnation = incarnation
        self.loop = loop
        self.report = report
        self.logger = logger
        feed = StateFeed(tableCount: tables.count)
    }

    /// Begins to look at the tables.
    func start() {
        for table in tables {
            table.onChange = { [weak self] in self?.changed() }
        }
        tick()
    }

    private func changed() {
        guard isOutboundUp else { return }
        onWork()
    }

    private func tick() {
        loop.schedule(after: Self.pollInterval) { [weak self] in self?.tick() }
        // Timers come before descriptors: nothing of what waits was read yet.
        if let tickedAt, loop.now - tickedAt > StateFeed.resumptionSpanMax {
            mirror.forget()
            onOverslept()
        }
        tickedAt = loop.now
        pollCount += 1
        if pollCount % Self.pollsPerStanding == 0 {
            owesStanding = true
            noteStatus()
        }
        if isOutboundUp, owesStanding || !tables.isEmpty { onWork() }
    }

    // MARK: - What this node tells

    /// The connection to the peer is up.
    func outboundBegan() {
        connectionCount += 1
        // Differs from every other connection of this and of any other process.
        feed.connected(token: incarnation &+ connectionCount)
        isOutboundUp = true
        owesOpening = true
        owesAcknowledgement = true
    }

    /// The connection to the peer is gone.
    func outboundEnded() {
        feed.disconnected()
        isOutboundUp = false
        noteStatus()
    }

    /// Sends what can be sent.
    ///
    /// - Returns: whether more could be sent at once.
    func pump(on link: OutboundLink) -> Bool {
        guard isOutboundUp, sendDuties(on: link) else { return false }
        feed.wake()
        for (index, table) in tables.enumerated() where table.hasLostChanges {
            feed.retell(table: index)
        }
        for _ in 0..<Self.stepsPerTurnMax {
            switch feed.next(at: loop.now) {
            case .nothing:
                noteProgress()
                // Whoever takes over after the last word knows exactly what is missing.
                if hasNews { owesStanding = true }
                _ = sendDuties(on: link)
                return false
            case .send(let message):
                guard link.send(message) else { return false }
                feed.sent()
                hasNews = true
            case .pullChanges(let index):
                let blob = tables[index].nextChanges(byteCountMax: StateBlob.byteCountMax)
                feed.pulled(blob, at: loop.now)
            case .pullSnapshot(let index, let cursor):
                pullSnapshot(index, cursor)
            }
        }
        noteProgress()
        return true
    }

    /// What has to be said whatever the tables do, and first.
    ///
    /// - Returns: false when the connection takes no more.
    private func sendDuties(on link: OutboundLink) -> Bool {
        if owesOpening {
            guard link.send(.opening(token: incarnation &+ connectionCount)) else { return false }
            owesOpening = false
        }
        if owesAcknowledgement, let acknowledgement = mirror.acknowledgement {
            guard link.send(.acknowledged(acknowledgement)) else { return false }
            owesAcknowledgement = false
        }
        if owesStanding, let standing = feed.standing(waitingCount: waitingCount) {
            guard link.send(standing) else { return false }
            owesStanding = false
            hasNews = false
        }
        return true
    }

    private func pullSnapshot(_ index: Int, _ cursor: Int) {
        if cursor == 0 { snapshotEntryCount = 0 }
        let (blob, next) = tables[index].snapshot(
            from: cursor, byteCountMax: StateBlob.byteCountMax)
        snapshotEntryCount += blob?.entryCount ?? 0
        precondition(next != 0, "the snapshot of a table began again")
        feed.pulledSnapshot(blob, next: next, at: loop.now)
    }

    /// Entries that no item tells yet.
    private var waitingCount: UInt64 {
        var count = 0
        for (index, table) in tables.enumerated() {
            // Of a table that lost changes nobody knows which: more than there is are not missing.
            let progress = table.hasLostChanges ? .awaited : feed.progress(of: index)
            switch progress {
            case .told: count += table.waitingCount
            case .awaited: count += table.entryCount
            case .underWay:
                // What changed behind the cursor waits, too.
                count += max(0, table.entryCount - snapshotEntryCount) + table.waitingCount
            }
        }
        return UInt64(count)
    }

    // MARK: - What the peer tells

    /// The peer's channel begins.
    func channelBegan(incarnation: UInt64) {
        mirror.channelBegan(incarnation: incarnation)
        owesAcknowledgement = true
        onWork()
    }

    /// The peer's channel ended.
    func channelEnded() {
        mirror.channelEnded()
        noteStatus()
    }

    /// Takes a message of the peer; false when it makes no sense.
    func received(_ message: StateMessage) -> Bool {
        do throws(StateMirrorFault) {
            perform(try mirror.receive(message, at: loop.now))
        } catch {
            logger.warning("the peer's tables make no sense", ["reason": "\(error)"])
            return false
        }
        switch message {
        case .opening, .snapshotBegan, .blob, .snapshotEnded:
            owesAcknowledgement = true
            onWork()
        case .standing:
            // Repeated, because the connection it would have gone out on may have broken.
            owesAcknowledgement = true
        case .acknowledged:
            break
        }
        return true
    }

    private func perform(_ effect: StateMirror.Effect) {
        switch effect {
        case .nothing:
            break
        case .snapshotBegan:
            for table in tables { table.peerSnapshotBegan() }
        case .apply(let blob):
            report.entriesReceived.add(UInt64(blob.entryCount))
            guard let table = tables.first(where: { $0.tableID == blob.table }) else {
                unknownBlobCount += 1
                return
            }
            table.apply(blob)
        case .snapshotEnded:
            for table in tables { table.peerSnapshotEnded() }
            noteStatus()
        case .acknowledged(let acknowledgement):
            feed.acknowledged(acknowledgement, at: loop.now)
            onWork()
        }
    }

    // MARK: - Where both stand

    /// The addresses of the peer come here: what of its state is known, and how well.
    func noteTakeover() {
        let age = mirror.standingAt.map { "\((loop.now - $0).milliseconds)ms" } ?? "never"
        report.missingAtTakeover.set(mirror.missingCount.map { Int64(clamping: $0) } ?? -1)
        logger.info(
            "state of the peer is in force",
            [
                "missing": mirror.missingCount.map { "\($0)" } ?? "unknown",
                "announced_ago": age, "whole": "\(mirror.isWhole)",
                "in_sync": "\(mirror.isInSync(at: loop.now))",
            ])
    }

    private func noteProgress() {
        let isBehind = !isOutboundUp || !feed.isAcknowledged || waitingCount > 0
        behindSince = isBehind ? feed.oldestUnacknowledged ?? behindSince ?? loop.now : nil
    }

    private func noteStatus() {
        noteProgress()
        var status = ReplicationStatus()
        status.isInSync = mirror.isInSync(at: loop.now)
        status.isPeerInSync = isOutboundUp && behindSince == nil
        status.missingCount = mirror.missingCount
        status.lagEntryCount = feed.unacknowledgedEntryCount &+ waitingCount
        status.lagMilliseconds = behindSince.map { (loop.now - $0).milliseconds } ?? 0
        status.snapshotsSent = feed.snapshotCount
        status.snapshotsReceived = mirror.snapshotCount
        status.tablesRetold = feed.retoldCount
        status.resumptions = feed.resumptionCount
        status.tables = tables.map {
            ReplicationStatus.Table(
                name: "\($0.name)", entryCount: $0.entryCount, waitingCount: $0.waitingCount)
        }
        report.note(status)
    }
}
