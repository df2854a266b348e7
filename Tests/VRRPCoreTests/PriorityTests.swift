// SPDX-License-Identifier: Apache-2.0
//
// Penalties: the current priority is what is sent, compared and skewed by.

import Testing
import VRRPCore
import WireCore

@Suite("A priority that changes")
struct PriorityTests {
    @Test("An Active advertises a new priority at once and keeps its pace")
    func activeAdvertisesChangedPriority() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        #expect(
            router.setPriority(150, at: since + ms(300)) == [.sendAdvertisement(priority: 150)])
        #expect(router.deadline == since + ms(1300))
        #expect(
            router.timer(at: since + ms(1300)).effects == [.sendAdvertisement(priority: 150)])
        #expect(router.setPriority(150, at: since + ms(1400)) == [], "nothing changed")
        #expect(router.settings.priority == 200)
    }

    @Test("An Active with penalties yields to a router it was better than")
    func activeComparesCurrentPriority() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        router.hear(priority: 180, at: since + ms(10))
        #expect(router.state == .active)
        router.setPriority(150, at: since + ms(20))
        router.hear(priority: 180, at: since + ms(30))
        #expect(router.state == .backup)
    }

    @Test("A Backup with penalties follows who it would have preempted, and the other way round")
    func backupComparesCurrentPriority() throws {
        let router = try RouterUnderTest.started(priority: 200)
        router.setPriority(100, at: ms(1))
        router.hear(priority: 150, at: ms(100))
        let skew = AdvertisementTimers.skewTime(priority: 100, interval: .seconds(1))
        #expect(router.deadline == ms(3100) + skew)
        router.setPriority(200, at: ms(200))
        router.hear(priority: 150, at: ms(1100))
        let fullSkew = AdvertisementTimers.skewTime(priority: 200, interval: .seconds(1))
        #expect(router.deadline == ms(3100) + fullSkew, "B5: the timer runs on")
        let actions = router.timer(at: ms(3100) + fullSkew)
        #expect(actions.effects == .becomingActive(priority: 200))
    }

    @Test("Skew_Time follows the current priority, after priority 0 as well")
    func skewTimeFollowsPriority() throws {
        let router = try RouterUnderTest.started(priority: 200)
        #expect(router.deadline == ms(3000) + us(218_750))
        router.setPriority(100, at: ms(5))
        #expect(router.deadline == ms(3000) + us(609_375))
        router.hear(priority: 0, at: ms(1000))
        #expect(router.deadline == us(1_609_375))
        router.setPriority(200, at: ms(1001))
        #expect(router.deadline == us(1_218_750))
        #expect(
            router.timer(at: us(1_218_750)).effects == .becomingActive(priority: 200))
    }

    @Test(
        "An owner is never lowered, others never below 1 nor above their base",
        arguments: [(255, 100, 255), (255, 0, 255), (100, 0, 1), (100, 1, 1), (100, 200, 100)]
            as [(UInt8, UInt8, UInt8)])
    func priorityStaysInItsBounds(base: UInt8, wanted: UInt8, expected: UInt8) throws {
        let router = try RouterUnderTest.started(priority: base)
        router.setPriority(wanted, at: ms(1))
        #expect(router.priority == expected)
    }

    @Test("Penalties before startup count, and a farewell still says 0")
    func penaltiesOutliveStates() throws {
        let router = try RouterUnderTest(priority: 200)
        #expect(router.setPriority(120, at: .zero) == [])
        router.startup(at: ms(1))
        let actions = router.timer(at: try #require(router.deadline))
        #expect(actions.effects == .becomingActive(priority: 120))
        #expect(router.shutdown(at: .seconds(4)).effects == .givingUp)
        router.startup(at: .seconds(5))
        #expect(router.priority == 120)
    }

    @Test("A router that overslept says nothing about its new priority")
    func oversleptRouterChangesPriorityInSilence() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        let actions = router.setPriority(100, at: since + .seconds(60))
        #expect(actions.effects == [.releaseAddresses(lingering: false)])
        #expect(router.priority == 100)
    }

    @Test("Who overslept is judged by the best priority a peer can have, not its current one")
    func silenceLimitKnowsNoPenalty() throws {
        let settings = try RouterUnderTest(priority: 200, peerPriorityMax: 150).settings
        #expect(
            settings.silenceMax
                == AdvertisementTimers.activeDownInterval(priority: 150, interval: .seconds(1)))
    }
}
