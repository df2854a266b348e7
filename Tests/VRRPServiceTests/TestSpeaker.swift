// SPDX-License-Identifier: Apache-2.0
//
// A speaker whose network a test makes up.

import ConfigurationCore
import EventLoop
import Telemetry
import VRRPCore
import WireCore

@testable import VRRPService

/// A speaker and its fake ports.
struct TestSpeaker {
    let fake = FakePorts()
    let speaker: Speaker

    init(
        _ loop: EventLoop, instance: VirtualRouterInstance = Packet.instance,
        priority: UInt8 = 100, own: IPAddress = Packet.own, peer: IPAddress? = Packet.peer,
        addresses: [IPAddress] = [Packet.virtual], interval: TimeSpan = .milliseconds(100),
        lease: TimeSpan = .seconds(2), rule: SilenceRule = .advertsAndLink,
        isGrouped: Bool = false,
        authentication: AdvertisementAuthenticator? = nil
    ) throws {
        let settings = try VirtualRouterSettings(
            virtualRouterID: instance.virtualRouterID, priority: priority, primaryAddress: own,
            addresses: addresses, advertisementInterval: interval, preempts: false,
            peerPriorityMax: 200, addressLease: lease, silenceRule: rule, isGrouped: isGrouped)
        speaker = Speaker(
            settings: settings,
            surroundings: SpeakerSurroundings(
                instance: instance, transport: .multicast, peerAddress: peer,
                virtualRouterIDs: [instance.virtualRouterID], authentication: authentication,
                takeover: rule == .adverts ? .fast : .safe),
            ports: fake.ports, loop: loop, logger: Logger("vrrp", sink: nil))
    }

    var state: VirtualRouterState { speaker.state }
    var status: SpeakerStatus { speaker.report.status }

    /// Lets an advert arrive that says that the other node is the Active.
    func hearActive(priority: UInt8 = 200, intervalCentiseconds: UInt16 = 10) {
        fake.deliver([
            Packet.advertisement(
                id: speaker.instance.virtualRouterID, priority: priority,
                intervalCentiseconds: intervalCentiseconds)
        ])
    }

    /// What the other node says on the pair link.
    func hearOnLink(
        _ state: VirtualRouterState, priority: UInt8 = 200, isFaulty: Bool = false,
        claimMark: UInt32? = nil, answeredAt: Instant? = nil
    ) {
        speaker.peerHeard(
            PeerRouterHeard(
                virtualRouterID: speaker.instance.virtualRouterID,
                family: speaker.instance.family, state: state, priority: priority,
                isFaulty: isFaulty, claimMark: claimMark), answeredAt: answeredAt)
    }

    func becomeActive(_ loop: EventLoop) -> Bool {
        speaker.start()
        return loop.poll { state == .active }
    }
}
