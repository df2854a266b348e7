// SPDX-License-Identifier: Apache-2.0
//
// An Active that ran late and asks its peer on the pair link whether it was replaced; a Backup that
// ran late and believes less in silence.

import Testing
import VRRPCore
import WireCore

@Suite("Doubt")
struct DoubtTests {
    private static let mark: UInt32 = 7
    private static let silence = us(36_093) + .nanoseconds(750)
    /// When the Active notices that it ran late.
    private static let late = ms(300)

    /// Priority 200 at 10 ms adverts; the link has heard a Backup of priority 100 until 100 ms.
    private func active(
        silenceRule: SilenceRule = .advertsAndLink, mark: UInt32? = mark
    ) throws -> RouterUnderTest {
        let router = try RouterUnderTest(
            priority: 200, interval: ms(10), peerPriorityMax: 100, silenceRule: silenceRule)
        router.startup(at: .zero)
        while let deadline = router.deadline, deadline <= ms(100) { router.timer(at: deadline) }
        router.hearOnLink(.backup, priority: 100, claimMark: mark, at: ms(100))
        try #require(router.state == .active)
        return router
    }

    private func doubtful() throws -> RouterUnderTest {
        let router = try active()
        #expect(router.timer(at: Self.late) == [.askPeer])
        return router
    }

    private func answer(
        _ router: RouterUnderTest, _ role: VirtualRouterState = .backup, mark: UInt32? = mark,
        isAnswer: Bool = true, at time: TimeSpan = late + ms(1)
    ) -> [VirtualRouterAction] {
        router.hearOnLink(
            role, priority: 100, isAnswer: isAnswer, claimMark: mark, at: time)
    }

    @Test("It asks, says nothing, and goes on when the peer has not taken over")
    func goesOn() throws {
        let router = try active()
        #expect(router.isDoubtful(at: Self.late))
        #expect(!router.hasOverslept(at: Self.late))
        #expect(router.timer(at: Self.late) == [.askPeer])
        #expect(router.deadline == Self.late + ms(20))
        #expect(router.timer(at: Self.late + us(500)) == [], "asked once")
        let actions = answer(router)
        #expect(actions.effects == [.sendAdvertisement(priority: 200)])
        #expect(actions.transitions == [])
        #expect(actions.reports == [.notReplaced])
        #expect(router.state == .active)
        #expect(!router.isDoubtful(at: Self.late + ms(1)))
        #expect(router.deadline == Self.late + ms(11))
    }

    @Test("What was said before the question answers nothing")
    func oldWordsAreNoAnswer() throws {
        let router = try doubtful()
        #expect(answer(router, isAnswer: false) == [])
        #expect(router.isDoubtful(at: Self.late + ms(1)))
        #expect(
            answer(router, at: Self.late + ms(2)).effects == [.sendAdvertisement(priority: 200)])
    }

    @Test("A peer that is Active, or was, has replaced it")
    func replaced() throws {
        for (role, mark) in [
            (VirtualRouterState.active, Self.mark + 1), (.active, Self.mark),
            (.backup, Self.mark + 1), (.initialize, Self.mark + 1),
        ] {
            let router = try doubtful()
            let actions = answer(router, role, mark: mark)
            #expect(actions.effects == [.releaseAddresses(lingering: false)])
            #expect(actions.transitions.map(\.cause) == [.overslept])
            #expect(router.state == .backup)
        }
        let older = try doubtful()
        _ = answer(older, mark: nil)
        #expect(older.state == .backup)
    }

    @Test("The peer's word that it is Active counts whether it answers or not, and is followed")
    func activePeerIsFollowed() throws {
        let router = try doubtful()
        _ = answer(router, .active, mark: Self.mark + 1, isAnswer: false)
        #expect(router.state == .backup)
        #expect(router.followedAddress == RouterUnderTest.lowerAddress)
    }

    @Test("Without an answer it gives up and sends nothing")
    func givesUpWithoutAnswer() throws {
        let router = try doubtful()
        #expect(router.timer(at: Self.late + ms(19)) == [])
        let actions = router.timer(at: Self.late + ms(20))
        #expect(actions.effects == [.releaseAddresses(lingering: false)])
        #expect(actions.transitions.map(\.cause) == [.overslept])
    }

    @Test("Whoever runs late again asks again, a few times")
    func asksAgain() throws {
        let router = try doubtful()
        var time = Self.late
        for _ in 0..<3 {
            time = time + ms(60)
            #expect(router.timer(at: time) == [.askPeer])
        }
        #expect(answer(router, at: time + ms(1)).effects == [.sendAdvertisement(priority: 200)])
        let other = try doubtful()
        for count in UInt64(1)...3 { other.timer(at: Self.late + ms(60 * count)) }
        #expect(other.state == .active)
        other.timer(at: Self.late + ms(240))
        #expect(other.state == .backup)
    }

    @Test("An answer that comes later than the peer waits is none")
    func lateAnswerDoesNotCount() throws {
        let router = try doubtful()
        // The event itself asks again, for the time of the answer is over.
        let actions = answer(router, at: Self.late + Self.silence)
        #expect(actions.effects == [] && actions.contains(.askPeer))
        #expect(router.isDoubtful(at: Self.late + Self.silence))
    }

    @Test("Who cannot ask gives up at once")
    func givesUpWithoutAsking() throws {
        for router in [
            try active(silenceRule: .adverts), try active(mark: nil),
        ] {
            #expect(router.hasOverslept(at: Self.late))
            #expect(!router.isDoubtful(at: Self.late))
            #expect(
                router.timer(at: Self.late).effects == [.releaseAddresses(lingering: false)])
        }
        let unlinked = try active()
        unlinked.loseLink(at: ms(101))
        #expect(unlinked.hasOverslept(at: Self.late))
        unlinked.timer(at: Self.late)
        #expect(unlinked.state == .backup)
    }

    @Test("Any other event while it asks makes it give up before it happens")
    func otherEventsEndTheDoubt() throws {
        let time = Self.late + ms(1)
        let events: [(RouterUnderTest) -> [VirtualRouterAction]] = [
            { $0.hear(priority: 100, at: time) },
            { $0.hear(priority: 255, at: time) },
            { $0.shutdown(at: time) },
            { $0.switchover(at: time) },
            { $0.fault(at: time) },
            { $0.setPriority(1, at: time) },
            { $0.seeConflict(at: time) },
            { $0.provePeerDeath(at: time) },
        ]
        for (index, event) in events.enumerated() {
            let router = try doubtful()
            let actions = event(router)
            #expect(actions.effects.first == .releaseAddresses(lingering: false), "\(index)")
            #expect(actions.transitions.first?.cause == .overslept, "\(index)")
        }
    }

    @Test("A Backup that is asked waits anew, and an Active stays what it is")
    func askedPeer() throws {
        let backup = try RouterUnderTest.started(
            interval: ms(10), silenceRule: .advertsAndLink)
        backup.hearOnLink(.active, priority: 200, isDoubtful: true, at: ms(30))
        #expect(backup.state == .backup)
        #expect(
            backup.deadline
                == ms(30) + AdvertisementTimers.activeDownInterval(priority: 100, interval: ms(10)))
        let (successor, since) = try RouterUnderTest.active(silenceRule: .advertsAndLink)
        let asked = successor.hearOnLink(
            .active, priority: 200, isDoubtful: true, at: since + ms(1))
        #expect(asked == [])
        #expect(successor.state == .active && successor.split == nil)
    }

    @Test("A link that falls silent meanwhile may still bring the answer")
    func silentLinkMayAnswer() throws {
        let router = try doubtful()
        #expect(router.loseLink(at: Self.late + us(100)) == [])
        #expect(answer(router).effects == [.sendAdvertisement(priority: 200)])
        let first = try active()
        #expect(first.loseLink(at: Self.late) == [.askPeer])
    }

    @Test("Two that both ran late as Active give both up")
    func twoInDoubt() throws {
        let router = try doubtful()
        router.hearOnLink(
            .active, priority: 100, isDoubtful: true, isAnswer: true, claimMark: Self.mark,
            at: Self.late + ms(1))
        #expect(router.state == .backup)
    }
}

@Suite("A Backup that ran late")
struct LateBackupTests {
    private static let down = AdvertisementTimers.activeDownInterval(
        priority: 100, interval: ms(10))

    private func backup(hearing silenceRule: SilenceRule = .advertsAndLink) throws
        -> RouterUnderTest
    {
        let router = try RouterUnderTest.started(interval: ms(10), silenceRule: silenceRule)
        router.hear(priority: 200, at: .zero)
        router.hearOnLink(.active, priority: 200, at: .zero)
        return router
    }

    @Test("Silence that it could not hear broken lasts longer, by one advert interval at most")
    func silenceLastsLonger() throws {
        let router = try backup()
        router.runLate(by: ms(30), at: ms(34))
        #expect(router.deadline == ms(44))
        router.runLate(by: ms(6), at: ms(40))
        #expect(router.deadline == ms(46))
        router.runLate(by: ms(30), at: ms(41))
        #expect(router.deadline == ms(51))
        #expect(router.timer(at: ms(51)).effects == .becomingActive(priority: 100))
    }

    @Test("It ends as if nothing had been when the Active is heard")
    func hearingEndsIt() throws {
        let router = try backup()
        router.runLate(by: ms(30), at: ms(34))
        router.hear(priority: 200, at: ms(35))
        #expect(router.deadline == ms(35) + Self.down)
    }

    @Test("A little late, without an Active on the link, or in fast mode it waits for nothing")
    func othersDoNotWait() throws {
        let punctual = try backup()
        punctual.runLate(by: ms(5), at: ms(34))
        #expect(punctual.deadline == Self.down)
        let fast = try backup(hearing: .adverts)
        fast.runLate(by: ms(30), at: ms(34))
        #expect(fast.deadline == Self.down)
        let broken = try backup()
        broken.runLate(by: ms(30), at: ms(34))
        broken.loseLink(at: ms(35))
        #expect(broken.deadline == Self.down)
    }

    @Test("Proof needs no patience")
    func proofIsProof() throws {
        let router = try backup()
        router.runLate(by: ms(30), at: ms(34))
        #expect(router.provePeerDeath(at: ms(35)).effects == .becomingActive(priority: 100))
    }
}
