// SPDX-License-Identifier: Apache-2.0
//
// Routers that move together: the coordinator with real routers under it.

import Testing
import VRRPCore
import WireCore

/// Routers of one group and what becomes of their actions, as a driver runs them.
private final class GroupUnderTest {
    let routers: [RouterUnderTest]
    var group: SyncGroup
    /// Commands run since the group was made.
    private(set) var commandCount = 0

    init(
        memberCount: Int = 2, priority: UInt8 = 100, preempts: Bool = true,
        silenceRule: SilenceRule = .adverts, isStarted: Bool = true
    ) throws {
        var routers: [RouterUnderTest] = []
        for _ in 0..<memberCount {
            routers.append(
                try RouterUnderTest(
                    priority: priority, preempts: preempts, silenceRule: silenceRule,
                    isGrouped: true))
        }
        self.routers = routers
        group = SyncGroup(memberCount: memberCount)
        if isStarted { all(at: .zero) { $0.startup(at: .zero) } }
    }

    var states: [VirtualRouterState] { routers.map(\.state) }

    /// An event of one member.
    @discardableResult
    func event(
        _ index: Int, at time: TimeSpan, _ body: (RouterUnderTest) -> [VirtualRouterAction]
    ) -> [VirtualRouterAction] {
        var all = body(routers[index])
        all += obey(group.observe(all, of: index), at: time)
        return all
    }

    /// The same event for every member.
    @discardableResult
    func all(
        at time: TimeSpan, _ body: (RouterUnderTest) -> [VirtualRouterAction]
    ) -> [VirtualRouterAction] {
        routers.indices.flatMap { index in event(index, at: time, body) }
    }

    @discardableResult
    func fault(_ isPresent: Bool, of index: Int, at time: TimeSpan) -> [VirtualRouterAction] {
        obey(group.faultChanged(isPresent, of: index), at: time)
    }

    /// Lets time pass: timers of all members.
    func run(from start: TimeSpan, to end: TimeSpan) {
        var now = start
        while now <= end {
            for (index, router) in routers.enumerated() {
                if let deadline = router.deadline, deadline <= now {
                    event(index, at: now) { $0.timer(at: now) }
                }
            }
            now = now + ms(10)
        }
    }

    private func obey(
        _ commands: [SyncGroup.Command], at time: TimeSpan
    ) -> [VirtualRouterAction] {
        var pending = commands
        var all: [VirtualRouterAction] = []
        while !pending.isEmpty {
            let command = pending.removeFirst()
            guard group.isDue(command) else { continue }
            commandCount += 1
            let index =
                switch command {
                case .mayClaim(let index): index
                case .mustYield(let index, because: _, lingering: _): index
                case .leave(let index): index
                case .come(let index): index
                }
            let actions = routers[index].obey(command, at: time)
            all += actions
            pending += group.observe(actions, of: index)
        }
        return all
    }
}

@Suite("Groups of routers under any events")
struct RandomGroupTests {
    private func event(
        on router: RouterUnderTest, at time: TimeSpan, _ random: inout SeededGenerator
    ) -> [VirtualRouterAction] {
        let sources = [RouterUnderTest.lowerAddress, RouterUnderTest.higherAddress]
        let source = sources.randomElement(using: &random) ?? RouterUnderTest.lowerAddress
        let priority = ([0, 1, 99, 100, 101, 255] as [UInt8]).randomElement(using: &random) ?? 1
        switch Int.random(in: 0..<16, using: &random) {
        case 0...5: return router.timer(at: time)
        case 6...8: return router.hear(priority: priority, from: source, at: time)
        case 9: return router.hearOnLink(.active, priority: max(priority, 1), at: time)
        case 10: return router.hearOnLink(.backup, priority: 100, at: time)
        case 11: return router.provePeerDeath(of: source, at: time)
        case 12: return router.takeHandover(from: source, at: time)
        case 13: return router.yield(lingering: Bool.random(using: &random), at: time)
        case 14: return router.setPriority(max(priority, 1), at: time)
        default:
            let isHeld = Int.random(in: 0..<8, using: &random) == 0
            return router.hold(isHeld ? [.witnessUnreachable] : [], at: time)
        }
    }

    @Test("All members are Active or none is, after every event", arguments: 0..<48)
    func allOrNone(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let count = 2 + seed % 3
        let group = try GroupUnderTest(
            memberCount: count, priority: seed % 5 == 0 ? 255 : 100, preempts: seed % 2 == 0,
            silenceRule: seed % 4 < 2 ? .adverts : .advertsAndLink)
        var time = TimeSpan.seconds(4)
        group.run(from: .zero, to: time)
        for step in 0..<1_500 {
            let pauses = [0, 1, 30, 400, 3_000].map(TimeSpan.milliseconds)
            time = time + (pauses.randomElement(using: &random) ?? .zero)
            let member = Int.random(in: 0..<count, using: &random)
            if Int.random(in: 0..<60, using: &random) == 0 {
                let isPresent = Int.random(in: 0..<4, using: &random) == 0
                group.fault(isPresent, of: member, at: time)
            } else {
                group.event(member, at: time) { event(on: $0, at: time, &random) }
            }
            let active = group.states.count { $0 == .active }
            #expect(active == 0 || active == count, "seed \(seed), step \(step)")
            let ready = group.routers.indices.filter { group.routers[$0].isReady }
            #expect(group.group.waiting == ready, "seed \(seed), step \(step)")
        }
        let claims = Set(group.routers.map(\.counters.becameActive))
        #expect(claims.count == 1, "together each time")
        #expect(claims != [0], "seed \(seed) proves nothing")
        #expect(group.commandCount < 1_500 * count * 2)
    }
}

@Suite("Groups of routers")
struct SyncGroupTests {
    @Test("All become Active when all heard nobody")
    func claimsTogether() throws {
        let group = try GroupUnderTest()
        group.run(from: .zero, to: .seconds(4))
        #expect(group.states == [.active, .active])
        #expect(group.group.waiting.isEmpty)
    }

    @Test("A member that is deaf waits, visibly, and takes nothing over")
    func deafMemberWaits() throws {
        let group = try GroupUnderTest()
        var now = TimeSpan.zero
        for second in UInt64(1)...60 {
            now = .seconds(second)
            group.event(0, at: now) { $0.hear(priority: 200, at: now) }
            group.run(from: now, to: now + ms(990))
        }
        #expect(group.states == [.backup, .backup])
        #expect(group.routers[1].isReady)
        #expect(group.group.waiting == [1])
        #expect(group.group.missing == [0])
        #expect(group.routers[1].counters.becameActive == 0)
        #expect(group.commandCount == 0, "no coming and going")
        // The other falls silent as well: now both are sure.
        group.run(from: .seconds(61), to: .seconds(66))
        #expect(group.states == [.active, .active])
    }

    @Test("A waiting member that hears an advert waits no more")
    func advertEndsWaiting() throws {
        let group = try GroupUnderTest()
        group.event(0, at: .seconds(3)) { $0.hear(priority: 200, at: .seconds(3)) }
        group.run(from: .seconds(3), to: .seconds(4))
        #expect(group.group.waiting == [1])
        let heard = group.event(1, at: .seconds(5)) { $0.hear(priority: 200, at: .seconds(5)) }
        #expect(heard.contains(.noLongerReady))
        #expect(group.group.waiting.isEmpty)
        let deadline = try #require(group.routers[0].deadline)
        group.event(0, at: deadline) { $0.timer(at: deadline) }
        #expect(group.states == [.backup, .backup])
        #expect(group.group.waiting == [0])
    }

    @Test("Safe: the link speaks for a deaf member, which does not even wait")
    func linkSpeaksForDeafMember() throws {
        let group = try GroupUnderTest(silenceRule: .advertsAndLink)
        for second in UInt64(1)...30 {
            group.event(0, at: .seconds(second)) {
                $0.hear(priority: 200, at: .seconds(second))
            }
            group.all(at: .seconds(second)) {
                $0.hearOnLink(.active, priority: 200, at: .seconds(second))
            }
            group.run(from: .seconds(second), to: ms(second * 1000 + 990))
        }
        #expect(group.group.waiting.isEmpty)
        #expect(group.states == [.backup, .backup])
    }

    @Test("Who leaves Active takes the others with it")
    func leavesTogether() throws {
        let group = try GroupUnderTest()
        group.run(from: .zero, to: .seconds(4))
        let actions = group.event(1, at: .seconds(4)) { $0.hear(priority: 200, at: .seconds(4)) }
        #expect(group.states == [.backup, .backup])
        #expect(actions.transitions.map(\.cause) == [.higherPriorityHeard, .groupYielded])
        #expect(
            actions.contains(.sendAdvertisement(priority: 0)),
            "the other member's peer need not wait")
    }

    @Test("After a split that heals for one member alone nothing comes and goes")
    func deafMemberDoesNotFlap() throws {
        let group = try GroupUnderTest()
        group.run(from: .zero, to: .seconds(4))
        for second in UInt64(4)...120 {
            group.event(0, at: .seconds(second)) {
                $0.hear(priority: 200, at: .seconds(second))
            }
            group.run(from: .seconds(second), to: ms(second * 1000 + 990))
        }
        #expect(group.states == [.backup, .backup])
        #expect(group.routers.map(\.counters.becameActive) == [1, 1])
        #expect(group.group.waiting == [1])
    }

    @Test("A death certificate acts on all members at once")
    func deathActsOnAll() throws {
        let group = try GroupUnderTest(memberCount: 3)
        group.all(at: ms(100)) { $0.hear(priority: 200, at: ms(100)) }
        let actions = group.all(at: ms(200)) { $0.provePeerDeath(at: ms(200)) }
        #expect(group.states == [.active, .active, .active])
        #expect(
            actions.transitions.map(\.cause)
                == [.peerDeathProven, .peerDeathProven, .peerDeathProven])
    }

    @Test("A death that one member does not believe in moves nobody")
    func deathOfAnotherMovesNobody() throws {
        let group = try GroupUnderTest()
        group.event(0, at: ms(100)) { $0.hear(priority: 200, at: ms(100)) }
        group.event(1, at: ms(100)) {
            $0.hear(priority: 200, from: RouterUnderTest.higherAddress, at: ms(100))
        }
        group.all(at: ms(200)) { $0.provePeerDeath(at: ms(200)) }
        #expect(group.states == [.backup, .backup])
        #expect(group.group.waiting == [0])
    }

    @Test("A fault of one is a fault of all, and over when the last one is")
    func faultsAreShared() throws {
        let group = try GroupUnderTest()
        group.run(from: .zero, to: .seconds(4))
        group.fault(true, of: 1, at: .seconds(4))
        #expect(group.states == [.initialize, .initialize])
        group.fault(true, of: 0, at: .seconds(5))
        group.fault(false, of: 1, at: .seconds(6))
        #expect(group.states == [.initialize, .initialize])
        #expect(group.group.isFaulty)
        group.fault(false, of: 0, at: .seconds(7))
        #expect(group.states == [.backup, .backup])
        group.run(from: .seconds(7), to: .seconds(11))
        #expect(group.states == [.active, .active])
    }

    @Test("A faulty member keeps the group from starting")
    func faultBeforeStartIsRemembered() throws {
        let group = try GroupUnderTest(isStarted: false)
        group.fault(true, of: 1, at: .zero)
        group.all(at: ms(1)) { $0.startup(at: ms(1)) }
        #expect(group.states == [.initialize, .initialize])
    }

    @Test("The owner's routers become Active at startup, together")
    func ownersStartTogether() throws {
        let group = try GroupUnderTest(priority: 255, isStarted: false)
        let first = group.event(0, at: .zero) { $0.startup(at: .zero) }
        #expect(first.effects == [], "not before the other can")
        let second = group.event(1, at: ms(1)) { $0.startup(at: ms(1)) }
        #expect(second.effects.count { $0 == .claimAddresses } == 2)
        #expect(group.states == [.active, .active])
    }

    @Test("A planned switchover: all linger, none preempts back, all end")
    func lingersTogether() throws {
        let group = try GroupUnderTest(priority: 200)
        group.run(from: .zero, to: .seconds(4))
        let actions = group.event(0, at: .seconds(4)) {
            $0.yield(lingering: true, at: .seconds(4))
        }
        #expect(actions.count { $0 == .releaseAddresses(lingering: true) } == 2)
        #expect(group.routers.allSatisfy { $0.isLingering && $0.hasYielded })
        for second in UInt64(5)...30 {
            group.all(at: .seconds(second)) { $0.hear(priority: 100, at: .seconds(second)) }
            group.run(from: .seconds(second), to: ms(second * 1000 + 990))
        }
        #expect(group.states == [.backup, .backup])
        #expect(group.group.waiting.isEmpty)
    }

    @Test("The new node takes a hand-over with all members in one turn")
    func takesHandoverTogether() throws {
        let group = try GroupUnderTest()
        group.all(at: ms(100)) { $0.hear(priority: 200, at: ms(100)) }
        group.all(at: ms(150)) { $0.takeHandover(at: ms(150)) }
        #expect(group.states == [.active, .active])
    }

    @Test("A witness that goes away takes the readiness along")
    func holdEndsReadiness() throws {
        let group = try GroupUnderTest()
        group.event(0, at: .seconds(3)) { $0.hear(priority: 200, at: .seconds(3)) }
        group.run(from: .seconds(3), to: .seconds(4))
        #expect(group.group.waiting == [1])
        group.all(at: .seconds(5)) { $0.hold([.witnessUnreachable], at: .seconds(5)) }
        #expect(group.group.waiting.isEmpty)
        group.run(from: .seconds(5), to: .seconds(60))
        #expect(group.states == [.backup, .backup])
        #expect(group.routers.map(\.isHeldBack) == [true, true])
    }

    @Test("A member that waits and then hears an Active it may not replace waits no more")
    func heardActiveEndsReadinessUnderHold() throws {
        let router = try RouterUnderTest.started(priority: 200, isGrouped: true)
        router.hold([.differentConfiguration], at: ms(1))
        router.timer(at: .seconds(4))
        #expect(router.isReady, "a cold start: nobody would be replaced")
        let actions = router.hear(priority: 100, at: .seconds(5))
        #expect(actions.contains(.noLongerReady))
        #expect(router.isHeldBack)
    }

    @Test("A member that overslept leaves in silence; the group follows")
    func oversleptMemberTakesGroupAlong() throws {
        let group = try GroupUnderTest()
        group.run(from: .zero, to: .seconds(4))
        let actions = group.event(0, at: .seconds(60)) { $0.timer(at: .seconds(60)) }
        #expect(group.states == [.backup, .backup])
        #expect(actions.effects.allSatisfy { $0 == .releaseAddresses(lingering: false) })
    }

    @Test("A member that gives up and is ready again in one event does not come back alone")
    func readyAgainInOneEventWaitsForOthers() throws {
        let group = try GroupUnderTest(priority: 200)
        group.run(from: .zero, to: .seconds(4))
        let late = TimeSpan.seconds(60)
        // It overslept, and then its peer is proven dead.
        group.event(0, at: late) { $0.provePeerDeath(at: late) }
        #expect(group.states == [.backup, .backup])
        #expect(group.group.waiting == [0])
        group.event(1, at: late) { $0.provePeerDeath(at: late) }
        #expect(group.states == [.active, .active])
    }

    @Test("Nobody is called while a member has a fault, ready or not")
    func faultKeepsReadyMembersWaiting() {
        var group = SyncGroup(memberCount: 2)
        #expect(group.faultChanged(true, of: 0) == [.leave(0), .leave(1)])
        #expect(group.observe([.readyToClaim(.peerDeathProven)], of: 0) == [])
        #expect(group.observe([.readyToClaim(.peerDeathProven)], of: 1) == [])
        #expect(group.faultChanged(true, of: 1) == [])
        #expect(group.faultChanged(false, of: 0) == [])
        #expect(group.faultChanged(false, of: 1) == [.come(0), .come(1)])
    }

    @Test("Proof that comes while a member waits is a better reason than silence")
    func proofReplacesSilenceAsReason() throws {
        let router = try RouterUnderTest.started(isGrouped: true)
        router.hear(priority: 200, at: .zero)
        router.timer(at: try #require(router.deadline))
        #expect(router.isReady)
        #expect(router.provePeerDeath(at: .seconds(5)) == [], "it is ready already")
        router.hold([.witnessUnreachable], at: .seconds(6))
        #expect(router.isReady, "proof needs no witness")
        let actions = router.obey(.mayClaim(0), at: .seconds(7))
        #expect(actions.transitions.map(\.cause) == [.peerDeathProven])
        router.hear(priority: 200, at: .seconds(7) + ms(10))
        #expect(router.state == .active, "last words")
    }

    @Test("A member that becomes Active by a command run too late leaves again")
    func lateCommandsDoNotSplitGroup() {
        var group = SyncGroup(memberCount: 2)
        #expect(group.observe([.readyToClaim(.activeDownTimerFired)], of: 0) == [])
        #expect(
            group.observe([.readyToClaim(.activeDownTimerFired)], of: 1)
                == [.mayClaim(0), .mayClaim(1)])
        #expect(group.observe([.noLongerReady], of: 1) == [])
        #expect(!group.isDue(.mayClaim(0)))
        let claimed = VirtualRouterAction.recordTransition(
            VirtualRouterTransition(from: .backup, to: .active, cause: .activeDownTimerFired))
        #expect(
            group.observe([.claimAddresses, claimed], of: 0)
                == [.mustYield(0, because: .groupYielded, lingering: false)])
    }

    @Test("A called member that is ready no more takes back those that came already")
    func unreadyMemberSendsOthersAway() {
        var group = SyncGroup(memberCount: 3)
        #expect(group.observe([.readyToClaim(.activeDownTimerFired)], of: 0) == [])
        #expect(group.observe([.readyToClaim(.activeDownTimerFired)], of: 1) == [])
        #expect(
            group.observe([.readyToClaim(.activeDownTimerFired)], of: 2)
                == [.mayClaim(0), .mayClaim(1), .mayClaim(2)])
        let claimed = VirtualRouterAction.recordTransition(
            VirtualRouterTransition(from: .backup, to: .active, cause: .activeDownTimerFired))
        #expect(group.observe([.claimAddresses, claimed], of: 0) == [])
        #expect(
            group.observe([.noLongerReady], of: 1)
                == [.mustYield(0, because: .groupYielded, lingering: false)])
        #expect(!group.isDue(.mayClaim(2)), "it would be alone")
        #expect(group.waiting == [2])
        #expect(group.missing == [0, 1])
    }

    @Test("A member that hears an advert between the call and its turn keeps nobody Active alone")
    func advertBetweenCallAndTurn() throws {
        let routers = try (0..<2).map { _ in try RouterUnderTest.started(isGrouped: true) }
        var group = SyncGroup(memberCount: 2)
        let time = TimeSpan.seconds(4)
        for index in 0..<2 { _ = group.observe(routers[index].timer(at: time), of: index) }
        #expect(group.observe(routers[0].obey(.mayClaim(0), at: time), of: 0) == [])
        let commands = group.observe(routers[1].hear(priority: 200, at: time), of: 1)
        for command in commands {
            _ = group.observe(routers[0].obey(command, at: time), of: 0)
        }
        #expect(!group.isDue(.mayClaim(1)))
        #expect(routers.map(\.state) == [.backup, .backup])
    }

    @Test("A fault takes back calls that were not run yet")
    func faultTakesCallsBack() {
        var group = SyncGroup(memberCount: 2)
        #expect(group.observe([.readyToClaim(.peerDeathProven)], of: 0) == [])
        #expect(
            group.observe([.readyToClaim(.peerDeathProven)], of: 1)
                == [.mayClaim(0), .mayClaim(1)])
        #expect(group.isDue(.mayClaim(1)))
        #expect(group.faultChanged(true, of: 0) == [.leave(0), .leave(1)])
        #expect(!group.isDue(.mayClaim(0)) && !group.isDue(.mayClaim(1)))
        #expect(group.isDue(.leave(1)))
    }

    @Test("An Active that is told again to claim, or one that is not ready, does nothing")
    func strayCommandsAreHarmless() throws {
        let router = try RouterUnderTest.started(isGrouped: true)
        #expect(router.obey(.mayClaim(0), at: ms(1)) == [])
        router.timer(at: .seconds(4))
        #expect(router.isReady)
        #expect(router.deadline == nil)
        #expect(router.timer(at: .seconds(100)) == [])
        router.obey(.mayClaim(0), at: .seconds(100))
        #expect(router.obey(.mayClaim(0), at: .seconds(100)) == [])
        #expect(router.state == .active)
        var group = SyncGroup(memberCount: 1)
        #expect(group.observe([.readyToClaim(.startup)], of: 7) == [])
        #expect(group.faultChanged(true, of: -1) == [])
        #expect(group.observe([.readyToClaim(.startup)], of: 0) == [.mayClaim(0)])
        #expect(group.observe([], of: 0) == [], "called once")
    }
}
