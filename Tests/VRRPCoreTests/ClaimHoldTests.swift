// SPDX-License-Identifier: Apache-2.0
//
// Holds: what keeps a Backup from taking over, what does not, and that it can be seen.

import Testing
import VRRPCore
import WireCore

@Suite("A Backup that may not claim")
struct ClaimHoldTests {
    private let downInterval = AdvertisementTimers.activeDownInterval(
        priority: 100, interval: .seconds(1))

    @Test("Without its witness a Backup does not believe in silence; it re-arms and says so once")
    func heldBackupReArms() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: .zero)
        router.hold([.witnessUnreachable], at: ms(10))
        let first = router.timer(at: downInterval)
        #expect(first.effects == [])
        #expect(first.reports == [.heldByWitness])
        #expect(router.isHeldBack)
        #expect(router.deadline == downInterval + downInterval)
        for count in UInt64(2)...50 {
            #expect(router.timer(at: downInterval.multiplied(by: count)) == [])
        }
        #expect(router.state == .backup)
        #expect(router.counters.heldTakeovers == 1)
        #expect(router.counters.count(of: .heldByWitness) == 1)
    }

    @Test("When the witness is back silence has to last once more")
    func silenceCountsAnewAfterHold() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: .zero)
        router.hold([.witnessUnreachable], at: ms(10))
        router.timer(at: downInterval)
        router.hold([], at: .seconds(5))
        #expect(!router.isHeldBack)
        #expect(router.deadline == .seconds(5) + downInterval)
        #expect(
            router.timer(at: .seconds(5) + downInterval).effects
                == .becomingActive(priority: 100))
    }

    @Test("A hold that came and went before the timer fired changes nothing")
    func briefHoldCostsNothing() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: .zero)
        router.hold([.witnessUnreachable], at: ms(10))
        router.hold([], at: ms(500))
        #expect(router.deadline == downInterval)
        #expect(router.timer(at: downInterval).effects == .becomingActive(priority: 100))
        #expect(router.counters.heldTakeovers == 0)
    }

    @Test("An advert of the Active ends what was held back")
    func advertEndsHeldTakeover() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: .zero)
        router.hold([.witnessUnreachable], at: ms(10))
        router.timer(at: downInterval)
        router.hear(priority: 200, at: .seconds(4))
        #expect(!router.isHeldBack)
        #expect(router.deadline == .seconds(4) + downInterval)
        router.timer(at: .seconds(4) + downInterval)
        #expect(router.counters.heldTakeovers == 2, "a second silence is a second takeover")
    }

    @Test("Proof that the Active is gone counts without a witness")
    func proofOverridesWitness() throws {
        let proofs: [(RouterUnderTest) -> [VirtualRouterAction]] = [
            { $0.provePeerDeath(at: ms(100)) },
            { $0.handOver(at: ms(100)) },
            { $0.takeHandover(at: ms(100)) },
            { router in
                router.hear(priority: 0, at: ms(100))
                return router.timer(at: router.deadline ?? .zero)
            },
        ]
        for proof in proofs {
            let router = try RouterUnderTest.started()
            router.hear(priority: 200, at: ms(1))
            router.hold([.witnessUnreachable], at: ms(10))
            #expect(proof(router).effects == .becomingActive(priority: 100))
        }
    }

    @Test("With another configuration not even proof counts")
    func configurationHoldStandsAgainstProof() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(1))
        #expect(router.mayTakeHandover)
        router.hold([.differentConfiguration], at: ms(10))
        #expect(!router.mayTakeHandover)
        let actions = router.provePeerDeath(at: ms(100))
        #expect(actions.effects == [])
        #expect(actions.reports == [.heldByConfiguration])
        #expect(router.isHeldBack)
        router.takeHandover(at: ms(150))
        router.hear(priority: 0, at: ms(200))
        router.timer(at: try #require(router.deadline))
        router.timer(at: try #require(router.deadline))
        #expect(router.state == .backup)
        router.hold([], at: .seconds(20))
        router.timer(at: .seconds(20) + downInterval)
        #expect(router.state == .active)
    }

    @Test("At a cold start, with nobody Active, the configuration does not matter")
    func configurationHoldNeedsAnActive() throws {
        let router = try RouterUnderTest.started()
        router.hold([.differentConfiguration], at: ms(10))
        #expect(router.timer(at: downInterval).effects == .becomingActive(priority: 100))
    }

    @Test("The witness matters at a cold start: a deaf node must not answer")
    func witnessHoldNeedsNoActive() throws {
        let router = try RouterUnderTest.started()
        router.hold([.witnessUnreachable], at: ms(10))
        #expect(router.timer(at: downInterval).effects == [])
        let owner = try RouterUnderTest(priority: 255)
        owner.hold([.witnessUnreachable], at: .zero)
        #expect(owner.startup(at: ms(1)).effects == [])
        #expect(owner.state == .backup)
        owner.hold([], at: ms(300))
        #expect(
            owner.timer(at: try #require(owner.deadline)).effects
                == .becomingActive(priority: 255))
    }

    @Test("A hold never troubles an Active", arguments: ClaimHold.allCases)
    func activeIsNeverHeld(hold: ClaimHold) throws {
        let (router, since) = try RouterUnderTest.active()
        #expect(router.hold([hold], at: since + ms(1)) == [])
        #expect(router.timer(at: since + .seconds(1)) == [.sendAdvertisement(priority: 100)])
        #expect(router.state == .active)
    }

    @Test("A held node that would preempt does not")
    func heldBackupDoesNotPreempt() throws {
        let router = try RouterUnderTest.started(priority: 200)
        router.hold([.differentConfiguration], at: .zero)
        for second in UInt64(1)...30 {
            router.hear(priority: 100, at: .seconds(second))
            if let deadline = router.deadline, deadline <= .seconds(second) {
                router.timer(at: .seconds(second))
            }
        }
        #expect(router.state == .backup)
        #expect(router.isHeldBack)
    }

    @Test("A node that does not know what the Active knows preempts as soon as it does")
    func preemptionWaitsForSynchronization() throws {
        let router = try RouterUnderTest.started(priority: 200)
        router.hold([.synchronizing], at: .zero)
        for second in UInt64(1)...30 {
            router.hear(priority: 100, at: .seconds(second))
            #expect(router.deadline.map { $0 > .seconds(second) } == true)
        }
        #expect(router.state == .backup)
        #expect(!router.isHeldBack, "nothing was due")
        router.hold([], at: .seconds(30) + ms(1))
        let deadline = try #require(router.deadline)
        router.hear(priority: 100, at: .seconds(31))
        #expect(router.deadline == deadline, "discarded: the timer runs on")
        router.timer(at: deadline)
        #expect(router.state == .active)
    }

    @Test("A node that does not know what the Active knew replaces a silent one all the same")
    func silenceIsFilledWithoutSynchronization() throws {
        let router = try RouterUnderTest.started(priority: 100)
        router.hold([.synchronizing], at: .zero)
        router.hear(priority: 200, at: .seconds(1))
        let deadline = try #require(router.deadline)
        router.timer(at: deadline)
        #expect(router.state == .active)
    }

    @Test("What is held, and since when, can be read")
    func holdsAreVisible() throws {
        let router = try RouterUnderTest.started()
        router.hold([.differentConfiguration], at: ms(10))
        router.hold([.differentConfiguration, .witnessUnreachable], at: ms(20))
        #expect(router.holds.map(\.hold) == [.witnessUnreachable, .differentConfiguration])
        let since = router.holds.map(\.since)
        #expect(since[0] - since[1] == ms(10), "each counts from its own beginning")
        router.hold([.witnessUnreachable], at: ms(30))
        #expect(router.holds.map(\.since) == [since[0]])
        router.hold([], at: ms(40))
        #expect(router.holds.isEmpty)
    }

    @Test("Another hold that takes over is reported as well")
    func eachReasonIsReported() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: .zero)
        router.hold([.witnessUnreachable], at: ms(10))
        #expect(router.timer(at: downInterval).reports == [.heldByWitness])
        let change = router.hold([.differentConfiguration], at: .seconds(4))
        #expect(change.reports == [.heldByConfiguration])
        #expect(router.isHeldBack)
        let deadline = try #require(router.deadline)
        router.timer(at: deadline)
        router.provePeerDeath(at: deadline + ms(1))
        #expect(router.state == .backup)
        #expect(router.counters.heldTakeovers == 1)
    }
}
