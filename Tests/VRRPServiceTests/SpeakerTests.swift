// SPDX-License-Identifier: Apache-2.0
//
// Goal: the speaker performs in the right order, survives refusals, and drops what is not for it.
// Method: fake ports on a real loop with 100 ms adverts; needs no privilege.

import ConfigurationCore
import EventLoop
import LinuxIO
import NetlinkIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite final class SpeakerTests {
    /// How long the host is said to have slept.
    private final class Sleep {
        var span = TimeSpan.zero
    }

    private let loop: EventLoop
    private let fake = FakePorts()

    init() throws {
        loop = try EventLoop()
    }

    deinit {
        loop.close()
    }

    private func makeSpeaker(
        priority: UInt8 = 100, transport: AdvertisementTransport = .multicast,
        lease: TimeSpan = .seconds(2), interval: TimeSpan = .milliseconds(100),
        clock: SpeakerClock = SpeakerClock()
    ) throws -> Speaker {
        let settings = try VirtualRouterSettings(
            virtualRouterID: 51, priority: priority, primaryAddress: Packet.own,
            addresses: [Packet.virtual], advertisementInterval: interval, preempts: false,
            peerPriorityMax: 200, addressLease: lease)
        return Speaker(
            settings: settings,
            surroundings: SpeakerSurroundings(
                instance: Packet.instance, transport: transport, peerAddress: Packet.peer,
                virtualRouterIDs: [51, 52]),
            ports: fake.ports, loop: loop, logger: Logger("vrrp", sink: nil),
            clock: clock)
    }

    private func becomeActive(_ speaker: Speaker) {
        speaker.start()
        #expect(loop.poll { speaker.state == .active })
    }

    @Test func takeoverAddsTheAddressThenAdvertisesThenAnnounces() throws {
        let speaker = try makeSpeaker()
        var changes: [SpeakerStateChange] = []
        speaker.onStateChange = { changes.append($0) }
        becomeActive(speaker)
        #expect(fake.deeds.prefix(3) == [.put, .sent(priority: 100), .announced])
        #expect(changes.map(\.transition.to) == [.backup, .active])
        let record = try #require(changes.last?.failover)
        #expect(record.detectedBecause == .activeDownTimer)
        #expect(record.detectedAt.instant <= record.claimedAt.instant)
        #expect(record.claimedAt.instant <= record.advertisedAt.instant)
        #expect(record.advertisedAt.instant <= record.announcedAt.instant)
        #expect(speaker.report.status.lastFailover == record)
        #expect(speaker.report.status.heldAddresses == [Packet.virtual])
    }

    @Test func shutdownRemovesTheAddressBeforePriorityZero() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        fake.deeds.removeAll()
        speaker.shutDown()
        #expect(fake.deeds == [.cancelled, .remove, .sent(priority: 0)])
        #expect(speaker.report.status.heldAddresses.isEmpty)
        #expect(speaker.report.status.state == .initialize)
    }

    @Test func provenDeathTakesOverAtOnceAndKeepsTheTimeOfDetection() throws {
        let speaker = try makeSpeaker(interval: .seconds(1))
        speaker.start()
        fake.deliver([Packet.advertisement(priority: 200, intervalCentiseconds: 100)])
        let detectedAt = Clock.now()
        speaker.peerProcessDied(detectedAt: detectedAt)
        #expect(speaker.state == .active)
        let record = try #require(speaker.report.status.lastFailover)
        #expect(record.detectedBecause == .peerProcessDead)
        #expect(record.detectedAt.instant == detectedAt)
        #expect(record.silence != nil)
    }

    @Test(arguments: [FailoverRecord.Reason.switchover, .peerLeft])
    func releaseSaidOnThePairLinkTakesOverAtOnce(reason: FailoverRecord.Reason) throws {
        let speaker = try makeSpeaker(interval: .seconds(1))
        speaker.start()
        fake.deliver([Packet.advertisement(priority: 200, intervalCentiseconds: 100)])
        speaker.peerReleasedAddresses(because: reason, detectedAt: Clock.now())
        #expect(speaker.report.status.lastFailover?.detectedBecause == reason)
    }

    @Test func priorityZeroIsTheReasonOfTheTakeoverThatFollows() throws {
        let speaker = try makeSpeaker()
        speaker.start()
        fake.deliver([
            Packet.advertisement(priority: 200), Packet.advertisement(priority: 0),
        ])
        #expect(loop.poll { speaker.state == .active })
        #expect(speaker.report.status.lastFailover?.detectedBecause == .priorityZero)
    }

    @Test func waitingAdvertIsHeardBeforeSilenceIsBelieved() throws {
        let speaker = try makeSpeaker()
        speaker.start()
        fake.deliver([Packet.advertisement(priority: 200)])
        // The thread stalls for longer than the Active_Down_Interval of 361 ms, while adverts queue
        // behind a flood.
        let end = Clock.now() + .milliseconds(400)
        for _ in 0..<900 { fake.queue([1, 2, 3]) }
        fake.queue(Packet.advertisement(priority: 200))
        while Clock.now() < end {}
        loop.run(for: .milliseconds(10))
        #expect(speaker.state == .backup)
        #expect(speaker.report.droppedCount(.packetTruncated) == 900)
    }

    @Test func floodIsReadInBoundedPieces() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        fake.deliver([[UInt8]](repeating: [0xFF], count: 1_000))
        #expect(fake.waitingCount == 1_000 - Speaker.packetsPerWakeUpMax)
        #expect(speaker.state == .active)
    }

    @Test func refusedAddressKeepsTheNodeOutOfServiceUntilItIsTriedAgain() throws {
        fake.refusal = .tunnel(.notPermitted)
        let speaker = try makeSpeaker()
        speaker.start()
        #expect(loop.poll { speaker.report.status.faults == [.addressRefused] })
        #expect(speaker.state == .initialize)
        #expect(!fake.deeds.contains(.announced))
        #expect(!fake.deeds.contains(.sent(priority: 100)))
        #expect(speaker.report.status.lastFailover == nil)
        fake.refusal = nil
        #expect(loop.poll { speaker.state == .active })
        #expect(speaker.report.status.faults.isEmpty)
    }

    @Test func faultsAddUpAndTheLastOneClearedBringsTheRouterBack() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        speaker.setFault(.dataPlaneStalled, isPresent: true)
        #expect(speaker.state == .initialize)
        #expect(fake.deeds.suffix(2) == [.remove, .sent(priority: 0)])
        speaker.setFault(.interfaceDown, isPresent: true)
        speaker.setFault(.dataPlaneStalled, isPresent: false)
        #expect(speaker.state == .initialize)
        #expect(speaker.report.status.faults == [.interfaceDown])
        speaker.setFault(.interfaceDown, isPresent: false)
        #expect(speaker.state == .backup)
        #expect(loop.poll { speaker.state == .active })
    }

    @Test func leaseIsRenewedWellBeforeItEnds() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        #expect(speaker.keeper.renewalInterval == .milliseconds(500))
        fake.deeds.removeAll()
        #expect(loop.poll { speaker.report.lease.renewals.value >= 2 })
        #expect(fake.deeds.filter { $0 == .put }.count == 2)
        #expect(!fake.deeds.contains(.announced))
    }

    @Test func failedRenewalIsRepeatedAndGivesUpOnlyWhenTheLeaseIsOver() throws {
        let speaker = try makeSpeaker(lease: .milliseconds(400))
        becomeActive(speaker)
        fake.refusal = .tunnel(.noBufferSpace)
        #expect(loop.poll { speaker.report.lease.renewalFailures.value >= 2 })
        #expect(speaker.state == .active)
        #expect(loop.poll { speaker.report.status.faults == [.addressRefused] })
        #expect(speaker.state == .initialize)
    }

    @Test func threadThatOversleptGivesUpBeforeItSendsOrRenews() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        fake.deeds.removeAll()
        // The best peer's Active_Down_Interval is 322 ms.
        let end = Clock.now() + .milliseconds(400)
        while Clock.now() < end {}
        speaker.checkAddresses()
        #expect(fake.deeds == [.cancelled, .remove])
        #expect(speaker.state == .backup)
        #expect(speaker.report.status.cause == .overslept)
    }

    @Test func hostThatWasSuspendedGivesUpBeforeItSends() throws {
        let sleep = Sleep()
        let speaker = try makeSpeaker(clock: SpeakerClock { sleep.span })
        becomeActive(speaker)
        fake.deeds.removeAll()
        sleep.span = .seconds(60)
        speaker.checkAddresses()
        #expect(fake.deeds == [.cancelled, .remove])
        // The deadlines that follow are in the machine's time and still come.
        #expect(loop.poll { speaker.state == .active })
    }

    @Test func worseRouterThatTurnsUpIsAnsweredAndTheAddressAnnouncedAgain() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        loop.run(for: .milliseconds(1_050))
        fake.deeds.removeAll()
        fake.deliver([Packet.advertisement(priority: 50)])
        #expect(fake.deeds.starts(with: [.sent(priority: 100), .announced]))
        #expect(speaker.state == .active)
    }

    @Test func leaseThatRanOutWhileNobodyReplacedUsIsTakenUpAndAnnounced() throws {
        // At 1 s adverts a peer waits for more than 3 s; the lease is shorter.
        let speaker = try makeSpeaker(lease: .milliseconds(200), interval: .seconds(1))
        speaker.start()
        fake.deliver([Packet.advertisement(priority: 200, intervalCentiseconds: 100)])
        speaker.peerProcessDied(detectedAt: Clock.now())
        fake.deeds.removeAll()
        let end = Clock.now() + .milliseconds(300)
        while Clock.now() < end {}
        #expect(loop.poll { speaker.report.lease.lateRenewals.value == 1 })
        #expect(fake.deeds.prefix(2) == [.put, .announced])
        #expect(speaker.state == .active)
    }

    @Test func removedAddressIsPutBackAndAnnounced() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        fake.deeds.removeAll()
        fake.present.removeAll()
        speaker.checkAddresses()
        #expect(fake.deeds.contains(.put))
        #expect(fake.deeds.contains(.announced))
        #expect(speaker.report.lease.healedAddresses.value == 1)
        // A second removal right away is healed too, but not in the same breath.
        fake.present.removeAll()
        speaker.checkAddresses()
        #expect(speaker.report.lease.healedAddresses.value == 1)
        #expect(loop.poll { speaker.report.lease.healedAddresses.value == 2 })
    }

    @Test func presentAddressNeedsNoHealing() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        speaker.checkAddresses()
        #expect(speaker.report.lease.healedAddresses.value == 0)
    }

    @Test func advertsThatAreNotForUsAreRefused() throws {
        let multicast = try makeSpeaker()
        becomeActive(multicast)
        fake.deliver([
            Packet.advertisement(from: Packet.own, priority: 255),
            Packet.advertisement(from: Packet.peer, to: Packet.own, priority: 255),
            Packet.advertisement(id: 52, priority: 255),
            Packet.advertisement(id: 53, priority: 255),
        ])
        #expect(multicast.report.droppedCount(.ownSource) == 1)
        #expect(multicast.report.droppedCount(.foreignDestination) == 1)
        #expect(multicast.report.droppedCount(.virtualRouterID) == 1)
        #expect(multicast.report.droppedCount == 3)
        #expect(multicast.state == .active)
    }

    @Test func unicastIsHeardFromThePeerAlone() throws {
        let unicast = try makeSpeaker(transport: .unicast)
        becomeActive(unicast)
        fake.deliver([
            Packet.advertisement(from: Packet.stranger, to: Packet.own, priority: 255),
            Packet.advertisement(from: Packet.peer, priority: 255),
        ])
        #expect(unicast.report.droppedCount(.foreignSource) == 1)
        #expect(unicast.report.droppedCount(.foreignDestination) == 1)
        #expect(unicast.state == .active)
        fake.deliver([Packet.advertisement(from: Packet.peer, to: Packet.own, priority: 255)])
        #expect(unicast.state == .backup)
    }

    @Test func metricsCarryTheStateAndTheDrops() throws {
        let speaker = try makeSpeaker()
        becomeActive(speaker)
        fake.deliver([[1]])
        var text = MetricsText()
        speaker.report.collect(into: &text)
        let lines = text.rendered.split(separator: "\n")
        let own = "vrid=\"51\",family=\"ipv4\",interface=\"lan0\""
        #expect(lines.contains("tandem_vrrp_state{\(own),state=\"active\"} 1"))
        #expect(lines.contains("tandem_vrrp_state{\(own),state=\"backup\"} 0"))
        #expect(
            lines.contains(
                "tandem_vrrp_adverts_dropped_total{\(own),reason=\"packet_truncated\"} 1"))
        #expect(lines.contains("tandem_vrrp_address_held{\(own),address=\"192.0.2.100\"} 1"))
        #expect(
            lines.contains("tandem_vrrp_takeovers_total{\(own),reason=\"active_down_timer\"} 1"))
        #expect(lines.contains("tandem_vrrp_priority{\(own)} 100"))
        #expect(
            lines.contains(
                "tandem_vrrp_timer_lateness_seconds_count{\(own),timer=\"active_down\"} 1"))
    }
}
