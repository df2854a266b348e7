// SPDX-License-Identifier: Apache-2.0
//
// When a degraded Active gives its addresses away by itself, each reason against it, and how often.

import Testing
import VRRPCore
import WireCore

/// The rule in a box, so that an expectation may ask it.
final class HandoverBench {
    var rule = HandoverAdvice(heartbeatInterval: .milliseconds(100))

    func wants(own: HandoverAdvice.Own, peer: HandoverAdvice.Peer, at now: Instant) -> Bool {
        rule.wantsHandover(own: own, peer: peer, now: now)
    }
}

@Suite struct HandoverAdviceTests {
    static let start = Instant(nanoseconds: 1_000_000_000_000)
    static let own = HandoverAdvice.Own(isActive: true, priority: 150, penaltyPoints: 50)

    static func peer(at instant: Instant) -> HandoverAdvice.Peer {
        HandoverAdvice.Peer(
            isBackup: true, priority: 180, isFaulty: false, isHeld: false, heardAt: instant)
    }

    /// A node that has been Active for long, over a link that has been up for long.
    static func settled() -> (HandoverBench, Instant) {
        let advice = HandoverBench()
        advice.rule.becameActive(now: start)
        advice.rule.linkCameUp(now: start)
        return (advice, start + HandoverAdvice.pause + .seconds(1))
    }

    @Test func aDegradedActiveHandsOverToABetterPeer() {
        let (advice, now) = Self.settled()
        #expect(advice.wants(own: Self.own, peer: Self.peer(at: now), at: now))
    }

    typealias Sides = (own: HandoverAdvice.Own, peer: HandoverAdvice.Peer)

    /// One way each to spoil a good case.
    static let refusals: [@Sendable (inout Sides) -> Void] = [
        { $0.own.isActive = false }, { $0.own.penaltyPoints = 0 }, { $0.own.priority = 180 },
        { $0.peer.isBackup = false }, { $0.peer.priority = nil }, { $0.peer.isFaulty = true },
        { $0.peer.isHeld = true }, { $0.peer.heardAt = start },
    ]

    @Test(arguments: refusals.indices)
    func anyReasonAgainstItIsEnough(_ index: Int) {
        let (advice, now) = Self.settled()
        var sides: Sides = (Self.own, Self.peer(at: now))
        Self.refusals[index](&sides)
        #expect(!advice.wants(own: sides.own, peer: sides.peer, at: now))
        // And the refusal was no advice: the same node hands over as soon as nothing is against it.
        #expect(advice.wants(own: Self.own, peer: Self.peer(at: now), at: now))
    }

    @Test func theLinkMustHaveBeenUpForAWhile() {
        let (advice, now) = Self.settled()
        advice.rule.linkWentDown()
        #expect(!advice.wants(own: Self.own, peer: Self.peer(at: now), at: now))
        advice.rule.linkCameUp(now: now)
        let early = now + .milliseconds(1_999)
        #expect(!advice.wants(own: Self.own, peer: Self.peer(at: early), at: early))
        let late = now + HandoverAdvice.linkUpMin
        #expect(advice.wants(own: Self.own, peer: Self.peer(at: late), at: late))
    }

    @Test func adviceIsGivenOncePerPause() {
        let (advice, now) = Self.settled()
        var times: [Instant] = []
        for step in 0..<1_000 as Range<UInt64> {
            let moment = now + .milliseconds(100 * step)
            if advice.wants(own: Self.own, peer: Self.peer(at: moment), at: moment) {
                times.append(moment)
            }
        }
        #expect(times.count == 10)
        for (earlier, later) in zip(times, times.dropFirst()) {
            #expect(later - earlier >= HandoverAdvice.pause)
        }
    }

    @Test func aFreshActiveKeepsTheAddressesForAWhile() {
        let (advice, now) = Self.settled()
        advice.rule.becameActive(now: now)
        let early = now + (HandoverAdvice.pause - .milliseconds(1))
        #expect(!advice.wants(own: Self.own, peer: Self.peer(at: early), at: early))
        let late = now + HandoverAdvice.pause
        #expect(advice.wants(own: Self.own, peer: Self.peer(at: late), at: late))
    }
}
