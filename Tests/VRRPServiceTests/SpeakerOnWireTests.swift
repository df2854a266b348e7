// SPDX-License-Identifier: Apache-2.0
//
// Goal: a speaker sends and takes what its settings say: IPv6, signed adverts, a new own address.
// Method: fake ports on a real loop with 100 ms adverts.

import EventLoop
import LinuxIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite final class SpeakerOnWireTests {
    private static let own = IPv6Address(high: 0xfe80 << 48, low: 1)
    private static let peer = IPv6Address(high: 0xfe80 << 48, low: 2)
    private static let virtual = IPAddress.v6(IPv6Address(high: 0x2001_0db8 << 32, low: 0x100))
    private static let group = IPv6Address(high: 0xff02 << 48, low: 0x12)
    private static let instance = VirtualRouterInstance(
        virtualRouterID: 51, family: .ipv6, interface: "lan0")

    private let loop: EventLoop

    init() throws {
        loop = try EventLoop()
    }

    deinit {
        loop.close()
    }

    private func makeIPv6(peer: IPAddress? = nil, own: IPAddress = .v6(own)) throws -> TestSpeaker {
        try TestSpeaker(
            loop, instance: Self.instance, own: own, peer: peer, addresses: [Self.virtual])
    }

    private func message(priority: UInt8, from source: IPv6Address) -> [UInt8] {
        Advertisement(
            virtualRouterID: 51, priority: priority, intervalCentiseconds: 10,
            addresses: [Self.virtual]
        ).encoded(checksum: .rfc9568, source: .v6(source), destination: .v6(Self.group))
    }

    // MARK: IPv6

    @Test func adverts6CarryTheLinkLocalAddressFirst() throws {
        let test = try makeIPv6()
        #expect(test.becomeActive(loop))
        // RFC 9568 §5.2.9: the first address is the link-local one of the sender.
        #expect(test.fake.lastMessage.count == 8 + 2 * 16)
        #expect(Array(test.fake.lastMessage[8..<24]) == Array(Self.own.octets))
        var decoder = AdvertisementDecoder(
            AdvertisementPolicy(virtualRouterIDs: [51], family: .ipv6))
        let sent = test.fake.lastMessage
        let received = try decoder.decode(
            ipv6Message: sent.span.bytes, source: Self.own,
            destination: Self.group, hopLimit: 255)
        #expect(received.advertisement.priority == 100)
    }

    @Test func betterActiveIsHeardOverIPv6() throws {
        let test = try makeIPv6()
        #expect(test.becomeActive(loop))
        test.fake.deliver(
            message(priority: 200, from: Self.peer), from: Self.peer, to: Self.group, hopLimit: 254)
        #expect(test.speaker.report.droppedCount(.hopLimit) == 1)
        #expect(test.state == .active)
        test.fake.deliver(message(priority: 200, from: Self.peer), from: Self.peer, to: Self.group)
        #expect(test.state == .backup)
        #expect(test.status.heardActive?.address == .v6(Self.peer))
        #expect(test.fake.heardPeers == [.v6(Self.peer)])
    }

    @Test func peerThatIsNotConfiguredIsLearnedFromItsAdverts() throws {
        let test = try makeIPv6()
        test.speaker.start()
        test.fake.deliver(message(priority: 200, from: Self.peer), from: Self.peer, to: Self.group)
        test.hearOnLink(.active)
        test.hearOnLink(.active)
        #expect(test.speaker.peerAddress == .v6(Self.peer))
        test.speaker.peerProcessDied(detectedAt: Clock.now())
        #expect(test.state == .active)
    }

    @Test func deathOfAPeerThatWasNeverHeardCountsToo() throws {
        let test = try makeIPv6()
        test.speaker.start()
        test.speaker.peerProcessDied(detectedAt: Clock.now())
        #expect(test.state == .active)
    }

    @Test func nothingIsSentWithoutAnOwnAddress() throws {
        let test = try makeIPv6(own: .v6(.any))
        test.speaker.setFault(.ownAddressMissing, isPresent: true)
        test.speaker.start()
        loop.run(for: .milliseconds(500))
        #expect(test.fake.deeds.isEmpty)
        let fresh = FakePorts()
        test.speaker.replacePorts(
            fresh.ports, ownAddress: .v6(Self.own), linkLocal: .v6(Self.own))
        test.speaker.setFault(.ownAddressMissing, isPresent: false)
        #expect(loop.poll { test.state == .active })
        #expect(fresh.deeds.contains(.sent(priority: 100)))
        #expect(test.status.ownAddress == .v6(Self.own))
        // Its own adverts, reflected by the network, are known again.
        fresh.deliver(message(priority: 100, from: Self.own), from: Self.own, to: Self.group)
        #expect(test.speaker.report.droppedCount(.ownSource) == 1)
    }

    @Test func portsThatAreReplacedWhileActiveGoOnAnnouncing() throws {
        let test = try TestSpeaker(loop)
        #expect(test.becomeActive(loop))
        let fresh = FakePorts()
        test.speaker.replacePorts(fresh.ports, ownAddress: Packet.own, linkLocal: nil)
        #expect(fresh.answered == [Packet.virtual])
        #expect(fresh.prober.watched == [Packet.virtual])
        #expect(fresh.deeds == [.announced])
        #expect(test.fake.onReadable == nil)
        #expect(test.state == .active)
    }

    // MARK: Signed adverts

    /// Stands for HMAC-SHA256: what matters here is who has the key.
    private static func authenticator(_ key: UInt8) -> AdvertisementAuthenticator {
        AdvertisementAuthenticator(
            key: AdvertisementKey(bytes: [UInt8](repeating: key, count: 32)) { key, message in
                var tag = [UInt8](repeating: key.first ?? 0, count: 32)
                for (index, byte) in message.enumerated() { tag[index % 32] &+= byte }
                return tag
            }, bootNonce: 1)
    }

    private func signed(_ key: UInt8) throws -> [UInt8] {
        var signer = Self.authenticator(key).makeSigner()
        let message = Advertisement(
            virtualRouterID: 51, priority: 255, intervalCentiseconds: 10,
            addresses: [Packet.virtual]
        ).encoded(
            checksum: .rfc9568, source: Packet.peer, destination: Advertisement.multicastGroup,
            signer: &signer)
        return Packet.ip(message, from: Packet.peer, to: Advertisement.multicastGroup)
    }

    @Test func unsignedAndWronglySignedAdvertsAreIgnored() throws {
        let test = try TestSpeaker(loop, authentication: Self.authenticator(7))
        #expect(test.becomeActive(loop))
        #expect(test.fake.lastMessage.count == 8 + 4 + 36)
        #expect(test.status.isAuthenticated)
        test.fake.deliver([Packet.advertisement(priority: 255), try signed(8)])
        #expect(test.speaker.report.droppedCount(.authenticationMissing) == 1)
        #expect(test.speaker.report.droppedCount == 2)
        #expect(test.state == .active)
        let good = try signed(7)
        test.fake.deliver([good, good])
        #expect(test.state == .backup)
        #expect(test.speaker.report.droppedCount(.authenticationReplay) == 1)
    }
}
