// SPDX-License-Identifier: Apache-2.0
//
// Split brains as episodes: what begins one, what ends one, what is none, and what it costs to be
// lied to.

import Testing
import VRRPCore
import WireCore

@Suite("Split brain")
struct SplitBrainTests {
    /// An Active of priority 200 that has been so for three seconds.
    private func settled() throws -> (RouterUnderTest, now: TimeSpan) {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        for second in UInt64(1)...3 { router.timer(at: since + .seconds(second)) }
        return (router, since + .seconds(3))
    }

    private func run(_ router: RouterUnderTest, until end: TimeSpan) -> [VirtualRouterAction] {
        var actions: [VirtualRouterAction] = []
        while let deadline = router.deadline, deadline <= end {
            actions += router.timer(at: deadline)
        }
        return actions
    }

    @Test("An advert of another Active begins it, silence ends it, the winner announces")
    func advertBeginsSplit() throws {
        let (router, now) = try settled()
        let began = router.hear(priority: 100, at: now + ms(500))
        #expect(began.splits == [.began])
        let split = try #require(router.split)
        #expect(split.first == .advertisement)
        #expect(split.party == .router(RouterUnderTest.lowerAddress))
        #expect(router.hear(priority: 100, at: now + ms(1500)).splits == [], "the same one")
        let actions = run(router, until: now + .seconds(20))
        #expect(actions.splits == [.ended(.healed)])
        #expect(actions.contains(.announceAddresses))
        #expect(router.split == nil)
        #expect(router.counters.splits(of: .advertisement) == 1)
    }

    @Test("It ends four intervals of the slower router after the last advert")
    func splitOutlastsSlowAdverts() throws {
        let (router, now) = try settled()
        router.hear(priority: 100, centiseconds: 500, at: now + ms(500))
        _ = run(router, until: now + ms(20_499))
        #expect(router.split != nil)
        _ = run(router, until: now + ms(20_500))
        #expect(router.split == nil)
    }

    @Test("Priority 0 of the other one ends it at once")
    func farewellEndsSplit() throws {
        let (router, now) = try settled()
        router.hear(priority: 100, at: now + ms(100))
        let actions = router.hear(priority: 0, at: now + ms(1200))
        #expect(actions.splits == [.ended(.healed)])
        #expect(actions.contains(.announceAddresses))
    }

    @Test("Without Preempt_Mode who loses has seen a split brain as well")
    func loserWithoutPreemptionCountsSplit() throws {
        let (router, since) = try RouterUnderTest.active(preempts: false)
        let actions = router.hear(priority: 200, at: since + ms(500))
        #expect(actions.splits == [.began, .ended(.yielded)])
        #expect(router.counters.splitCount == 1)
        #expect(router.state == .backup)
    }

    @Test("Preemption as the RFC means it is no split brain, for neither side")
    func preemptionIsNoSplit() throws {
        let (former, since) = try RouterUnderTest.active()
        #expect(former.hear(priority: 200, at: since + ms(500)).splits == [])
        let next = try RouterUnderTest.started(priority: 200)
        for second in UInt64(0)...3 { next.hear(priority: 100, at: .seconds(second)) }
        let promotion = try #require(next.deadline)
        next.timer(at: promotion)
        // The parting advert of the former Active.
        let actions = next.hear(priority: 100, at: promotion + ms(2))
        #expect(actions.splits == [])
        #expect(next.counters.splitCount == 0)
        // A second interval later it should have gone.
        next.timer(at: promotion + .seconds(1))
        #expect(next.hear(priority: 100, at: promotion + ms(1200)).splits == [.began])
    }

    @Test("Who was Backup on the link a moment ago has just preempted: no split brain")
    func linkTellsPreemptionFromSplit() throws {
        let (router, since) = try RouterUnderTest.active(preempts: false)
        router.hearOnLink(.backup, priority: 200, at: since + ms(400))
        #expect(router.hear(priority: 200, at: since + ms(500)).splits == [])
        #expect(router.state == .backup)
        let (other, start) = try RouterUnderTest.active(priority: 200, preempts: true)
        other.hearOnLink(.active, priority: 100, at: start + ms(400))
        #expect(other.counters.splitCount == 1)
    }

    @Test("The last words of a worse router that died are no split brain")
    func lastWordsAreNoSplit() throws {
        let router = try RouterUnderTest.started(priority: 200, preempts: false)
        router.hear(priority: 100, at: ms(100))
        router.provePeerDeath(at: ms(101))
        #expect(router.hear(priority: 100, at: ms(150)).splits == [])
        #expect(router.counters.splitCount == 0)
        #expect(router.hear(priority: 100, at: ms(300)).splits == [.began], "it lives")
    }

    @Test("A router that gave up and came back is heard at once: its adverts do not lag")
    func returnAfterFarewellDeposes() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        router.hear(priority: 0, at: ms(200))
        let promotion = try #require(router.deadline)
        router.timer(at: promotion)
        router.hear(priority: 200, at: promotion + ms(10))
        #expect(router.state == .backup)
    }

    @Test("More evidence joins the same episode")
    func evidenceJoins() throws {
        let (router, now) = try settled()
        #expect(router.hear(priority: 100, at: now + ms(100)).splits == [.began])
        #expect(
            router.hearOnLink(.active, priority: 100, at: now + ms(150)).splits
                == [.spread(.link)])
        #expect(router.seeConflict(at: now + ms(200)).splits == [.spread(.addressConflict)])
        #expect(router.split?.evidence == Set(SplitEvidence.allCases))
        #expect(router.split?.first == .advertisement)
        #expect(router.counters.splitCount == 1)
    }

    @Test("The link's word ends the link's evidence; adverts end an interval after the last one")
    func linkEndsSplitOfAdverts() throws {
        let (router, now) = try settled()
        router.hear(priority: 100, at: now + ms(100))
        router.hearOnLink(.active, priority: 100, at: now + ms(150))
        #expect(router.hearOnLink(.backup, priority: 100, at: now + ms(200)).splits == [])
        #expect(router.split != nil)
        #expect(
            router.hearOnLink(.backup, priority: 100, at: now + ms(1100)).splits
                == [.ended(.healed)])
    }

    @Test("A silent link ends what only the link has seen")
    func silentLinkEndsItsEvidence() throws {
        let (router, now) = try settled()
        router.hearOnLink(.active, priority: 100, at: now + ms(150))
        #expect(router.loseLink(at: now + ms(700)).splits == [.ended(.healed)])
    }

    @Test("Leaving Active ends it: shutdown, fault, switchover, oversleeping")
    func leavingEndsSplit() throws {
        let exits: [(RouterUnderTest, TimeSpan) -> [VirtualRouterAction]] = [
            { $0.shutdown(at: $1) }, { $0.fault(at: $1) }, { $0.switchover(at: $1) },
            { $0.timer(at: $1 + .seconds(60)) },
        ]
        let outcomes: [SplitReport.Outcome] = [.outOfService, .outOfService, .yielded, .yielded]
        for (exit, outcome) in zip(exits, outcomes) {
            let (router, now) = try settled()
            router.hear(priority: 100, at: now + ms(100))
            #expect(exit(router, now + ms(200)).splits == [.ended(outcome)])
            #expect(router.split == nil)
        }
    }

    @Test("Forged adverts cost at most one report in ten seconds, and every episode counts")
    func forgedSplitsAreReportedRarely() throws {
        let (router, now) = try settled()
        var actions: [VirtualRouterAction] = []
        for second in UInt64(0)..<60 {
            let time = now + ms(second * 1000 + 50)
            actions += router.hear(priority: 100, at: time)
            actions += router.hear(priority: 0, at: time + ms(100))
            actions += run(router, until: now + ms(second * 1000 + 1000))
        }
        #expect(router.counters.splitCount == 60)
        #expect(actions.splits.count { $0 == .began } == 6)
        #expect(actions.splits.count { $0 == .ended(.healed) } == 6)
        #expect(router.state == .active)
    }
}

@Suite("Address conflict")
struct AddressConflictTests {
    private func settled() throws -> (RouterUnderTest, now: TimeSpan) {
        let (router, since) = try RouterUnderTest.active()
        for second in UInt64(1)...5 { router.timer(at: since + .seconds(second)) }
        return (router, since + .seconds(5))
    }

    @Test("A stranger with our address is announced against, counted, and never obeyed")
    func strangerIsDefendedAgainst() throws {
        let (router, now) = try settled()
        let actions = router.seeConflict(at: now + ms(10))
        #expect(actions.effects == [.announceAddresses])
        #expect(actions.reports == [.addressConflict])
        #expect(actions.splits == [.began])
        #expect(router.state == .active)
        #expect(router.split?.party == .stranger(RouterUnderTest.stranger))
        #expect(router.counters.splits(of: .addressConflict) == 1)
        #expect(router.counters.addressConflicts == 1)
    }

    @Test("A flood of conflicts is defended against once a second")
    func defenceIsLimited() throws {
        let (router, now) = try settled()
        var actions: [VirtualRouterAction] = []
        for time in UInt64(10)..<3_010 {
            actions += router.timer(at: now + ms(time))
            actions += router.seeConflict(at: now + ms(time))
        }
        #expect(actions.count { $0 == .announceAddresses } == 3)
        #expect(actions.reports == [.addressConflict])
        #expect(actions.splits == [.began])
        #expect(router.counters.addressConflicts == 3_000)
        #expect(router.state == .active)
    }

    @Test("It ends when two rounds of announcements found nobody")
    func conflictEnds() throws {
        let (router, now) = try settled()
        router.seeConflict(at: now + ms(10))
        var ended: TimeSpan?
        while ended == nil, let deadline = router.deadline, deadline < now + .seconds(60) {
            if router.timer(at: deadline).splits == [.ended(.healed)] { ended = deadline }
        }
        #expect(ended == now + ms(10) + .seconds(12))
    }

    @Test("The kernel of a silent Active answers until its lease ends: that is no split brain")
    func leaseOfTheSilentIsNoSplit() throws {
        let (router, since) = try RouterUnderTest.active()
        #expect(router.seeConflict(at: since + ms(1900)).splits == [])
        #expect(router.counters.addressConflicts == 1)
        router.timer(at: since + ms(1950))
        #expect(router.seeConflict(at: since + ms(3100)).splits == [.began])
    }

    @Test("Only an Active minds", arguments: [true, false])
    func othersIgnoreConflicts(isStarted: Bool) throws {
        let router = try RouterUnderTest()
        if isStarted { router.startup(at: .zero) }
        #expect(router.seeConflict(at: ms(10)) == [])
        #expect(router.counters.addressConflicts == 0)
    }
}
