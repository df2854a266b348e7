// SPDX-License-Identifier: Apache-2.0
//
// What the state machine does beyond RFC 9568: proven death, hand-over, oversleeping, local
// faults, switchover, preempt delay, announcements after a freeze, limited reports.

import Testing
import VRRPCore
import WireCore

@Suite("Proven death and hand-over")
struct ProvenDeathTests {
    @Test("A Backup takes over at once when the Active it follows is proven dead")
    func takesOverAtOnce() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        let actions = router.provePeerDeath(at: ms(101))
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(actions.transitions.map(\.cause) == [.peerDeathProven])
        #expect(router.deadline == ms(1101))
    }

    @Test("A Backup that heard no Active takes over at once as well")
    func takesOverWhenNobodyWasHeard() throws {
        let router = try RouterUnderTest.started()
        #expect(router.provePeerDeath(at: ms(1)).effects == .becomingActive(priority: 100))
    }

    @Test("The death of a router that is not followed changes nothing")
    func ignoresDeathOfAnotherBackup() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, from: RouterUnderTest.higherAddress, at: ms(100))
        #expect(router.followedAddress == RouterUnderTest.higherAddress)
        #expect(router.provePeerDeath(of: RouterUnderTest.lowerAddress, at: ms(101)) == [])
        #expect(router.state == .backup)
        #expect(router.deadline == us(3_709_375))
    }

    @Test("A Backup that waits to preempt follows the lower Active it discards")
    func takesOverFromLowerPriority() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 50, at: ms(100))
        #expect(router.provePeerDeath(at: ms(101)).effects == .becomingActive(priority: 100))
    }

    @Test("An Active announces again when a peer dies: it may have been a split's other half")
    func announcesWhenActiveLearnsOfDeath() throws {
        let (active, since) = try RouterUnderTest.active()
        #expect(active.provePeerDeath(at: since + ms(500)) == [], "not twice within a second")
        #expect(active.state == .active)
        #expect(active.deadline == since + .seconds(1))
        #expect(
            active.timer(at: since + .seconds(1))
                == [.sendAdvertisement(priority: 100), .announceAddresses])
        active.timer(at: since + .seconds(2))
        #expect(active.provePeerDeath(at: since + ms(2500)) == [.announceAddresses])
    }

    @Test("A router out of service ignores the death of a peer")
    func ignoresDeathOutOfService() throws {
        let idle = try RouterUnderTest()
        #expect(idle.provePeerDeath(at: ms(1)) == [])
        #expect(idle.state == .initialize)
    }

    @Test("The last words of the dead do not depose its successor")
    func ignoresLastWords() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        router.provePeerDeath(at: ms(101))
        let actions = router.hear(priority: 200, at: ms(105))
        #expect(actions.effects == [])
        #expect(actions.reports == [.advertOfTheDead])
        #expect(router.state == .active)
    }

    @Test("Should the dead live after all, our advert finds it and its answer deposes us")
    func yieldsToTheLivingAfterQuarantine() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        router.provePeerDeath(at: ms(101))
        router.hear(priority: 200, at: ms(150))
        #expect(router.deadline == ms(201))
        #expect(router.timer(at: ms(201)) == [.sendAdvertisement(priority: 100)])
        router.hear(priority: 200, at: ms(202))
        #expect(router.state == .backup)
    }

    @Test("A better router that is not the dead one deposes at once")
    func yieldsToOthersDuringQuarantine() throws {
        let router = try RouterUnderTest.started()
        router.provePeerDeath(at: ms(101))
        router.hear(priority: 200, from: RouterUnderTest.higherAddress, at: ms(105))
        #expect(router.state == .backup)
    }

    @Test("A hand-over on the pair link spares Skew_Time")
    func takesOverAtHandOver() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        router.hear(priority: 0, at: ms(150))
        let actions = router.handOver(at: ms(151))
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(actions.transitions.map(\.cause) == [.peerHandedOver])
    }
}

@Suite("Oversleeping")
struct OversleepingTests {
    /// Priority 200 at 10 ms adverts beside a peer of priority 100: 36.09375 ms of silence.
    private func active() throws -> RouterUnderTest {
        let router = try RouterUnderTest(
            priority: 200, interval: ms(10), peerPriorityMax: 100)
        router.startup(at: .zero)
        while let deadline = router.deadline, deadline < ms(100) { router.timer(at: deadline) }
        // A3 sends an advert: the silence counts from 100 ms.
        router.hear(priority: 0, at: ms(100))
        try #require(router.state == .active)
        return router
    }

    static let limit = ms(100) + us(36_093) + .nanoseconds(750)

    @Test("A late timer within the peer's Active_Down_Interval is only late")
    func toleratesDelay() throws {
        let router = try active()
        let actions = router.timer(at: Self.limit - .nanoseconds(1))
        #expect(actions.effects == [.sendAdvertisement(priority: 200)])
        #expect(router.state == .active)
    }

    @Test("A timer later than that releases the addresses and sends nothing")
    func releasesBeforeSendingAnything() throws {
        let router = try active()
        let actions = router.timer(at: Self.limit)
        #expect(actions.effects == [.releaseAddresses(lingering: false)])
        #expect(actions.transitions.map(\.cause) == [.overslept])
        #expect(actions.reports == [.overslept])
        #expect(router.state == .backup)
        #expect(
            router.deadline
                == Self.limit
                + AdvertisementTimers.activeDownInterval(priority: 200, interval: ms(10)))
    }

    @Test("Whatever event comes first after the stall, the release comes before it")
    func releasesBeforeAnyEvent() throws {
        let late = Self.limit + ms(500)
        let events: [(RouterUnderTest) -> [VirtualRouterAction]] = [
            { $0.timer(at: late) },
            { $0.hear(priority: 0, at: late) },
            { $0.hear(priority: 100, at: late) },
            { $0.hear(priority: 255, at: late) },
            { $0.shutdown(at: late) },
            { $0.switchover(at: late) },
            { $0.fault(at: late) },
            { $0.yield(lingering: true, at: late) },
            { $0.endLingering(at: late) },
            { $0.setPriority(1, at: late) },
            { $0.hold([.witnessUnreachable], at: late) },
            { $0.hearOnLink(.active, priority: 255, at: late) },
            { $0.loseLink(at: late) },
            { $0.seeConflict(at: late) },
            { $0.obey(.mayClaim(0), at: late) },
            { $0.obey(.mustYield(0, because: .shutdown, lingering: true), at: late) },
        ]
        for event in events {
            let router = try active()
            #expect(event(router).effects == [.releaseAddresses(lingering: false)])
            #expect(router.state != .active)
        }
    }

    @Test("A peer that is proven dead gives the addresses back at once")
    func takesBackFromTheDead() throws {
        let router = try active()
        let actions = router.provePeerDeath(at: Self.limit)
        #expect(
            actions.effects == [.releaseAddresses(lingering: false)]
                + .becomingActive(priority: 200))
        #expect(actions.transitions.map(\.cause) == [.overslept, .peerDeathProven])
    }

    @Test("An advert out of turn (A3, A5) counts as being heard")
    func countsEveryAdvertSent() throws {
        let router = try active()
        router.hear(priority: 0, at: ms(130))
        #expect(router.timer(at: ms(160)).effects == [.sendAdvertisement(priority: 200)])
    }

    @Test("A Backup that oversleeps just takes over: nobody could have mistaken it")
    func backupMayOversleep() throws {
        let router = try RouterUnderTest.started()
        #expect(router.timer(at: .seconds(900)).effects == .becomingActive(priority: 100))
    }
}

@Suite("Local faults, switchover, preempt delay")
struct OperatorTests {
    @Test("A fault makes the Active give up, recovery goes through startup")
    func givesUpOnFaultAndComesBack() throws {
        let (router, since) = try RouterUnderTest.active()
        let actions = router.fault(at: since + ms(10))
        #expect(actions.effects == .givingUp)
        #expect(actions.transitions.map(\.cause) == [.localFault])
        #expect(router.state == .initialize)
        #expect(router.timer(at: since + .seconds(60)) == [])
        #expect(router.provePeerDeath(at: since + .seconds(60)) == [])
        #expect(router.startup(at: since + .seconds(61)) == [])
        #expect(router.recover(at: since + .seconds(62)).effects == [])
        #expect(router.state == .backup)
        #expect(router.deadline == since + us(62_000_000 + 3_609_375))
    }

    @Test("A faulty Backup leaves silently, a faulty node does not start")
    func staysOutWhileFaulty() throws {
        let backup = try RouterUnderTest.started()
        #expect(backup.fault(at: ms(1)).effects == [])
        #expect(backup.state == .initialize)
        let idle = try RouterUnderTest(priority: 255)
        idle.fault(at: .zero)
        #expect(idle.startup(at: ms(1)) == [])
        #expect(idle.recover(at: ms(2)).effects == .becomingActive(priority: 255))
    }

    @Test("Recovery without startup, or after shutdown, starts nothing")
    func recoversOnlyWhenStarted() throws {
        let idle = try RouterUnderTest()
        #expect(idle.recover(at: ms(1)) == [])
        let router = try RouterUnderTest.started()
        router.fault(at: ms(1))
        router.shutdown(at: ms(2))
        #expect(router.recover(at: ms(3)) == [])
        #expect(router.state == .initialize)
    }

    @Test("A switchover gives up, waits a full Active_Down_Interval and does not preempt")
    func handsOverOnRequest() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        let actions = router.switchover(at: since + ms(10))
        #expect(actions.effects == .givingUp)
        #expect(actions.transitions.map(\.cause) == [.switchoverRequested])
        #expect(router.state == .backup)
        #expect(router.deadline == since + us(10_000 + 3_218_750))
        for second in 1...60 as ClosedRange<UInt64> {
            #expect(router.hear(priority: 100, at: since + .seconds(second)).effects == [])
            #expect(router.timer(at: since + .seconds(second)).effects == [])
        }
        #expect(router.state == .backup)
    }

    @Test("A switchover that no one answers comes back")
    func returnsWhenNobodyTakesOver() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        router.switchover(at: since)
        #expect(
            router.timer(at: since + us(3_218_750)).effects == .becomingActive(priority: 200))
    }

    @Test("After it was Active again a node preempts as before")
    func forgetsSwitchoverOnceActive() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        router.switchover(at: since)
        router.provePeerDeath(at: since + ms(1))
        router.hear(priority: 210, at: since + .seconds(1))
        #expect(router.state == .backup)
        let deadline = router.deadline
        router.hear(priority: 100, at: since + .seconds(2))
        #expect(router.deadline == deadline, "B5 again")
    }

    @Test("A switchover means nothing to a node that is not Active")
    func ignoresSwitchoverInOtherStates() throws {
        let backup = try RouterUnderTest.started()
        #expect(backup.switchover(at: ms(1)) == [])
        #expect(backup.state == .backup)
        let idle = try RouterUnderTest()
        #expect(idle.switchover(at: ms(1)) == [])
        #expect(idle.state == .initialize)
    }

    @Test("Preempt delay counts from startup: until then a lower Active is followed")
    func waitsPreemptDelay() throws {
        let router = try RouterUnderTest.started(priority: 200, preemptDelay: .seconds(10))
        for second in 1...9 as ClosedRange<UInt64> {
            router.hear(priority: 100, at: .seconds(second))
            #expect(router.deadline == .seconds(second) + us(3_218_750))
        }
        router.hear(priority: 100, at: .seconds(10))
        #expect(router.deadline == us(9_000_000 + 3_218_750), "B5 from here on")
        #expect(
            router.timer(at: us(12_218_750)).effects == .becomingActive(priority: 200))
    }

    @Test("Preempt delay does not hold back a node that hears nobody")
    func preemptDelayAllowsEmptySeat() throws {
        let router = try RouterUnderTest.started(priority: 200, preemptDelay: .seconds(600))
        #expect(router.timer(at: us(3_218_750)).effects == .becomingActive(priority: 200))
    }
}

@Suite("Reports and announcements")
struct ReportTests {
    @Test("RFC 9568 §7.1: another interval is kept and reported")
    func reportsInterval() throws {
        let router = try RouterUnderTest.started()
        let actions = router.hear(priority: 200, centiseconds: 10, at: ms(1))
        let notice = VirtualRouterNotice(
            .intervalDiffers, source: RouterUnderTest.lowerAddress, got: 10, wanted: 100)
        #expect(actions == [.report(notice, suppressedCount: 0)])
        #expect(notice.description == "interval_differs: 10.77.0.11 got 10, wanted 100")
        #expect(router.followedAddress == RouterUnderTest.lowerAddress)
    }

    @Test("RFC 9568 §7.1: another address list is kept and reported, another order is not")
    func reportsAddresses() throws {
        let two = [IPAddress(10, 0, 0, 2), IPAddress(10, 0, 0, 1)]
        let router = try RouterUnderTest(addresses: two)
        router.startup(at: .zero)
        #expect(router.hear(priority: 200, addresses: two.reversed(), at: ms(1)).reports == [])
        let actions = router.hear(priority: 200, addresses: [two[0]], at: ms(2))
        #expect(actions.reports == [.addressesDiffer])
        #expect(router.deadline == us(2_000 + 3_609_375), "the advert counts all the same")
    }

    @Test("RFC 9568 §8.3.2: equal priorities are reported")
    func reportsEqualPriorities() throws {
        let router = try RouterUnderTest.started()
        #expect(router.hear(priority: 100, at: ms(1)).reports == [.samePriority])
    }

    @Test("A peer causes one report of a kind in ten seconds; all are counted")
    func limitsReports() throws {
        let router = try RouterUnderTest.started()
        var reports: [VirtualRouterAction] = []
        for time in 0...100 as ClosedRange<UInt64> {
            reports += router.hear(priority: 200, centiseconds: 50, at: ms(time * 100))
        }
        let notice = VirtualRouterNotice(
            .intervalDiffers, source: RouterUnderTest.lowerAddress, got: 50, wanted: 100)
        #expect(
            reports == [
                .report(notice, suppressedCount: 0), .report(notice, suppressedCount: 99),
            ])
        #expect(router.counters.count(of: .intervalDiffers) == 101)
        #expect(router.counters.count(of: .addressesDiffer) == 0)
    }

    @Test("After a takeover by silence the addresses are announced when a frozen peer lost them")
    func announcesAfterLeaseOfFrozenPeer() throws {
        let router = try RouterUnderTest(
            priority: 200, interval: ms(10), addressLease: .seconds(2))
        router.startup(at: .zero)
        let promotion = try #require(router.deadline)
        router.timer(at: promotion)
        var announcementTimes: [TimeSpan] = []
        while let deadline = router.deadline, deadline < .seconds(10) {
            if router.timer(at: deadline).contains(.announceAddresses) {
                announcementTimes.append(deadline)
            }
        }
        #expect(announcementTimes == [promotion + .seconds(2)])
    }

    @Test("An Active announces its addresses every ten seconds, for caches that learnt wrongly")
    func announcesPeriodically() throws {
        let (router, since) = try RouterUnderTest.active(priority: 255)
        var announcementTimes: [TimeSpan] = []
        while let deadline = router.deadline, deadline < .seconds(45) {
            if router.timer(at: deadline).contains(.announceAddresses) {
                announcementTimes.append(deadline - since)
            }
        }
        #expect(announcementTimes == [10, 20, 30, 40].map(TimeSpan.seconds))
    }

    @Test("A peer that gave up or died needs no such announcement")
    func announcesOnceAfterProvenEnd() throws {
        for isProven in [true, false] {
            let router = try RouterUnderTest.started(interval: ms(10))
            if isProven {
                router.provePeerDeath(at: ms(1))
            } else {
                router.hear(priority: 0, at: ms(1))
                router.timer(at: try #require(router.deadline))
            }
            while let deadline = router.deadline, deadline < .seconds(10) {
                router.timer(at: deadline)
            }
            #expect(router.counters.becameActive == 1)
            #expect(router.counters.announcements == 1)
        }
    }
}
