// SPDX-License-Identifier: Apache-2.0
//
// The state table of RFC 9568 §6.4, one test per row; the rows are named I1..O1.
//
// Own priority 100 and 1 s adverts unless said otherwise: Skew_Time 609.375 ms,
// Active_Down_Interval 3609.375 ms.

import Testing
import VRRPCore
import WireCore

@Suite("State table: Initialize")
struct InitializeRows {
    @Test("I1, RFC 9568 §6.4.1: the owner becomes Active at startup")
    func ownerBecomesActiveAtStartup() throws {
        let router = try RouterUnderTest(priority: 255)
        #expect(router.state == .initialize)
        #expect(router.deadline == nil)
        let actions = router.startup(at: ms(7))
        #expect(actions.effects == .becomingActive(priority: 255))
        #expect(router.state == .active)
        #expect(router.deadline == ms(1007))
        #expect(
            actions.transitions == [
                VirtualRouterTransition(from: .initialize, to: .active, cause: .startup)
            ])
    }

    @Test("I2, RFC 9568 §6.4.1: everyone else becomes Backup and sends nothing")
    func othersBecomeBackupAtStartup() throws {
        let router = try RouterUnderTest(priority: 100)
        let actions = router.startup(at: .zero)
        #expect(actions.effects == [])
        #expect(router.state == .backup)
        #expect(router.learnedInterval == .seconds(1))
        #expect(router.deadline == us(3_609_375))
    }

    @Test("RFC 9568 §6.4.1: adverts and timers mean nothing before startup")
    func ignoresEverythingBeforeStartup() throws {
        let router = try RouterUnderTest()
        #expect(router.hear(priority: 0, at: ms(1)).effects == [])
        #expect(router.hear(priority: 200, at: ms(2)).effects == [])
        #expect(router.timer(at: ms(100_000)) == [])
        #expect(router.shutdown(at: ms(100_001)) == [])
        #expect(router.state == .initialize)
        #expect(router.deadline == nil)
    }

    @Test("A second startup changes nothing")
    func ignoresSecondStartup() throws {
        let router = try RouterUnderTest.started()
        #expect(router.startup(at: ms(500)) == [])
        #expect(router.deadline == us(3_609_375))
        let (active, since) = try RouterUnderTest.active()
        #expect(active.startup(at: since + ms(1)) == [])
        #expect(active.state == .active)
    }
}

@Suite("State table: Backup")
struct BackupRows {
    @Test("B1, RFC 9568 §6.4.2: shutdown is silent")
    func shutsDownSilently() throws {
        let router = try RouterUnderTest.started()
        let actions = router.shutdown(at: ms(10))
        #expect(actions.effects == [])
        #expect(router.state == .initialize)
        #expect(router.deadline == nil)
        #expect(router.timer(at: ms(10_000)) == [])
    }

    @Test("B2, RFC 9568 §6.4.2: becomes Active when Active_Down_Timer fires")
    func becomesActiveWhenActiveDownTimerFires() throws {
        let router = try RouterUnderTest.started()
        #expect(router.timer(at: us(3_609_374)) == [])
        #expect(router.state == .backup)
        let actions = router.timer(at: us(3_609_375))
        // RFC 9568 §8.1.2: no announcement before the addresses are configured.
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(router.state == .active)
        #expect(router.deadline == us(4_609_375))
        #expect(actions.transitions.map(\.cause) == [.activeDownTimerFired])
        #expect(actions.last == .recordTransition(actions.transitions[0]))
    }

    @Test("B3, RFC 9568 §6.4.2: priority 0 sets the timer to Skew_Time")
    func waitsSkewTimeAfterPriorityZero() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        #expect(router.hear(priority: 0, at: ms(1000)).effects == [])
        #expect(router.state == .backup)
        #expect(router.deadline == us(1_609_375))
        #expect(router.timer(at: us(1_609_374)) == [])
        let actions = router.timer(at: us(1_609_375))
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(actions.transitions.map(\.cause) == [.activeGaveUp])
    }

    @Test(
        "B4, RFC 9568 §6.4.2: adopts the interval and re-arms, better or equal priority",
        arguments: [100, 101, 200, 254, 255] as [UInt8])
    func adoptsIntervalOfBetterActive(priority: UInt8) throws {
        let router = try RouterUnderTest.started()
        #expect(router.hear(priority: priority, centiseconds: 10, at: ms(500)).effects == [])
        #expect(router.learnedInterval == ms(100))
        #expect(router.deadline == us(500_000 + 360_937) + .nanoseconds(500))
        router.hear(priority: priority, centiseconds: 4095, at: ms(600))
        #expect(router.learnedInterval == ms(40_950))
        #expect(router.deadline == ms(600) + .nanoseconds(147_803_906_250))
    }

    @Test("B4, RFC 9568 §6.4.2: without Preempt_Mode a lower priority counts as well")
    func followsLowerPriorityWithoutPreemptMode() throws {
        let router = try RouterUnderTest.started(priority: 100, preempts: false)
        #expect(router.hear(priority: 1, centiseconds: 10, at: ms(500)).effects == [])
        #expect(router.learnedInterval == ms(100))
        #expect(router.deadline == us(860_937) + .nanoseconds(500))
    }

    @Test("B5, RFC 9568 §6.4.2: a lower priority is discarded and the timer runs on")
    func discardsLowerPriorityAndKeepsTimer() throws {
        let router = try RouterUnderTest.started()
        for time in stride(from: UInt64(100), to: 3600, by: 100) {
            let actions = router.hear(priority: 99, centiseconds: 10, at: ms(time))
            #expect(actions.effects == [])
            #expect(router.deadline == us(3_609_375))
            #expect(router.learnedInterval == .seconds(1))
        }
        #expect(
            router.timer(at: us(3_609_375)).effects == .becomingActive(priority: 100))
    }

    @Test(
        "B6, RFC 9568 §6.4.2: with equal priorities addresses are not compared",
        arguments: [RouterUnderTest.lowerAddress, RouterUnderTest.higherAddress])
    func ignoresAddressesInBackup(source: IPAddress) throws {
        let router = try RouterUnderTest.started()
        #expect(router.hear(priority: 100, from: source, at: ms(1000)).effects == [])
        #expect(router.deadline == us(4_609_375))
    }

    @Test("B7, RFC 9568 §6.4.2: a Backup never claims, sends or announces")
    func staysSilentWhileActiveIsHeard() throws {
        let router = try RouterUnderTest.started()
        var actions: [VirtualRouterAction] = []
        for second in UInt64(1)...600 {
            actions += router.hear(priority: 200, at: ms(second * 1000))
            actions += router.timer(at: ms(second * 1000 + 999))
        }
        #expect(actions.effects == [])
        #expect(router.counters.advertisementsSent == 0)
        #expect(router.counters.advertisementsReceived == 600)
    }
}

@Suite("State table: Active")
struct ActiveRows {
    @Test("A1, RFC 9568 §6.4.3: shutdown sends priority 0")
    func sendsPriorityZeroAtShutdown() throws {
        let (router, since) = try RouterUnderTest.active()
        let actions = router.shutdown(at: since + ms(5))
        #expect(actions.effects == .givingUp)
        #expect(router.state == .initialize)
        #expect(router.deadline == nil)
        #expect(router.counters.priorityZeroSent == 1)
        #expect(router.settings.advertisement(priority: 0).priority == 0)
    }

    @Test("A2, RFC 9568 §6.4.3: advertises when Adver_Timer fires and re-arms")
    func advertisesPeriodically() throws {
        let (router, since) = try RouterUnderTest.active(interval: ms(10))
        for count in UInt64(1)...100 {
            #expect(router.timer(at: since + ms(count * 10) - us(1)) == [])
            let actions = router.timer(at: since + ms(count * 10))
            #expect(actions == [.sendAdvertisement(priority: 100)])
            #expect(router.deadline == since + ms(count * 10 + 10))
        }
    }

    @Test("A2: a late timer keeps the pace, a very late one starts a new pace")
    func keepsPace() throws {
        let (router, since) = try RouterUnderTest.active()
        router.timer(at: since + ms(1300))
        #expect(router.deadline == since + ms(2000))
        let actions = router.timer(at: since + ms(4200))
        #expect(actions.effects.count { $0 == .sendAdvertisement(priority: 100) } == 1)
        #expect(router.deadline == since + ms(5200))
    }

    @Test("A3, RFC 9568 §6.4.3: priority 0 is answered at once and Adver_Timer re-armed")
    func answersPriorityZero() throws {
        let (router, since) = try RouterUnderTest.active()
        let actions = router.hear(priority: 0, at: since + ms(400))
        #expect(actions.effects == [.sendAdvertisement(priority: 100)])
        #expect(router.state == .active)
        #expect(router.deadline == since + ms(1400))
    }

    @Test(
        "A4, RFC 9568 §6.4.3: a higher priority deposes, Preempt_Mode or not",
        arguments: [true, false])
    func stepsDownForHigherPriority(preempts: Bool) throws {
        let (router, since) = try RouterUnderTest.active(preempts: preempts)
        let actions = router.hear(priority: 101, centiseconds: 10, at: since + ms(300))
        // The last advert is not in the RFC: it makes the winner announce after a split.
        #expect(
            actions.effects == [
                .releaseAddresses(lingering: false), .sendAdvertisement(priority: 100),
            ])
        #expect(router.state == .backup)
        #expect(router.learnedInterval == ms(100))
        #expect(router.deadline == since + us(660_937) + .nanoseconds(500))
        #expect(actions.transitions.map(\.cause) == [.higherPriorityHeard])
    }

    @Test("A4, RFC 9568 §6.4.3: an equal priority deposes when its address is greater")
    func stepsDownForGreaterAddress() throws {
        let (router, since) = try RouterUnderTest.active()
        router.hear(priority: 100, from: RouterUnderTest.higherAddress, at: since + ms(300))
        #expect(router.state == .backup)
        #expect(router.deadline == since + us(3_909_375))
    }

    @Test(
        "A5, RFC 9568 §6.4.3: anything else is discarded and answered with an advert",
        arguments: zip(
            [99, 100] as [UInt8], [RouterUnderTest.higherAddress, RouterUnderTest.lowerAddress]))
    func assertsRole(priority: UInt8, source: IPAddress) throws {
        let (router, since) = try RouterUnderTest.active()
        let deadline = router.deadline
        let actions = router.hear(
            priority: priority, from: source, centiseconds: 7, at: since + ms(300))
        #expect(actions.effects == [.sendAdvertisement(priority: 100)])
        #expect(actions.reports.contains(.lowerPriorityActive))
        #expect(router.state == .active)
        #expect(router.learnedInterval == .seconds(1))
        #expect(try #require(router.deadline) <= #require(deadline))
    }

    @Test("A6, RFC 9568 §6.4.3: our own priority and address change nothing but the log")
    func reportsOwnAdvertisement() throws {
        let (router, since) = try RouterUnderTest.active()
        let deadline = router.deadline
        let actions = router.hear(
            priority: 100, from: RouterUnderTest.own, at: since + ms(300))
        #expect(actions.effects == [])
        #expect(actions.reports == [.samePriorityAndAddress])
        #expect(router.state == .active)
        #expect(router.deadline == deadline)
    }

    @Test("A7, RFC 9568 §6.1: Accept_Mode is true: Active always means holding the addresses")
    func acceptsWhileActive() throws {
        // A deviation from the default: a balancer that does not accept is unreachable.
        let (router, since) = try RouterUnderTest.active()
        var effects: [VirtualRouterAction] = []
        for count in UInt64(1)...20 {
            effects += router.timer(at: since + ms(count * 1000)).effects
        }
        #expect(!effects.contains(.releaseAddresses(lingering: false)))
        #expect(router.state == .active)
    }
}

@Suite("State table: owner")
struct OwnerRows {
    @Test(
        "O1, RFC 9568 §6.1: the owner preempts whatever Preempt_Mode says",
        arguments: [true, false])
    func ownerAlwaysPreempts(preempts: Bool) throws {
        let router = try RouterUnderTest(priority: 255, preempts: preempts)
        router.startup(at: .zero)
        #expect(router.state == .active)
        // It can only be in Backup after it overslept; then it is in force as well.
        router.timer(at: .seconds(60))
        #expect(router.state == .backup)
        let deadline = router.deadline
        router.hear(priority: 254, at: .seconds(61))
        #expect(router.deadline == deadline)
        #expect(
            router.timer(at: try #require(deadline)).effects
                == .becomingActive(priority: 255))
    }

    @Test("O1, RFC 9568 §6.4.3: the owner never yields to a backup")
    func ownerAssertsItself() throws {
        let (router, _) = try RouterUnderTest.active(priority: 255)
        #expect(
            router.hear(priority: 254, at: ms(10)).effects
                == [.sendAdvertisement(priority: 255)])
        #expect(router.state == .active)
    }
}
