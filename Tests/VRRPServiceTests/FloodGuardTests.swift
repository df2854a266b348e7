// SPDX-License-Identifier: Apache-2.0
//
// Goal: ordinary traffic never raises the shield, floods do, at once and not for ever.
// Method: virtual time.

import Testing
import WireCore

@testable import VRRPService

struct FloodGuardTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test func advertsEveryTenMillisecondsFromFiveRoutersAreCalm() {
        var guarded = FloodGuard()
        for tick in 0..<10_000 {
            let now = start + .milliseconds(10).multiplied(by: UInt64(tick))
            for _ in 0..<5 { #expect(guarded.packetArrived(now: now) == .calm) }
        }
        #expect(!guarded.isShielded)
    }

    @Test func burstIsCalmAndOneMoreIsNot() {
        var guarded = FloodGuard()
        for _ in 0..<FloodGuard.burstCount { #expect(guarded.packetArrived(now: start) == .calm) }
        #expect(guarded.packetArrived(now: start) == .raiseShield)
        #expect(guarded.isShielded)
    }

    @Test func whatPassesTheShieldIsJudgedAnewAndThenPaced() {
        var guarded = FloodGuard()
        for _ in 0...FloodGuard.burstCount { _ = guarded.packetArrived(now: start) }
        for _ in 0..<FloodGuard.burstCount { #expect(guarded.packetArrived(now: start) == .calm) }
        #expect(guarded.packetArrived(now: start) == .pause)
        #expect(guarded.packetArrived(now: start) == .pause)
        // After a pause some more are calm.
        let later = start + FloodGuard.pauseDuration
        #expect(guarded.packetArrived(now: later) == .calm)
    }

    @Test func loweredShieldIsRaisedAgainByAFloodThatLasts() {
        var guarded = FloodGuard()
        for _ in 0...FloodGuard.burstCount { _ = guarded.packetArrived(now: start) }
        let later = start + FloodGuard.shieldDuration
        guarded.shieldLowered()
        #expect(!guarded.isShielded)
        var verdicts: Set<FloodGuard.Verdict> = []
        for _ in 0...FloodGuard.burstCount { verdicts.insert(guarded.packetArrived(now: later)) }
        #expect(verdicts == [.calm, .raiseShield])
    }
}
