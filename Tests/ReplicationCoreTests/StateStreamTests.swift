// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the feed says next and what the mirror takes, case by case. The two together under
// faults are a simulation elsewhere.

import ReplicationCore
import Testing
import WireCore

private let start = Instant(nanoseconds: 1_000_000_000)

private func blob(_ table: UInt8 = 0, _ entries: Int = 1, byteCount: Int = 1) -> StateBlob {
    StateBlob(table: table, entryCount: entries, bytes: [UInt8](repeating: 7, count: byteCount))
}

private func acknowledged(_ token: UInt64, _ applied: UInt64?) -> StateAcknowledgement {
    StateAcknowledgement(token: token, appliedSequence: applied)
}

@Suite struct StateFeedTests {
    /// A connected feed whose snapshot of one empty table is told and acknowledged.
    private func settled(token: UInt64 = 1) -> StateFeed {
        var feed = StateFeed(tableCount: 1, logByteCountMax: 300)
        feed.connected(token: token)
        feed.acknowledged(acknowledged(token, nil), at: start)
        _ = sent(&feed, 1)
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 0))
        feed.pulledSnapshot(nil, next: nil, at: start)
        feed.pulled(nil, at: start)
        _ = sent(&feed, 1)
        feed.acknowledged(acknowledged(token, 2), at: start)
        #expect(feed.isAcknowledged)
        return feed
    }

    private func sent(_ feed: inout StateFeed, _ count: Int) -> [StateMessage] {
        (0..<count).compactMap { _ in
            guard case .send(let message) = feed.next(at: start) else { return nil }
            feed.sent()
            return message
        }
    }

    private func tell(_ feed: inout StateFeed, _ blob: StateBlob) {
        feed.wake()
        #expect(feed.next(at: start) == .pullChanges(table: 0))
        feed.pulled(blob, at: start)
    }

    @Test func nothingIsSaidBeforeThePeerSpoke() {
        var feed = StateFeed(tableCount: 1)
        #expect(feed.next(at: start) == .nothing)
        feed.connected(token: 5)
        #expect(feed.next(at: start) == .nothing)
        // About another connection.
        feed.acknowledged(acknowledged(4, nil), at: start)
        #expect(feed.next(at: start) == .nothing)
        feed.acknowledged(acknowledged(5, nil), at: start)
        #expect(feed.next(at: start) == .send(.snapshotBegan(sequence: 1)))
        feed.disconnected()
        #expect(feed.next(at: start) == .nothing)
    }

    @Test func itemsComeInOrderAndStayUntilTheyAreAcknowledged() {
        var feed = settled()
        tell(&feed, blob(0, 3))
        #expect(sent(&feed, 2).count == 1)
        tell(&feed, blob(0, 4))
        #expect(feed.unacknowledgedEntryCount == 7)
        feed.disconnected()
        feed.connected(token: 2)
        feed.acknowledged(acknowledged(2, 2), at: start)
        #expect(feed.resumptionCount == 1)
        #expect(
            sent(&feed, 3) == [
                .blob(sequence: 3, blob(0, 3)), .blob(sequence: 4, blob(0, 4)),
            ])
        feed.acknowledged(acknowledged(2, 3), at: start)
        #expect(feed.unacknowledgedEntryCount == 4 && !feed.isAcknowledged)
        feed.acknowledged(acknowledged(2, 4), at: start)
        #expect(feed.isAcknowledged && feed.oldestUnacknowledged == nil)
        #expect(feed.snapshotCount == 1)
    }

    @Test(arguments: [nil, 1, 99] as [UInt64?])
    func aPeerThatKnowsSomethingElseIsToldAnew(applied: UInt64?) {
        var feed = settled()
        tell(&feed, blob())
        feed.disconnected()
        feed.connected(token: 2)
        feed.acknowledged(acknowledged(2, applied), at: start)
        #expect(feed.next(at: start) == .send(.snapshotBegan(sequence: 4)))
        #expect(feed.snapshotCount == 2 && feed.resumptionCount == 0)
        #expect(feed.impossibleCount == (applied == 99 ? 1 : 0))
    }

    /// What its predecessor told this node since the snapshot began is in no log.
    @Test func aProcessThatKnowsNothingGetsASnapshotOfItsOwn() {
        var feed = StateFeed(tableCount: 1)
        feed.connected(token: 1)
        feed.acknowledged(acknowledged(1, nil), at: start)
        #expect(sent(&feed, 1) == [.snapshotBegan(sequence: 1)])
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 0))
        feed.pulledSnapshot(blob(0, 2), next: 2, at: start)
        #expect(sent(&feed, 1).count == 1)
        feed.disconnected()
        feed.connected(token: 2)
        feed.acknowledged(acknowledged(2, nil), at: start)
        #expect(sent(&feed, 1) == [.snapshotBegan(sequence: 3)])
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 0))
        #expect(feed.unacknowledgedEntryCount == 0)
    }

    /// Ages in kept items are those of the moment they were pulled.
    @Test func aLongBreakIsNotResumed() {
        for (span, isResumed) in [(TimeSpan.seconds(2), true), (.seconds(3), false)] {
            var feed = settled()
            tell(&feed, blob())
            feed.disconnected()
            feed.connected(token: 2)
            feed.acknowledged(acknowledged(2, 2), at: start + span)
            #expect(feed.resumptionCount == (isResumed ? 1 : 0))
            guard !isResumed else { continue }
            #expect(feed.next(at: start + span) == .send(.snapshotBegan(sequence: 4)))
        }
    }

    @Test func aFullLogStopsThePulling() {
        var feed = settled()
        for _ in 0..<2 {
            tell(&feed, blob(0, 1, byteCount: 150))
            #expect(sent(&feed, 2).count == 1)
        }
        feed.wake()
        #expect(feed.next(at: start) == .nothing)
        feed.acknowledged(acknowledged(1, 3), at: start)
        #expect(feed.next(at: start) == .pullChanges(table: 0))
    }

    @Test func acknowledgementsOfWhatNobodySaidAreCounted() {
        var feed = settled()
        feed.acknowledged(acknowledged(1, 3), at: start)
        feed.acknowledged(acknowledged(1, .max), at: start)
        #expect(feed.impossibleCount == 2 && feed.isAcknowledged)
    }

    @Test func changesOfToldTablesDoNotWaitForTheSnapshot() {
        var feed = StateFeed(tableCount: 2)
        feed.connected(token: 1)
        feed.acknowledged(acknowledged(1, nil), at: start)
        _ = sent(&feed, 1)
        // The first piece of the first table comes first: before it a change means nothing.
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 0))
        feed.pulledSnapshot(blob(), next: 1, at: start)
        _ = sent(&feed, 1)
        #expect(feed.next(at: start) == .pullChanges(table: 0))
        feed.pulled(blob(), at: start)
        _ = sent(&feed, 1)
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 1))
        feed.pulledSnapshot(nil, next: nil, at: start)
        // The second table is told by its snapshot, not by its changes.
        #expect(feed.progress(of: 1) == .awaited && feed.progress(of: 0) == .told)
        #expect(feed.next(at: start) == .pullChanges(table: 0))
        feed.pulled(nil, at: start)
        #expect(feed.next(at: start) == .pullSnapshot(table: 1, cursor: 0))
    }

    /// A connected feed of two tables that the peer knows.
    private func settledPair() -> StateFeed {
        var feed = StateFeed(tableCount: 2)
        feed.connected(token: 1)
        feed.acknowledged(acknowledged(1, nil), at: start)
        _ = sent(&feed, 1)
        for table in 0..<2 {
            while feed.next(at: start) != .pullSnapshot(table: table, cursor: 0) {
                feed.pulled(nil, at: start)
            }
            feed.pulledSnapshot(nil, next: nil, at: start)
        }
        while case .pullChanges = feed.next(at: start) { feed.pulled(nil, at: start) }
        _ = sent(&feed, 1)
        feed.acknowledged(acknowledged(1, 2), at: start)
        #expect(feed.isAcknowledged)
        return feed
    }

    @Test func aForgetfulTableIsToldAgainAndTheOthersGoOn() {
        var feed = settledPair()
        feed.retell(table: 1)
        feed.retell(table: 1)
        #expect(!feed.isAcknowledged && feed.progress(of: 0) == .told)
        #expect(feed.progress(of: 1) == .awaited)
        feed.wake()
        // No snapshot begins: the first table stays what it is for the peer.
        #expect(feed.next(at: start) == .pullSnapshot(table: 1, cursor: 0))
        feed.pulledSnapshot(blob(1), next: 5, at: start)
        #expect(sent(&feed, 1) == [.blob(sequence: 3, blob(1))])
        #expect(feed.progress(of: 1) == .underWay)
        guard case .standing(let standing)? = feed.standing(waitingCount: 0) else {
            Issue.record("a connected feed says where it stands")
            return
        }
        #expect(!standing.isComplete)
        // Changes of the other table do not wait for it.
        #expect(feed.next(at: start) == .pullChanges(table: 0))
        feed.pulled(blob(), at: start)
        #expect(sent(&feed, 1) == [.blob(sequence: 4, blob())])
        #expect(feed.next(at: start) == .pullSnapshot(table: 1, cursor: 5))
        feed.pulledSnapshot(nil, next: nil, at: start)
        feed.acknowledged(acknowledged(1, 4), at: start)
        #expect(feed.isAcknowledged && feed.snapshotCount == 1 && feed.retoldCount == 1)
    }

    @Test func aTableThatForgetsWhileItIsToldComesToItsEndFirst() {
        var feed = settledPair()
        feed.retell(table: 0)
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 0))
        feed.pulledSnapshot(nil, next: 1, at: start)
        for _ in 0..<3 { feed.retell(table: 0) }
        while feed.next(at: start) != .pullSnapshot(table: 0, cursor: 1) {
            feed.pulled(nil, at: start)
        }
        feed.pulledSnapshot(nil, next: nil, at: start)
        #expect(feed.next(at: start) == .pullSnapshot(table: 0, cursor: 0))
        feed.pulledSnapshot(nil, next: nil, at: start)
        #expect(feed.isAcknowledged && feed.retoldCount == 2)
    }
}

@Suite struct StateMirrorTests {
    private func heard(_ messages: StateMessage...) throws -> StateMirror {
        var mirror = StateMirror()
        mirror.channelBegan(incarnation: 1)
        for message in messages { _ = try mirror.receive(message, at: start) }
        return mirror
    }

    private func standing(
        _ newest: UInt64, told: UInt64, waiting: UInt64 = 0, base: UInt64 = 1,
        isComplete: Bool = true
    ) -> StateMessage {
        .standing(
            StateStanding(
                baseSequence: base, newestSequence: newest, toldCount: told,
                waitingCount: waiting, isComplete: isComplete))
    }

    @Test func itemsWithoutASnapshotEndTheChannel() throws {
        var mirror = try heard(.opening(token: 3))
        #expect(throws: StateMirrorFault.noBase(got: 1)) {
            try mirror.receive(.blob(sequence: 1, blob()), at: start)
        }
        #expect(mirror.acknowledgement == acknowledged(3, nil))
    }

    @Test func aGapForgetsEverything() throws {
        var mirror = try heard(.opening(token: 3), .snapshotBegan(sequence: 1))
        #expect(throws: StateMirrorFault.gap(got: 3, wanted: 2)) {
            try mirror.receive(.blob(sequence: 3, blob()), at: start)
        }
        #expect(mirror.acknowledgement == acknowledged(3, nil) && mirror.missingCount == nil)
    }

    @Test func knownItemsAreSkipped() throws {
        var mirror = try heard(.snapshotBegan(sequence: 1), .blob(sequence: 2, blob()))
        for message in [StateMessage.snapshotBegan(sequence: 1), .blob(sequence: 2, blob())] {
            #expect(try mirror.receive(message, at: start) == .nothing)
        }
        #expect(mirror.duplicateCount == 2)
        #expect(try mirror.receive(.blob(sequence: 3, blob()), at: start) == .apply(blob()))
    }

    @Test func whatIsKnownOutlivesTheConnectionAndNotTheProcess() throws {
        var mirror = try heard(
            .opening(token: 3), .snapshotBegan(sequence: 1), .snapshotEnded(sequence: 2))
        mirror.channelEnded()
        #expect(mirror.acknowledgement == nil)
        mirror.channelBegan(incarnation: 1)
        _ = try mirror.receive(.opening(token: 4), at: start)
        #expect(mirror.acknowledgement == acknowledged(4, 2) && mirror.isWhole)
        mirror.channelBegan(incarnation: 2)
        _ = try mirror.receive(.opening(token: 5), at: start)
        #expect(mirror.acknowledgement == acknowledged(5, nil) && !mirror.isWhole)
    }

    @Test func inSyncNeedsAFreshWordAndAnOpenChannel() throws {
        var mirror = try heard(.snapshotBegan(sequence: 1), .snapshotEnded(sequence: 2))
        #expect(!mirror.isInSync(at: start))
        _ = try mirror.receive(standing(3, told: 1), at: start)
        #expect(!mirror.isInSync(at: start) && mirror.missingCount == 1)
        _ = try mirror.receive(.blob(sequence: 3, blob()), at: start)
        #expect(mirror.missingCount == 0 && !mirror.isInSync(at: start))
        _ = try mirror.receive(standing(3, told: 1, waiting: 2), at: start)
        #expect(!mirror.isInSync(at: start) && mirror.missingCount == 2)
        _ = try mirror.receive(standing(3, told: 1), at: start)
        #expect(mirror.isInSync(at: start + StateMirror.syncSpan))
        #expect(!mirror.isInSync(at: start + StateMirror.syncSpan + .milliseconds(1)))
        mirror.channelEnded()
        #expect(!mirror.isInSync(at: start) && mirror.missingCount == 0)
    }

    @Test func anUnfinishedSnapshotIsNotInSync() throws {
        var mirror = try heard(
            .snapshotBegan(sequence: 1), .blob(sequence: 2, blob()),
            standing(2, told: 1, isComplete: false))
        #expect(!mirror.isInSync(at: start))
        _ = try mirror.receive(.snapshotEnded(sequence: 3), at: start)
        // The word was about the time before the end.
        #expect(!mirror.isInSync(at: start))
    }

    @Test func whatBuildsOnAnotherSnapshotIsNotCounted() throws {
        let mirror = try heard(
            .snapshotBegan(sequence: 1), .snapshotEnded(sequence: 2),
            standing(9, told: 3, base: 8))
        #expect(mirror.missingCount == nil && !mirror.isInSync(at: start))
    }

    @Test func aSnapshotThatEndsTwiceIsAFault() throws {
        var mirror = try heard(.snapshotBegan(sequence: 1), .snapshotEnded(sequence: 2))
        #expect(throws: StateMirrorFault.notArriving) {
            try mirror.receive(.snapshotEnded(sequence: 3), at: start)
        }
    }
}
