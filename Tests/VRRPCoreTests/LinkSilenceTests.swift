// SPDX-License-Identifier: Apache-2.0
//
// What the pair link means to an election: `takeover: safe` and `fast`, a split that only the link
// can see, and words that arrive late.

import Testing
import VRRPCore
import WireCore

@Suite("The pair link in Backup")
struct LinkSilenceTests {
    private let downInterval = AdvertisementTimers.activeDownInterval(
        priority: 100, interval: .seconds(1))

    @Test("Safe: a heartbeat of the Active counts as its advert")
    func heartbeatReArmsInSafeMode() throws {
        let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        router.hear(priority: 200, at: .zero)
        for second in UInt64(1)...60 {
            #expect(
                router.hearOnLink(.active, priority: 200, at: .seconds(second)).effects == [])
            #expect(router.deadline == .seconds(second) + downInterval)
        }
        #expect(router.state == .backup)
        #expect(router.isHeardOnLinkOnly)
        #expect(router.counters.linkRescues == 1, "one silence, however long")
        #expect(router.counters.count(of: .linkOverridesSilence) == 1)
        #expect(
            router.timer(at: .seconds(60) + downInterval).effects
                == .becomingActive(priority: 100), "both silent: the peer is gone")
    }

    @Test("Fast: adverts alone decide")
    func heartbeatMeansNothingInFastMode() throws {
        let router = try RouterUnderTest.started(silenceRule: .adverts)
        router.hear(priority: 200, at: .zero)
        router.hearOnLink(.active, priority: 200, at: .seconds(3))
        #expect(router.deadline == downInterval)
        #expect(router.timer(at: downInterval).effects == .becomingActive(priority: 100))
    }

    @Test(
        "A heartbeat of a node that is not Active keeps no timer from firing",
        arguments: [.backup, .initialize] as [VirtualRouterState])
    func otherRolesDoNotReArm(role: VirtualRouterState) throws {
        let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        router.hear(priority: 200, at: .zero)
        for tenth in UInt64(1)...36 {
            router.hearOnLink(role, priority: 200, at: ms(tenth * 100))
        }
        #expect(router.deadline == downInterval)
        #expect(router.timer(at: downInterval).effects == .becomingActive(priority: 100))
    }

    @Test("Safe without a link is the RFC's election")
    func safeModeNeedsNoLink() throws {
        let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        router.hear(priority: 200, at: .zero)
        #expect(router.timer(at: downInterval).effects == .becomingActive(priority: 100))
        let broken = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        broken.hearOnLink(.active, priority: 200, at: .seconds(1))
        broken.loseLink(at: .seconds(2))
        #expect(broken.peerOnLink == nil)
        broken.timer(at: .seconds(1) + downInterval)
        #expect(broken.state == .active)
    }

    @Test("A late Backup reads the link before it believes in silence, once")
    func lateBackupReadsLinkFirst() throws {
        let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        router.hearOnLink(.active, priority: 200, at: .zero)
        let late = downInterval + .seconds(2)
        #expect(router.timer(at: late) == [])
        #expect(router.deadline == late + ms(50), "as long as a node may be held up after it")
        router.hearOnLink(.active, priority: 200, at: late + ms(1))
        #expect(router.deadline == late + ms(1) + downInterval, "the heartbeat was waiting")
        let silent = late + ms(1) + downInterval + .seconds(1)
        router.timer(at: silent)
        #expect(router.timer(at: silent + .seconds(1)).effects == .becomingActive(priority: 100))
    }

    @Test("A Backup that is in time, or has no Active on the link, waits for nothing")
    func punctualBackupDoesNotWait() throws {
        let punctual = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        punctual.hearOnLink(.active, priority: 200, at: .zero)
        punctual.timer(at: downInterval + ms(5))
        #expect(punctual.state == .active)
        let late = downInterval + .seconds(2)
        let alone = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        alone.hear(priority: 200, at: .zero)
        alone.timer(at: late)
        #expect(alone.state == .active)
        let abandoned = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        abandoned.hearOnLink(.active, priority: 200, at: .zero)
        abandoned.loseLink(at: ms(300))
        abandoned.timer(at: late)
        #expect(abandoned.state == .active)
        let fast = try RouterUnderTest.started(silenceRule: .adverts)
        fast.hearOnLink(.active, priority: 200, at: .zero)
        fast.timer(at: late)
        #expect(fast.state == .active)
    }

    @Test("B5 on the link: a lower priority is preempted, not followed")
    func lowerPriorityOnLinkIsPreempted() throws {
        let router = try RouterUnderTest.started(
            priority: 200, silenceRule: .advertsAndLink)
        let skew = AdvertisementTimers.skewTime(priority: 200, interval: .seconds(1))
        for tenth in UInt64(1)...30 {
            router.hearOnLink(.active, priority: 100, at: ms(tenth * 100))
            #expect(router.deadline == ms(3000) + skew)
        }
        router.timer(at: ms(3000) + skew)
        #expect(router.state == .active)
        #expect(router.split == nil)
        router.hearOnLink(.active, priority: 100, at: ms(3000) + skew + ms(1))
        #expect(router.split == nil, "who was preempted needs a moment")
    }

    @Test("B4 on the link: without Preempt_Mode a lower priority is followed")
    func lowerPriorityOnLinkIsFollowedWithoutPreemption() throws {
        let router = try RouterUnderTest.started(
            priority: 200, preempts: false, silenceRule: .advertsAndLink)
        router.hearOnLink(.active, priority: 100, at: .seconds(3))
        #expect(
            router.deadline
                == .seconds(3)
                + AdvertisementTimers.activeDownInterval(priority: 200, interval: .seconds(1)))
        #expect(router.followedAddress == RouterUnderTest.lowerAddress)
    }

    @Test("The learned interval stays in force when only the link is heard")
    func linkKeepsLearnedInterval() throws {
        let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        router.hear(priority: 200, centiseconds: 10, at: .zero)
        router.hearOnLink(.active, priority: 200, at: ms(300))
        #expect(router.learnedInterval == ms(100))
        #expect(router.deadline == ms(300) + .nanoseconds(360_937_500))
    }

    @Test("A heartbeat from before priority 0 does not cancel Skew_Time")
    func lateHeartbeatDoesNotUndoPriorityZero() throws {
        let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
        router.hear(priority: 200, at: .zero)
        router.hear(priority: 0, at: ms(500))
        router.hearOnLink(.active, priority: 200, at: ms(550))
        #expect(router.deadline == ms(500) + us(609_375))
        router.hearOnLink(.active, priority: 200, at: ms(700))
        #expect(router.deadline == ms(700) + downInterval, "it says so after its farewell")
    }

    @Test("A heartbeat from before a takeover neither deposes nor looks like a split")
    func lateHeartbeatDoesNotDepose() throws {
        let takeovers: [(RouterUnderTest) -> TimeSpan] = [
            {
                $0.provePeerDeath(at: ms(500)); return ms(500)
            },
            {
                $0.handOver(at: ms(500)); return ms(500)
            },
            {
                $0.takeHandover(at: ms(500)); return ms(500)
            },
            { router in
                router.hear(priority: 0, at: ms(500))
                let deadline = router.deadline ?? .zero
                router.timer(at: deadline)
                return deadline
            },
        ]
        for takeover in takeovers {
            let router = try RouterUnderTest.started(silenceRule: .advertsAndLink)
            router.hear(priority: 200, at: .zero)
            let since = takeover(router)
            try #require(router.state == .active)
            #expect(router.hearOnLink(.active, priority: 200, at: since + ms(50)) == [])
            #expect(router.state == .active)
            #expect(router.counters.splitCount == 0)
            router.hearOnLink(.active, priority: 200, at: since + ms(150))
            #expect(router.state == .backup, "it lives and says so")
        }
    }
}

@Suite("The pair link in Active")
struct LinkSplitTests {
    @Test(
        "A better Active on the link deposes although no advert passes",
        arguments: SilenceRule.allCases)
    func betterActiveOnLinkDeposes(rule: SilenceRule) throws {
        let (router, since) = try RouterUnderTest.active(silenceRule: rule)
        let actions = router.hearOnLink(.active, priority: 200, at: since + ms(100))
        #expect(
            actions.effects
                == [.releaseAddresses(lingering: false), .sendAdvertisement(priority: 100)])
        #expect(actions.transitions.map(\.cause) == [.splitOnLink])
        #expect(actions.splits == [.began, .ended(.yielded)])
        #expect(router.state == .backup)
        #expect(router.counters.splits(of: .link) == 1)
    }

    @Test("Equal priorities on the link: the greater address stays")
    func addressDecidesOnLink() throws {
        let (winner, since) = try RouterUnderTest.active()
        winner.hearOnLink(.active, priority: 100, at: since + ms(1))
        #expect(winner.state == .active)
        let (loser, start) = try RouterUnderTest.active()
        loser.hearOnLink(
            .active, priority: 100, from: RouterUnderTest.higherAddress, at: start + ms(1))
        #expect(loser.state == .backup)
    }

    @Test("A worse Active on the link is a split brain until it says otherwise")
    func worseActiveOnLinkIsSplit() throws {
        let (router, since) = try RouterUnderTest.active(priority: 200)
        router.timer(at: since + .seconds(1))
        let began = router.hearOnLink(.active, priority: 100, at: since + ms(1500))
        #expect(began.splits == [.began])
        #expect(began.effects == [])
        #expect(router.split?.evidence == [.link])
        #expect(router.split?.party == .router(RouterUnderTest.lowerAddress))
        let ended = router.hearOnLink(.backup, priority: 100, at: since + ms(1700))
        #expect(ended.splits == [.ended(.healed)])
        #expect(ended.effects == [.announceAddresses], "the winner announces again")
        #expect(router.split == nil)
    }

    @Test("A fast router deposed on the link follows it until an advert is heard")
    func fastRouterFollowsLinkThatDeposedIt() throws {
        let (router, since) = try RouterUnderTest.active(silenceRule: .adverts)
        router.hearOnLink(.active, priority: 200, at: since)
        for tenth in UInt64(1)...600 {
            router.hearOnLink(.active, priority: 200, at: since + ms(tenth * 100))
            #expect(router.timer(at: since + ms(tenth * 100)) == [])
        }
        #expect(router.state == .backup, "no coming and going")
        router.hear(priority: 200, at: since + .seconds(61))
        let deadline = try #require(router.deadline)
        router.hearOnLink(.active, priority: 200, at: since + .seconds(62))
        #expect(router.deadline == deadline, "adverts alone decide again")
    }

    @Test("A fast router stops following a link that fell silent")
    func fastRouterForgetsSilentLink() throws {
        let (router, since) = try RouterUnderTest.active(silenceRule: .adverts)
        router.hearOnLink(.active, priority: 200, at: since)
        router.loseLink(at: since + ms(300))
        let deadline = try #require(router.deadline)
        router.hearOnLink(.active, priority: 200, at: since + .seconds(1))
        #expect(router.deadline == deadline)
        router.timer(at: deadline)
        #expect(router.state == .active)
    }

    @Test("A node that overslept gives up before it believes or says anything on the link")
    func oversleptNodeGivesUpFirst() throws {
        let (router, since) = try RouterUnderTest.active(
            priority: 200, silenceRule: .advertsAndLink)
        let late = since + .seconds(10)
        for role in VirtualRouterState.allCases {
            let (other, start) = try RouterUnderTest.active(
                priority: 200, silenceRule: .advertsAndLink)
            let actions = other.hearOnLink(role, priority: 100, at: start + .seconds(10))
            #expect(actions.effects == [.releaseAddresses(lingering: false)])
            #expect(actions.transitions.map(\.cause) == [.overslept])
        }
        router.hearOnLink(.active, priority: 100, at: late)
        #expect(router.state == .backup)
        // Preempt_Mode: it comes back after a full interval, not at once.
        #expect(
            router.deadline
                == late
                + AdvertisementTimers.activeDownInterval(priority: 200, interval: .seconds(1)))
    }

    @Test("A heartbeat under our own address is nobody's")
    func ownAddressOnLinkIsIgnored() throws {
        let (router, since) = try RouterUnderTest.active()
        #expect(
            router.hearOnLink(
                .active, priority: 255, from: RouterUnderTest.own, at: since + ms(1)) == [])
        #expect(router.state == .active)
    }

    @Test("Out of service the link means nothing")
    func linkMeansNothingOutOfService() throws {
        let idle = try RouterUnderTest()
        #expect(idle.hearOnLink(.active, priority: 1, at: .zero) == [])
        #expect(idle.loseLink(at: ms(1)) == [])
        #expect(idle.state == .initialize)
    }
}
