// SPDX-License-Identifier: Apache-2.0
//
// Priority-0 adverts that come too often, and adverts of two Actives: what a Backup believes.

import Testing
import VRRPCore
import WireCore

@Suite("Farewells of strangers")
struct FarewellPaceTests {
    @Test("Priority 255 and 0 in turns move the addresses a few times, not a hundred a second")
    func flappingStrangerIsSlowedDown() throws {
        let router = try RouterUnderTest.started(interval: ms(10))
        var transitions = 0
        for time in UInt64(1)...5_000 {
            if time % 20 == 0 {
                transitions += router.hear(priority: 255, at: ms(time)).transitions.count
            } else if time % 20 == 10 {
                transitions += router.hear(priority: 0, at: ms(time)).transitions.count
            }
            transitions += router.timer(at: ms(time)).transitions.count
        }
        #expect(transitions > 0, "the first farewells count")
        #expect(transitions <= 8)
    }

    @Test("Three farewells within a second are followed by Skew_Time, the fourth by an interval")
    func fourthFarewellWaitsForInterval() throws {
        let router = try RouterUnderTest.started(priority: 200)
        let skew = AdvertisementTimers.skewTime(priority: 200, interval: .seconds(1))
        for time in [100, 200, 300].map(TimeSpan.milliseconds) {
            router.hear(priority: 0, at: time)
            #expect(router.deadline == time + skew)
        }
        router.hear(priority: 0, at: ms(400))
        #expect(router.deadline == ms(1400))
        // The second is over: as the RFC says.
        router.hear(priority: 250, at: ms(1_000))
        router.hear(priority: 0, at: ms(1_500))
        #expect(router.deadline == ms(1_500) + skew)
    }

    @Test("A farewell never waits for less than Skew_Time")
    func waitIsNeverBelowSkewTime() throws {
        let router = try RouterUnderTest.started(interval: ms(10))
        router.hear(priority: 200, centiseconds: 400, at: ms(1))
        let skew = AdvertisementTimers.skewTime(priority: 100, interval: .seconds(4))
        for time in UInt64(2)...6 { router.hear(priority: 0, at: ms(time)) }
        #expect(router.deadline == ms(6) + skew)
    }
}

@Suite("Two Actives and one Backup")
struct FollowedActiveTests {
    private static let better = RouterUnderTest.higherAddress
    private static let worse = RouterUnderTest.lowerAddress

    @Test("A worse Active that gives up on the link proves nothing while a better one is heard")
    func worseActiveDoesNotHideBetterOne() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 220, from: Self.better, at: ms(100))
        router.hear(priority: 150, from: Self.worse, at: ms(200))
        #expect(router.followedAddress == Self.better)
        router.handOver(from: Self.worse, at: ms(300))
        router.provePeerDeath(of: Self.worse, at: ms(300))
        #expect(router.state == .backup)
        router.provePeerDeath(of: Self.better, at: ms(400))
        #expect(router.state == .active)
    }

    @Test("A better one is followed at once, a worse one after an interval without the better")
    func followsWhoeverRemains() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 150, from: Self.worse, at: ms(100))
        router.hear(priority: 220, from: Self.better, at: ms(200))
        #expect(router.followedAddress == Self.better)
        router.hear(priority: 150, from: Self.worse, at: ms(1_100))
        #expect(router.followedAddress == Self.better)
        router.hear(priority: 150, from: Self.worse, at: ms(2_100))
        #expect(router.followedAddress == Self.worse)
    }

    @Test("Who gave up with priority 0 is hidden by the next one heard")
    func followsNextAfterFarewell() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 220, from: Self.better, at: ms(100))
        router.hear(priority: 0, from: Self.better, at: ms(200))
        router.hear(priority: 150, from: Self.worse, at: ms(300))
        #expect(router.followedAddress == Self.worse)
    }
}
