// SPDX-License-Identifier: Apache-2.0
//
// The planned switchover in two steps: the old node lingers, the new one claims at once, and
// neither comes back by itself.

import Testing
import VRRPCore
import WireCore

@Suite("Planned switchover")
struct PlannedSwitchoverTests {
    private let lingering: [VirtualRouterAction] = [
        .releaseAddresses(lingering: true), .sendAdvertisement(priority: 0),
    ]

    @Test("The old node sends priority 0 and keeps the addresses quietly until its work is done")
    func oldNodeLingers() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        let actions = router.yield(lingering: true, at: since + ms(500))
        #expect(actions.effects == lingering)
        #expect(actions.transitions.map(\.cause) == [.switchoverRequested])
        #expect(router.state == .backup)
        #expect(router.isLingering)
        router.hear(priority: 100, at: since + ms(600))
        #expect(router.isLingering, "the new Active does not end it")
        #expect(
            router.endLingering(at: since + .seconds(5))
                == [.releaseAddresses(lingering: false)])
        #expect(!router.isLingering)
        #expect(router.endLingering(at: since + .seconds(6)) == [], "once is enough")
    }

    @Test(
        "It does not preempt back, whatever its priority, as owner too",
        arguments: [200, 255] as [UInt8])
    func oldNodeDoesNotPreempt(priority: UInt8) throws {
        let (router, since) = try RouterUnderTest.active(priority: priority)
        router.yield(lingering: true, at: since + ms(500))
        #expect(router.hasYielded)
        for second in UInt64(1)...600 {
            router.hear(priority: 100, at: since + .seconds(second))
            if let deadline = router.deadline, deadline <= since + .seconds(second) {
                router.timer(at: since + .seconds(second))
            }
        }
        #expect(router.state == .backup)
    }

    @Test("Should nobody claim, the old node comes back and the addresses were never gone")
    func oldNodeComesBack() throws {
        let (router, since) = try RouterUnderTest.active()
        router.yield(lingering: true, at: since + ms(500))
        let deadline = try #require(router.deadline)
        let actions = router.timer(at: deadline)
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(!router.isLingering)
        #expect(router.endLingering(at: deadline + ms(1)) == [])
        #expect(router.state == .active, "the end of lingering is no end of being Active")
    }

    @Test("Should the new Active die, the lingering node takes its addresses up again")
    func lingeringNodeTakesOverFromDead() throws {
        let (router, since) = try RouterUnderTest.active()
        router.yield(lingering: true, at: since + ms(500))
        router.hear(priority: 90, at: since + ms(510))
        let actions = router.provePeerDeath(at: since + ms(700))
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(!router.isLingering)
        #expect(!router.hasYielded)
    }

    @Test("A lingering node that leaves releases first", arguments: [true, false])
    func lingeringNodeLeaves(isFault: Bool) throws {
        let (router, since) = try RouterUnderTest.active()
        router.yield(lingering: true, at: since + ms(500))
        let actions =
            isFault ? router.fault(at: since + ms(600)) : router.shutdown(at: since + ms(600))
        #expect(actions.effects == [.releaseAddresses(lingering: false)])
        #expect(router.state == .initialize)
        #expect(!router.isLingering)
    }

    @Test("The new node claims at once, without Skew_Time, whomever it follows")
    func newNodeClaimsAtOnce() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, from: RouterUnderTest.higherAddress, at: ms(100))
        let actions = router.takeHandover(at: ms(150))
        #expect(actions.effects == .becomingActive(priority: 100))
        #expect(actions.transitions.map(\.cause) == [.peerHandedOver])
    }

    @Test("Adverts of the old node that arrive late do not depose the new one")
    func lateAdvertsDoNotDeposeNewNode() throws {
        let router = try RouterUnderTest.started()
        router.hear(priority: 200, at: ms(100))
        router.takeHandover(at: ms(150))
        #expect(router.hear(priority: 200, at: ms(160)).reports == [.advertOfTheDead])
        #expect(router.state == .active)
        #expect(
            router.hear(priority: 0, at: ms(170)).effects == [.sendAdvertisement(priority: 100)])
        #expect(router.counters.splitCount == 0)
    }

    @Test("The answer to a hand-over: Backup and free, or no")
    func onlyFreeBackupTakesHandover() throws {
        let router = try RouterUnderTest()
        #expect(!router.mayTakeHandover)
        #expect(router.takeHandover(at: .zero) == [])
        router.startup(at: ms(1))
        #expect(router.mayTakeHandover)
        router.hold([.witnessUnreachable], at: ms(2))
        #expect(router.mayTakeHandover, "an order is proof")
        router.hold([.differentConfiguration], at: ms(3))
        #expect(!router.mayTakeHandover)
        router.hold([], at: ms(4))
        router.fault(at: ms(5))
        #expect(!router.mayTakeHandover)
        let (active, _) = try RouterUnderTest.active()
        #expect(!active.mayTakeHandover)
    }

    @Test("Before it is asked, the peer has said on the link whether it could")
    func peerSaysThatItCannot() throws {
        let (router, since) = try RouterUnderTest.active()
        #expect(!router.peerWouldRefuse, "unknown")
        router.hearOnLink(.backup, priority: 90, at: since + ms(1))
        #expect(!router.peerWouldRefuse)
        router.hearOnLink(.backup, priority: 90, isHeld: true, at: since + ms(2))
        #expect(router.peerWouldRefuse)
        router.hearOnLink(.backup, priority: 90, isFaulty: true, at: since + ms(3))
        #expect(router.peerWouldRefuse)
        router.hearOnLink(.initialize, priority: 90, at: since + ms(4))
        #expect(router.peerWouldRefuse)
        router.loseLink(at: since + ms(5))
        #expect(!router.peerWouldRefuse)
    }

    @Test("A switchover in one step releases at once")
    func oneStepReleases() throws {
        let (router, since) = try RouterUnderTest.active()
        #expect(router.yield(lingering: false, at: since + ms(1)).effects == .givingUp)
        #expect(!router.isLingering)
        #expect(router.hasYielded)
    }

    @Test("Only an Active yields")
    func othersDoNotYield() throws {
        let router = try RouterUnderTest.started()
        #expect(router.yield(lingering: true, at: ms(1)) == [])
        #expect(!router.isLingering)
        #expect(!router.hasYielded)
    }

    @Test("A node that overslept does not linger: it was replaced long ago")
    func oversleptNodeDoesNotLinger() throws {
        let (router, since) = try RouterUnderTest.active()
        let actions = router.yield(lingering: true, at: since + .seconds(60))
        #expect(actions.effects == [.releaseAddresses(lingering: false)])
        #expect(!router.isLingering)
    }
}
