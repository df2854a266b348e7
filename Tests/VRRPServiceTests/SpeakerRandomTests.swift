// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever happens in whatever order, a speaker has its addresses exactly when its state says
// so, and a group stays whole. Method: random events on three speakers with fake ports, two of
// them in a group; an owner that calls back in the middle of a change; a seed per case.

import EventLoop
import LinuxIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite final class SpeakerRandomTests {
    private static let eventCount = 400

    private let loop: EventLoop
    private let tests: [TestSpeaker]
    private let team: SpeakerTeam

    init() throws {
        let loop = try EventLoop()
        self.loop = loop
        tests = try (0..<3).map { index in
            try TestSpeaker(
                loop,
                instance: VirtualRouterInstance(
                    virtualRouterID: 51 + UInt8(index), family: .ipv4, interface: "lan0"),
                interval: .milliseconds(10), isGrouped: index < 2)
        }
        team = SpeakerTeam(tests.prefix(2).map(\.speaker))
        for test in tests {
            // As the pair thread does before a heartbeat.
            test.speaker.onStateChange = { [tests] _ in
                for other in tests where other.state == .active { other.speaker.checkAddresses() }
            }
        }
    }

    deinit {
        loop.close()
    }

    private func happen(using random: inout SeededGenerator) {
        let test = tests[Int.random(in: 0..<tests.count, using: &random)]
        let speaker = test.speaker
        let isPresent = Bool.random(using: &random)
        let priority = UInt8.random(in: 0...255, using: &random)
        switch Int.random(in: 0..<18, using: &random) {
        case 0, 1: test.hearActive(priority: priority, intervalCentiseconds: 1)
        case 2: test.hearOnLink(.active, priority: max(priority, 1))
        case 3: test.hearOnLink(.backup, priority: max(priority, 1))
        case 4: speaker.linkSilent()
        case 5: speaker.setPenalty(points: Int(priority))
        case 6: speaker.setHold(.witnessUnreachable, isPresent: isPresent)
        case 7: speaker.setHold(.differentConfiguration, isPresent: isPresent)
        case 8: speaker.setFault(.interfaceDown, isPresent: isPresent)
        case 9: speaker.setFault(.trackerFailed, isPresent: isPresent)
        case 10: _ = speaker.prepare()
        case 11: speaker.cancelPrepared()
        case 12: for member in team.members { member.takeOver(detectedAt: Clock.now()) }
        case 13: speaker.yield(isLingering: isPresent)
        case 14: speaker.endLingering()
        case 15: for each in tests { each.speaker.peerProcessDied(detectedAt: Clock.now()) }
        case 16: test.fake.refusal = isPresent ? .tunnel(.notPermitted) : nil
        default: test.fake.present.removeAll()
        }
        for each in tests { each.speaker.checkAddresses() }
        loop.run(for: .milliseconds(UInt64.random(in: 0...3, using: &random)))
    }

    private func check(_ test: TestSpeaker, _ step: Int) {
        let status = test.speaker.currentStatus
        let isQuiet = status.isPrepared || status.isLingering
        #expect(test.fake.isQuiet == isQuiet, "step \(step)")
        #expect(test.speaker.isQuiet == isQuiet, "step \(step)")
        #expect(!status.isPrepared || status.state == .backup, "step \(step)")
        let mayHold = status.state == .active || isQuiet
        #expect(test.speaker.keeper.isHolding == mayHold, "step \(step)")
        #expect(test.fake.present.isEmpty || mayHold, "step \(step)")
        #expect(status.heldAddresses.isEmpty == !mayHold, "step \(step)")
        #expect(test.fake.answered.isEmpty == !mayHold, "step \(step)")
        #expect(
            test.fake.prober.watched.isEmpty == (status.state != .active), "step \(step)")
    }

    @Test(arguments: 1...8)
    func addressesFollowTheStateWhateverHappens(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for test in tests { test.speaker.start() }
        for step in 0..<Self.eventCount {
            happen(using: &random)
            for test in tests { check(test, step) }
        }
        // When all troubles are over this node, alone, is Active for everything again.
        for test in tests {
            test.fake.refusal = nil
            test.speaker.linkSilent()
            test.speaker.setPenalty(points: 0)
            for hold in ClaimHold.allCases { test.speaker.setHold(hold, isPresent: false) }
            for fault in [LocalFault.interfaceDown, .trackerFailed] {
                test.speaker.setFault(fault, isPresent: false)
            }
        }
        #expect(loop.poll(seconds: 20) { tests.allSatisfy { $0.state == .active } })
        for test in tests { check(test, Self.eventCount) }
        for test in tests { test.speaker.shutDown() }
        for test in tests { #expect(test.fake.present.isEmpty) }
    }
}
