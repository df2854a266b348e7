// SPDX-License-Identifier: Apache-2.0
//
// Goal: adverts of both families pass as the codec wants them, and no flood takes the thread or
// hides the other node's advert for long. Method: two namespaces on a cable.

import ConfigurationCore
import EventLoop
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct RawAdvertisementChannelTests {
    /// Adverts of one virtual router between both ends.
    private final class Scene {
        let cable: Cable
        let a: RawAdvertisementChannel
        let b: RawAdvertisementChannel
        let family: AddressFamily
        let transport: AdvertisementTransport
        var packets: [CarriedPacket] = []

        init(
            _ cable: Cable, _ family: AddressFamily,
            transport: AdvertisementTransport = .multicast, otherIDs: [UInt8] = [],
            isPeerKnown: Bool = true
        ) throws {
            self.cable = cable
            self.family = family
            self.transport = transport
            a = try cable.a.inside {
                var point = try cable.point(
                    cable.a, family, transport: transport, otherIDs: otherIDs)
                if !isPeerKnown { point.peerAddress = nil }
                return try RawAdvertisementChannel(point, loop: cable.loop)
            }
            b = try cable.b.inside {
                try RawAdvertisementChannel(
                    cable.point(cable.b, family, transport: transport), loop: cable.loop)
            }
            a.onReadable = { [weak self] in self?.take() }
            b.onReadable = { [weak self] in while self?.b.receive() != nil {} }
        }

        func take() {
            for _ in 0..<Speaker.packetsPerWakeUpMax {
                guard let packet = a.receive() else { return }
                packets.append(packet)
            }
        }

        var source: IPAddress { family == .ipv4 ? .v4(cable.b.ipv4) : .v6(cable.b.linkLocal) }

        var destination: IPAddress {
            if transport == .multicast { return Advertisement.group(of: family) }
            return family == .ipv4 ? .v4(cable.a.ipv4) : .v6(cable.a.linkLocal)
        }

        func message(id: UInt8 = 51, priority: UInt8 = 100) -> [UInt8] {
            let address = family == .ipv4 ? Cable.ipv4 : Cable.ipv6
            return Advertisement(
                virtualRouterID: id, priority: priority, intervalCentiseconds: 10,
                addresses: [address]
            ).encoded(checksum: .rfc9568, source: source, destination: destination)
        }

        /// What `a` received since the last call, decoded; `nil` for what the codec refuses.
        func received() -> [ReceivedAdvertisement?] {
            defer { packets.removeAll() }
            var decoder = AdvertisementDecoder(
                AdvertisementPolicy(virtualRouterIDs: [51], family: family))
            return packets.map { packet in
                switch packet.carrier {
                case .ipv4: try? decoder.decode(ipv4Packet: packet.bytes.span.bytes)
                case .ipv6(let source, let destination, let hopLimit):
                    try? decoder.decode(
                        ipv6Message: packet.bytes.span.bytes, source: source,
                        destination: destination, hopLimit: hopLimit)
                }
            }
        }

        func close() {
            a.close()
            b.close()
        }
    }

    private func withScene(
        _ family: AddressFamily, transport: AdvertisementTransport = .multicast,
        otherIDs: [UInt8] = [], isPeerKnown: Bool = true, _ body: (Scene) throws -> Void
    ) throws {
        try Cable.run { cable in
            let scene = try Scene(
                cable, family, transport: transport, otherIDs: otherIDs, isPeerKnown: isPeerKnown)
            defer { scene.close() }
            try body(scene)
        }
    }

    @Test(arguments: AddressFamily.allCases, AdvertisementTransport.allCases)
    func advertPassesWithWhatItsCarrierSays(
        family: AddressFamily, transport: AdvertisementTransport
    ) throws {
        try withScene(family, transport: transport) { scene in
            #expect(scene.b.send(scene.message()))
            #expect(scene.cable.loop.poll { !scene.packets.isEmpty })
            let received = try #require(scene.received().first ?? nil)
            #expect(received.source == scene.source)
            #expect(received.destination == scene.destination)
            #expect(received.advertisement.priority == 100)
            // Nothing of it comes back to the sender.
            #expect(scene.b.receive() == nil)
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func advertsOfOurOtherRoutersAreLeftToTheirSockets(family: AddressFamily) throws {
        try withScene(family, otherIDs: [7, 9]) { scene in
            for id: UInt8 in [7, 9, 8, 51] { #expect(scene.b.send(scene.message(id: id))) }
            #expect(scene.cable.loop.poll { scene.packets.count >= 2 })
            scene.cable.loop.run(for: .milliseconds(20))
            // A VRID that nobody here has is seen, so that somebody can say so.
            #expect(scene.received().map { $0?.advertisement.virtualRouterID } == [nil, 51])
        }
    }

    /// Sends packets with a source and a hop limit of one's choice.
    private final class Flooder {
        private let socket: PacketSocket
        private let frame: [UInt8]

        init(_ scene: Scene, source: IPAddress, hopLimit: UInt8) throws {
            let end = scene.cable.b
            socket = try end.inside { try PacketSocket(interfaceIndex: end.link().index) }
            let mac = HardwareAddress(rawValue: 0x0200_0000_0066)
            switch source {
            case .v4(let source):
                var frame = VirtualMACFrames.ipv4Frame(scene.message(), from: source, mac: mac)
                frame[22] = hopLimit
                frame[24] = 0
                frame[25] = 0
                var sum = InternetChecksum()
                sum.add(Array(frame[14..<34]).span.bytes)
                frame[24] = UInt8(sum.value >> 8)
                frame[25] = UInt8(sum.value & 0xFF)
                self.frame = frame
            case .v6(let source):
                var frame = VirtualMACFrames.ipv6Frame(scene.message(), from: source, mac: mac)
                frame[21] = hopLimit
                self.frame = frame
            }
        }

        func send(_ count: Int) throws {
            for _ in 0..<count { _ = try socket.send(frame) }
        }
    }

    private static let strangerIPv4 = IPAddress(192, 0, 2, 66)
    private static let strangerIPv6 = IPAddress.v6(IPv6Address(high: 0xFE80 << 48, low: 0x66))

    @Test(arguments: AddressFamily.allCases, [255, 64] as [UInt8])
    func floodOfAStrangerIsDroppedInTheKernel(family: AddressFamily, hopLimit: UInt8) throws {
        try withScene(family) { scene in
            let stranger = family == .ipv4 ? Self.strangerIPv4 : Self.strangerIPv6
            let flooder = try Flooder(scene, source: stranger, hopLimit: hopLimit)
            // Its adverts of priority 255 may have been believed.
            scene.a.heardPeer(at: stranger)
            for _ in 0..<40 {
                try flooder.send(500)
                // Not through the loop: a busy test host would make it no flood.
                scene.take()
            }
            #expect(scene.a.counts.isShielded)
            #expect(scene.a.counts.shieldsRaised == 1)
            #expect(scene.a.counts.pauses == 0)
            #expect(scene.packets.count < 1_000)
            scene.packets.removeAll()
            try flooder.send(500)
            #expect(scene.b.send(scene.message(priority: 77)))
            try flooder.send(500)
            #expect(scene.cable.loop.poll { !scene.packets.isEmpty })
            #expect(scene.received().map { $0?.advertisement.priority } == [77])
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func floodInThePeersNameIsHeardAtABoundedRate(family: AddressFamily) throws {
        try withScene(family) { scene in
            let flooder = try Flooder(scene, source: scene.source, hopLimit: 255)
            let start = Clock.now()
            for _ in 0..<100 {
                try flooder.send(300)
                scene.cable.loop.run(for: .milliseconds(5))
            }
            let milliseconds = (Clock.now() - start).milliseconds
            #expect(scene.a.counts.pauses > 0)
            #expect(scene.a.counts.kernelDropped > 0)
            // Two bursts, and then at most a full wake-up every 20 ms.
            let allowed = 2 * 500 + 64 * (Int(milliseconds) / 20 + 2)
            #expect(scene.packets.count < allowed)
            #expect(scene.packets.count < 15_000)
        }
    }

    @Test func peerThatIsOnlyKnownFromItsAdvertsPassesTheShieldAlone() throws {
        try withScene(.ipv6, isPeerKnown: false) { scene in
            let flooder = try Flooder(scene, source: Self.strangerIPv6, hopLimit: 255)
            scene.a.heardPeer(at: scene.source)
            scene.a.heardPeer(at: Self.strangerIPv6)
            for _ in 0..<20 {
                try flooder.send(500)
                scene.take()
            }
            #expect(scene.a.counts.isShielded)
            #expect(scene.a.counts.pauses == 0)
            scene.packets.removeAll()
            try flooder.send(500)
            #expect(scene.b.send(scene.message(priority: 77)))
            #expect(scene.cable.loop.poll { !scene.packets.isEmpty })
            #expect(scene.received().map { $0?.advertisement.priority } == [77])
        }
    }

    @Test func channelWithoutAnOwnAddressHearsAndCannotSend() throws {
        try withScene(.ipv6) { scene in
            var point = try scene.cable.point(scene.cable.a, .ipv6)
            point.ownAddress = nil
            let channel = try scene.cable.a.inside {
                try RawAdvertisementChannel(point, loop: scene.cable.loop)
            }
            defer { channel.close() }
            var count = 0
            channel.onReadable = { while channel.receive() != nil { count += 1 } }
            #expect(!channel.send(scene.message()))
            #expect(scene.b.send(scene.message()))
            #expect(scene.cable.loop.poll { count == 1 })
        }
    }
}
