// SPDX-License-Identifier: Apache-2.0
//
// Goal: what was told leaves when it must, and no sooner than it pays. Method: the desk alone, on a
// clock of the test's.

import LinuxIO
import Testing
import WireCore

@testable import ProxyService

struct ShadowDeskTests {
    private let now = Instant(nanoseconds: 1_000_000_000)

    @Test func whatNobodyWaitsForLeavesSoon() {
        var desk = ShadowDesk()
        #expect(desk.waitSpan(now: now) == ShadowDesk.turnIntervalMax)
        desk.noteTold(isUrgent: false, now: now)
        desk.noteTold(isUrgent: false, now: now + .milliseconds(4))
        #expect(desk.waitSpan(now: now) == ShadowDesk.deferralSpan)
        #expect(desk.waitSpan(now: now + .milliseconds(4)) == .milliseconds(1))
        #expect(desk.waitSpan(now: now + .milliseconds(9)) == .zero)
        desk.noteCommit()
        #expect(desk.waitSpan(now: now) == ShadowDesk.turnIntervalMax)
    }

    /// Linux acknowledges a request no sooner than after 40 ms by itself (TCP_DELACK_MIN).
    @Test func aClientStillHasWhatWasNotTold() {
        #expect(ShadowDesk.deferralSpan.multiplied(by: 4) < .milliseconds(40))
    }

    @Test func aMoveBelongsToTheConnectionAndNotToASnapshot() {
        var desk = ShadowDesk()
        let (link, channel) = (desk.link, desk.channel)
        desk.beginChannel()
        #expect(desk.link == link)
        #expect(desk.channel != channel)
        desk.endLink()
        #expect(desk.link != link)
    }

    @Test func nobodyIsWaitedForWithoutAChannel() {
        var desk = ShadowDesk()
        desk.heldAnswers = [1]
        desk.heldSince = now
        let mayCollect = desk.mayCollect(now: now)
        let isDue = desk.isDue(now: now)
        #expect(!mayCollect)
        #expect(isDue)
    }

    /// A desk at which so many answers are held, with a new one each hundred microseconds.
    private func busyDesk(heldCount: Int, pendingCount: Int) -> ShadowDesk {
        var desk = ShadowDesk()
        for step in 0..<100 as Range<UInt64> {
            desk.noteReleased(answerCount: 1, now: now + .microseconds(100 * step))
        }
        desk.heldAnswers = Array(repeating: 1, count: heldCount)
        for _ in 0..<pendingCount { desk.noteStanding(from: .idle, to: .asked) }
        desk.heldSince = now
        return desk
    }

    @Test(arguments: [
        (held: 1, pending: 1, waited: 0, waits: true),
        (held: 1, pending: 0, waited: 0, waits: false),
        (held: 0, pending: 9, waited: 0, waits: false),
        (held: ShadowDesk.heldCountMax, pending: 9, waited: 0, waits: false),
        (held: 1, pending: 1, waited: 999, waits: true),
        (held: 1, pending: 1, waited: 1_000, waits: false),
    ])
    func othersAreWaitedForWhileTheyAreToBeExpected(
        held: Int, pending: Int, waited: UInt64, waits: Bool
    ) {
        let desk = busyDesk(heldCount: held, pendingCount: pending)
        let pays = desk.paysToWait(now: now + .microseconds(waited))
        #expect(pays == waits)
    }

    @Test func nobodyIsWaitedForWhenAnswersAreRare() {
        var desk = busyDesk(heldCount: 1, pendingCount: 1)
        for second in 1...3 as ClosedRange<UInt64> {
            desk.noteReleased(answerCount: 1, now: now + .seconds(second))
        }
        let pays = desk.paysToWait(now: now)
        #expect(!pays)
    }

    /// A request that is held is pending itself.
    @Test func aRequestThatIsHeldDoesNotWaitForItself() {
        var desk = busyDesk(heldCount: 0, pendingCount: 1)
        desk.heldRequests = [1]
        let alone = desk.paysToWait(now: now)
        desk.noteStanding(from: .idle, to: .busy)
        let together = desk.paysToWait(now: now)
        #expect(!alone)
        #expect(together)
    }

    /// It has been told, and waits for nobody else.
    @Test func aRequestThatWasToldIsNotWaitedFor() {
        var desk = busyDesk(heldCount: 1, pendingCount: 1)
        desk.heldRequests = [7]
        desk.noteRequestsWritten(now: now)
        #expect(desk.heldRequests.isEmpty)
        #expect(desk.sentRequests.count == 1)
        let pays = desk.paysToWait(now: now)
        #expect(!pays)
        // While it waits itself, the worker looks often.
        #expect(desk.waitSpan(now: now) == ShadowDesk.acknowledgementLookSpan)
        let released = desk.takeAcknowledgedRequests()
        #expect(released == [7])
        #expect(desk.waitSpan(now: now) == ShadowDesk.turnIntervalMax)
    }

    @Test func whoWaitsForOthersWaitsNoLongerThanThat() {
        var desk = busyDesk(heldCount: 1, pendingCount: 1)
        desk.isCollecting = true
        let first = desk.waitSpan(now: now)
        let last = desk.waitSpan(now: now + .seconds(1))
        #expect(first == ShadowDesk.collectingSpan)
        #expect(last == .zero)
    }

    @Test(arguments: [
        (ShadowStanding.idle, ShadowStanding.asked, 1), (.idle, .busy, 1), (.asked, .busy, 0),
        (.idle, .passing, 0),
    ])
    func onlyAnswersThatAreToComeAreCounted(
        from old: ShadowStanding, to new: ShadowStanding, count: Int
    ) {
        var desk = ShadowDesk()
        desk.noteStanding(from: old, to: new)
        #expect(desk.pendingCount == count)
        desk.noteStanding(from: new, to: old)
        #expect(desk.pendingCount == 0)
    }

    @Test func aNewChannelHasNobodyPending() {
        var desk = busyDesk(heldCount: 0, pendingCount: 3)
        desk.beginChannel()
        #expect(desk.pendingCount == 0)
    }
}
