// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the pair link, trackers and probes say reaches the state machine, and what it makes of
// it reaches the network and the status. Method: fake ports on a real loop with 100 ms adverts.

import EventLoop
import LinuxIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite final class SpeakerOnLinkTests {
    private static let stranger = HardwareAddress(bytes: [2, 0, 0, 0, 0, 0x66])

    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    deinit {
        loop.close()
    }

    // MARK: Priority

    @Test func penaltyIsAdvertisedAtOnceAndShown() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.fake.deeds.removeAll()
        test.speaker.setPenalty(points: 30)
        #expect(test.fake.deeds == [.sent(priority: 70)])
        #expect(test.status.priority == 70)
        #expect(test.status.basePriority == 100)
        #expect(test.status.penaltyPoints == 30)
        test.speaker.setPenalty(points: 500)
        #expect(test.status.priority == 1)
        test.speaker.setPenalty(points: 0)
        #expect(test.status.priority == 100)
        #expect(test.speaker.linkReport.priority == 100)
    }

    // MARK: Doubt

    /// An Active that did not run for longer than its peer waits.
    private func doubtful() throws -> TestSpeaker {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.hearOnLink(.backup, priority: 100, claimMark: 7)
        let mark = test.speaker.linkReport.claimMark
        let stallEnd = Clock.now() + test.speaker.settings.silenceMax
        while Clock.now() < stallEnd {}
        test.fake.deeds.removeAll()
        var questions = 0
        test.speaker.onQuestion = { questions += 1 }
        test.speaker.step()
        #expect(questions == 1)
        #expect(test.state == .active)
        #expect(test.speaker.linkReport.state == .active)
        #expect(test.speaker.linkReport.isDoubtful)
        #expect(test.speaker.linkReport.claimMark == mark)
        #expect(!test.speaker.addressKeeperWillRenew())
        #expect(test.fake.deeds == [], "it says and renews nothing")
        return test
    }

    @Test func lateActiveGoesOnWhenItsPeerHasNotTakenOver() throws {
        let test = try doubtful()
        test.hearOnLink(.backup, priority: 100, claimMark: 7, answeredAt: Instant(nanoseconds: 1))
        #expect(test.fake.deeds == [], "that was no answer")
        test.hearOnLink(.backup, priority: 100, claimMark: 7, answeredAt: Clock.now())
        #expect(test.state == .active)
        #expect(test.fake.deeds == [.sent(priority: 100)])
        #expect(!test.speaker.linkReport.isDoubtful)
        #expect(test.speaker.addressKeeperWillRenew())
        #expect(test.speaker.report.transitions.value == 2, "started, and Active since")
    }

    @Test func lateActiveLeavesWhenItsPeerTookOverMeanwhile() throws {
        let test = try doubtful()
        test.hearOnLink(.backup, priority: 100, claimMark: 8, answeredAt: Clock.now())
        #expect(test.state == .backup)
        #expect(test.status.cause == .overslept)
        #expect(test.fake.deeds.contains(.remove))
        #expect(!test.fake.deeds.contains(.sent(priority: 100)))
    }

    @Test func lateActiveLeavesWithoutAnAnswer() throws {
        let test = try doubtful()
        #expect(loop.poll { test.state == .backup })
        #expect(test.status.cause == .overslept)
    }

    @Test func everyTakeoverChangesTheMark() throws {
        let test = try TestSpeaker(loop)
        let mark = try #require(test.speaker.linkReport.claimMark)
        #expect(test.becomeActive(loop))
        #expect(test.speaker.linkReport.claimMark == mark &+ 1)
        let other = try TestSpeaker(loop)
        #expect(other.speaker.linkReport.claimMark != mark, "another life")
    }

    // MARK: Holds

    @Test func heldBackupDoesNotClaimBySilenceAndSaysSo() throws {
        let test = try TestSpeaker(loop)
        test.speaker.setHold(.witnessUnreachable, isPresent: true)
        test.speaker.start()
        #expect(loop.poll { test.status.takeoverHeldSince != nil })
        #expect(test.state == .backup)
        #expect(test.status.holds.map(\.hold) == [.witnessUnreachable])
        #expect(test.speaker.linkReport.isHeld)
        #expect(test.status.counters?.heldTakeovers == 1)
        test.speaker.setHold(.witnessUnreachable, isPresent: false)
        #expect(loop.poll { test.state == .active })
        #expect(test.status.holds.isEmpty)
        #expect(test.status.takeoverHeldSince == nil)
    }

    @Test func provenDeathCountsForAHeldBackup() throws {
        let test = try TestSpeaker(loop, interval: .seconds(1))
        test.speaker.setHold(.witnessUnreachable, isPresent: true)
        test.speaker.start()
        test.hearActive(intervalCentiseconds: 100)
        test.speaker.peerProcessDied(detectedAt: Clock.now())
        #expect(test.state == .active)
        #expect(test.speaker.report.takeoverCount(.peerProcessDead) == 1)
    }

    // MARK: The pair link

    @Test func activeThatSpeaksOnTheLinkIsNotDead() throws {
        let test = try TestSpeaker(loop)
        test.speaker.start()
        test.hearActive()
        // Adverts stop; the Active_Down_Interval of priority 100 is 361 ms.
        let end = Clock.now() + .milliseconds(900)
        while Clock.now() < end {
            test.hearOnLink(.active)
            loop.run(for: .milliseconds(50))
        }
        #expect(test.state == .backup)
        #expect(test.status.isHeardOnLinkOnly)
        #expect(test.status.peerSaid?.state == .active)
        test.speaker.linkSilent()
        #expect(loop.poll { test.state == .active })
        #expect(test.status.peerSaid == nil)
    }

    @Test func heartbeatIsHeardBeforeSilenceIsBelieved() throws {
        let test = try TestSpeaker(loop)
        var changes: [SpeakerStateChange] = []
        test.speaker.start()
        test.hearActive()
        test.speaker.onStateChange = { changes.append($0) }
        // The thread stalls for longer than the Active_Down_Interval of 361 ms.
        let end = Clock.now() + .milliseconds(400)
        while Clock.now() < end {}
        test.hearOnLink(.active)
        #expect(changes.isEmpty)
        #expect(test.state == .backup)
    }

    @Test func fastRouterBelievesAdvertsAlone() throws {
        let test = try TestSpeaker(loop, rule: .adverts)
        test.speaker.start()
        test.hearActive()
        var isTakenOver = false
        test.speaker.onStateChange = { isTakenOver = isTakenOver || $0.transition.to == .active }
        let isActive = loop.poll {
            test.hearOnLink(.active)
            return isTakenOver
        }
        #expect(isActive)
    }

    // MARK: Split brain

    @Test func splitIsShownWhileItLastsAndCounted() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.hearActive(priority: 50)
        let split = try #require(test.status.splitBrain)
        #expect(split.evidence == [.advertisement])
        #expect(split.party == "192.0.2.2")
        var text = MetricsText()
        test.speaker.report.collect(into: &text)
        let own = "vrid=\"51\",family=\"ipv4\",interface=\"lan0\""
        #expect(text.rendered.contains("tandem_vrrp_split_brain{\(own)} 1\n"))
        #expect(
            text.rendered.contains(
                "tandem_vrrp_split_brains_total{\(own),evidence=\"advertisement\"} 1\n"))
        #expect(loop.poll(seconds: 10) { test.status.splitBrain == nil })
    }

    @Test func addressOfAStrangerIsASplitOnlyWhileActive() throws {
        let test = try TestSpeaker(loop, lease: .milliseconds(100))
        let mac = try #require(Self.stranger)
        test.speaker.start()
        test.fake.prober.onConflict?(Packet.virtual, mac)
        #expect(test.status.splitBrain == nil)
        #expect(loop.poll { test.state == .active })
        // Until its lease is over the kernel of the former Active may still answer.
        loop.run(for: .milliseconds(1_200))
        test.fake.prober.onConflict?(Packet.virtual, mac)
        #expect(test.status.splitBrain?.evidence == [.addressConflict])
        #expect(test.status.counters?.addressConflicts == 1)
        #expect(test.state == .active)
    }

    // MARK: Verification

    @Test func takeoverIsVerifiedByAskingTheLAN() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        #expect(test.fake.prober.watched == [Packet.virtual])
        #expect(test.fake.answered == [Packet.virtual])
        #expect(test.status.verification == nil)
        test.fake.prober.verdict.isVerified = true
        #expect(loop.poll { test.status.verification?.isVerified == true })
        #expect(test.fake.prober.probeCount == 1)
        #expect(loop.poll { test.fake.prober.probeCount == 2 })
        // A worse router that turns up makes it announce again; what is known stays known.
        test.hearActive(priority: 50)
        #expect(test.fake.deeds.last == .announced)
        #expect(test.status.verification?.isVerified == true)
        test.speaker.shutDown()
        #expect(test.fake.prober.watched.isEmpty)
        #expect(test.fake.answered.isEmpty)
        #expect(test.status.verification == nil)
    }

    // MARK: Quiet addresses

    @Test func preparedAddressesAreQuietUntilTheTakeover() throws {
        let test = try TestSpeaker(loop, interval: .seconds(1))
        var wasQuietAtTheEnd: Bool?
        test.speaker.onWillBeLoud = { wasQuietAtTheEnd = test.fake.isQuiet }
        test.speaker.start()
        test.hearActive(intervalCentiseconds: 100)
        test.fake.deeds.removeAll()
        #expect(test.speaker.prepare())
        #expect(test.fake.deeds == [.put])
        #expect(test.fake.isQuiet)
        #expect(test.status.isPrepared)
        #expect(test.status.heldAddresses == [Packet.virtual])
        #expect(test.state == .backup)
        test.speaker.takeOver(detectedAt: Clock.now())
        #expect(test.state == .active)
        #expect(wasQuietAtTheEnd == true)
        #expect(!test.fake.isQuiet)
        #expect(!test.status.isPrepared)
        #expect(test.fake.deeds.contains(.announced))
        #expect(test.status.lastFailover?.detectedBecause == .switchover)
    }

    @Test func preparationThatIsCancelledLeavesNothing() throws {
        let test = try TestSpeaker(loop, interval: .seconds(1))
        test.speaker.start()
        test.hearActive(intervalCentiseconds: 100)
        #expect(test.speaker.prepare())
        test.speaker.cancelPrepared()
        #expect(test.fake.present.isEmpty)
        #expect(!test.fake.isQuiet)
        #expect(test.status.heldAddresses.isEmpty)
        #expect(test.state == .backup)
    }

    @Test func refusedPreparationTakesAwayWhatWasAdded() throws {
        let test = try TestSpeaker(loop, interval: .seconds(1))
        test.speaker.start()
        test.hearActive(intervalCentiseconds: 100)
        test.fake.refusal = .tunnel(.noSuchDevice)
        // As a device with several addresses does: the first is there when the second is refused.
        test.fake.present = [Packet.virtual]
        #expect(!test.speaker.prepare())
        #expect(test.fake.present.isEmpty)
        #expect(!test.fake.isQuiet)
        #expect(!test.status.isPrepared)
    }

    @Test func addressesThatCannotBeQuietAreNeitherPreparedNorKept() throws {
        let backup = try TestSpeaker(loop, interval: .seconds(1))
        backup.fake.isNeverQuiet = true
        backup.speaker.start()
        backup.hearActive(intervalCentiseconds: 100)
        #expect(!backup.speaker.prepare())
        #expect(backup.fake.present.isEmpty)
        let active = try TestSpeaker(loop)
        active.fake.isNeverQuiet = true
        #expect(active.becomeActive(loop))
        active.speaker.yield(isLingering: true)
        #expect(active.fake.present.isEmpty)
        #expect(!active.status.isLingering)
    }

    @Test func refusedAddressesAreTriedLessAndLessOften() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.speaker.refuse()
        test.speaker.refuse()
        #expect(test.speaker.refusalCount == 2)
        test.speaker.setFault(.addressRefused, isPresent: false)
        #expect(loop.poll { test.state == .active })
        #expect(test.speaker.refusalCount == 0)
    }

    @Test func faultEndsAPreparation() throws {
        let test = try TestSpeaker(loop, interval: .seconds(1))
        test.speaker.start()
        test.hearActive(intervalCentiseconds: 100)
        #expect(test.speaker.prepare())
        test.speaker.setFault(.interfaceDown, isPresent: true)
        #expect(test.fake.present.isEmpty)
        #expect(!test.status.isPrepared)
        #expect(!test.speaker.prepare(), "a node with a fault takes part in no handover")
    }

    @Test func lingeringAddressesStayQuietlyUntilTheirEnd() throws {
        let test = try TestSpeaker(loop)
        var changes: [SpeakerStateChange] = []
        #expect(test.becomeActive(loop))
        test.speaker.onStateChange = { changes.append($0) }
        test.fake.deeds.removeAll()
        test.speaker.yield(isLingering: true)
        #expect(test.state == .backup)
        #expect(test.fake.deeds == [.sent(priority: 0)])
        #expect(test.fake.isQuiet)
        #expect(test.fake.present == [Packet.virtual])
        #expect(test.fake.prober.watched.isEmpty)
        #expect(changes.map(\.isLingering) == [true])
        #expect(test.status.isLingering)
        #expect(test.speaker.linkReport.isLingering)
        #expect(!test.speaker.prepare(), "one planned takeover after the other")
        test.speaker.endLingering()
        #expect(test.fake.present.isEmpty)
        #expect(!test.status.isLingering)
        #expect(test.status.heldAddresses.isEmpty)
    }

    @Test func faultEndsLingeringToo() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.speaker.yield(isLingering: true)
        test.speaker.setFault(.dataPlaneStalled, isPresent: true)
        #expect(test.fake.present.isEmpty)
        #expect(test.status.heldAddresses.isEmpty)
        #expect(!test.status.isLingering)
        #expect(!test.fake.isQuiet)
    }

    @Test func leavingEndsAPreparationAndLingering() throws {
        let prepared = try TestSpeaker(loop, interval: .seconds(1))
        prepared.speaker.start()
        prepared.hearActive(intervalCentiseconds: 100)
        #expect(prepared.speaker.prepare())
        prepared.speaker.shutDown()
        #expect(prepared.fake.present.isEmpty)
        let lingering = try TestSpeaker(loop)
        #expect(lingering.becomeActive(loop))
        lingering.speaker.yield(isLingering: true)
        lingering.speaker.shutDown()
        #expect(lingering.fake.present.isEmpty)
    }

    @Test func lingeringAddressesBecomeLoudWhenTheSuccessorDies() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.speaker.yield(isLingering: true)
        test.hearActive()
        test.fake.deeds.removeAll()
        test.speaker.peerProcessDied(detectedAt: Clock.now())
        #expect(test.state == .active)
        #expect(!test.fake.isQuiet)
        #expect(test.fake.deeds.contains(.announced))
        #expect(!test.status.isLingering)
    }

    @Test func switchoverReleasesAtOnce() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        test.fake.deeds.removeAll()
        test.speaker.switchOver()
        #expect(test.fake.deeds == [.cancelled, .remove, .sent(priority: 0)])
        #expect(!test.status.isLingering)
    }
}
