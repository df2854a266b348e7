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
        let mayCollect = desk.mayCollect(eventCount: 5, now: now)
        let isDue = desk.isDue(now: now)
        #expect(!mayCollect)
        #expect(isDue)
    }
}
