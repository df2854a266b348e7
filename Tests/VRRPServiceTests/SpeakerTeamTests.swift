// SPDX-License-Identifier: Apache-2.0
//
// Goal: virtual routers of one group are Active on one node or on none. Method: two speakers with
// fake ports on one loop.

import EventLoop
import LinuxIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite final class SpeakerTeamTests {
    private let loop: EventLoop
    private let first: TestSpeaker
    private let second: TestSpeaker
    private let team: SpeakerTeam

    init() throws {
        loop = try EventLoop()
        first = try TestSpeaker(loop, isGrouped: true)
        second = try TestSpeaker(
            loop,
            instance: VirtualRouterInstance(
                virtualRouterID: 52, family: .ipv4, interface: "lan0"), isGrouped: true)
        team = SpeakerTeam([first.speaker, second.speaker])
    }

    deinit {
        loop.close()
    }

    private var states: [VirtualRouterState] { [first.state, second.state] }

    private func becomeActive() {
        first.speaker.start()
        second.speaker.start()
        #expect(loop.poll { states == [.active, .active] })
    }

    @Test func bothBecomeActiveInOneTurn() {
        var seen: Set<[VirtualRouterState]> = []
        first.speaker.start()
        second.speaker.start()
        #expect(
            loop.poll {
                seen.insert(states)
                return states == [.active, .active]
            })
        #expect(!seen.contains([.active, .backup]))
        #expect(!seen.contains([.backup, .active]))
        #expect(first.status.lastFailover?.detectedBecause == .activeDownTimer)
        #expect(second.status.lastFailover?.detectedBecause == .activeDownTimer)
    }

    @Test func oneThatStillHearsAnActiveKeepsTheOtherWaiting() {
        first.speaker.start()
        second.speaker.start()
        let end = Clock.now() + .milliseconds(700)
        while Clock.now() < end {
            second.hearActive()
            loop.run(for: .milliseconds(50))
        }
        #expect(states == [.backup, .backup])
        #expect(first.status.readySince != nil)
        // When the second Active falls silent as well, both move.
        #expect(loop.poll { states == [.active, .active] })
        #expect(first.status.readySince == nil)
    }

    @Test func deathOfThePeerMovesAllAtOnce() {
        first.speaker.start()
        second.speaker.start()
        first.hearActive()
        second.hearActive()
        let now = Clock.now()
        for member in [first, second] { member.speaker.peerProcessDied(detectedAt: now) }
        #expect(states == [.active, .active])
        #expect(first.status.lastFailover?.detectedBecause == .peerProcessDead)
        #expect(second.status.lastFailover?.detectedBecause == .peerProcessDead)
        #expect(first.status.lastFailover?.detectedAt.instant == now)
    }

    @Test func memberThatHearsABetterActiveTakesTheOtherAlong() {
        becomeActive()
        first.hearActive()
        #expect(states == [.backup, .backup])
        #expect(second.status.cause == .groupYielded)
        #expect(second.fake.present.isEmpty)
        // It sent priority 0, so that the other node's member does not wait.
        #expect(second.fake.deeds.last == .sent(priority: 0))
    }

    @Test func faultOfOneIsAFaultOfAll() {
        becomeActive()
        first.speaker.setFault(.interfaceDown, isPresent: true)
        #expect(states == [.initialize, .initialize])
        #expect(first.status.faults == [.interfaceDown])
        #expect(second.status.faults == [.groupFaulty])
        #expect(second.speaker.linkReport.isFaulty)
        #expect(second.fake.present.isEmpty)
        second.speaker.setFault(.ownAddressMissing, isPresent: true)
        first.speaker.setFault(.interfaceDown, isPresent: false)
        #expect(states == [.initialize, .initialize])
        #expect(first.status.faults == [.groupFaulty])
        #expect(second.status.faults == [.ownAddressMissing])
        second.speaker.setFault(.ownAddressMissing, isPresent: false)
        #expect(first.status.faults.isEmpty)
        #expect(loop.poll { states == [.active, .active] })
    }

    @Test func refusedAddressOfOneTakesAllOutOfService() {
        second.fake.refusal = .tunnel(.notPermitted)
        first.speaker.start()
        second.speaker.start()
        #expect(loop.poll { second.status.faults == [.addressRefused] })
        #expect(states == [.initialize, .initialize])
        #expect(first.fake.present.isEmpty)
        second.fake.refusal = nil
        #expect(loop.poll { states == [.active, .active] })
    }

    @Test func faultOfOneEndsThePreparationOfAll() {
        first.speaker.start()
        second.speaker.start()
        for member in [first, second] {
            member.hearActive()
            #expect(member.speaker.prepare())
        }
        first.speaker.setFault(.interfaceDown, isPresent: true)
        #expect(first.fake.present.isEmpty)
        #expect(second.fake.present.isEmpty)
    }

    @Test func plannedHandoverMovesTheGroup() {
        becomeActive()
        for member in [first, second] { member.speaker.yield(isLingering: true) }
        #expect(states == [.backup, .backup])
        #expect(first.status.isLingering)
        #expect(second.status.isLingering)
        for member in [first, second] { member.speaker.endLingering() }
        #expect(first.fake.present.isEmpty)
        #expect(second.fake.present.isEmpty)
    }
}
