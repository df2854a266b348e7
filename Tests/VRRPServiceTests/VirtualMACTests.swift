// SPDX-License-Identifier: Apache-2.0
//
// Goal: the LAN learns the virtual MAC and no other for the virtual address, packets to it arrive,
// and nothing of it outlives the process's successor. Method: two namespaces on a cable; the far
// end asks, connects and looks at every frame.

import ConfigurationCore
import EventLoop
import Glibc
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct VirtualMACTests {
    /// A node with a virtual MAC, Active.
    private final class Scene {
        let cable: Cable
        let family: AddressFamily
        let address: IPAddress
        let point: AttachmentPoint
        let holder: VirtualAddressHolder
        let announcer: Announcer
        let channel: RawAdvertisementChannel
        private let ears: PacketSocket

        init(_ cable: Cable, _ family: AddressFamily) throws {
            self.cable = cable
            self.family = family
            address = family == .ipv4 ? Cable.ipv4 : Cable.ipv6
            let point = try cable.point(cable.a, family, hasVirtualMAC: true)
            self.point = point
            (holder, announcer, channel) = try cable.a.inside {
                (
                    try VirtualAddressHolder(loop: cable.loop),
                    try Announcer(point, loop: cable.loop, logger: Logger("vrrp", sink: nil)),
                    try RawAdvertisementChannel(point, loop: cable.loop)
                )
            }
            // ETH_P_ALL
            ears = try cable.b.inside {
                try PacketSocket(interfaceIndex: cable.b.link().index, etherType: 3)
            }
        }

        func hold() throws {
            try holder.put([address], lease: .seconds(5))
            announcer.hold([address])
        }

        func letGo() throws {
            announcer.letGo()
            try holder.remove([address])
        }

        /// Frames that arrived at the far end since the last call.
        func frames() -> [[UInt8]] {
            var frames: [[UInt8]] = []
            var buffer = [UInt8](repeating: 0, count: 2_048)
            while case .bytes(let count)? = try? buffer.withUnsafeMutableBytes({
                try ears.receive(into: $0)
            }) {
                frames.append(Array(buffer[..<count]))
            }
            return frames
        }

        /// Who says that he has the address, in frames of the near end.
        func claims(_ frames: [[UInt8]]) -> Set<HardwareAddress> {
            let claims = frames.compactMap { frame in
                ARPPacket(frame: frame.span.bytes)?.claim
                    ?? (try? NeighborAdvertisement(frame: frame.span.bytes))?.claim
            }
            return Set(claims.filter { $0.address == address }.map(\.mac))
        }

        var mac: HardwareAddress { .virtualRouter(id: 51, family: family) }

        func close() {
            channel.close()
            announcer.close()
            holder.close()
        }
    }

    private func withScene(_ family: AddressFamily, _ body: (Scene) throws -> Void) throws {
        try Cable.run { cable in
            let scene = try Scene(cable, family)
            defer { scene.close() }
            try body(scene)
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func clientConnectsThroughTheVirtualMACAndLearnsNoOther(family: AddressFamily) throws {
        try withScene(family) { scene in
            try scene.hold()
            let endpoint = Endpoint(address: scene.address, port: 8_080)
            var options = StreamSocket.ListenOptions()
            options.freeBind = true
            let listener = try scene.cable.a.inside {
                try StreamSocket.listen(on: endpoint, options: options)
            }
            let client = try scene.cable.b.inside {
                try StreamSocket.connect(to: endpoint, options: .init())
            }
            #expect(
                scene.cable.loop.poll { try StreamSocket.accept(from: listener) != nil })
            _ = try StreamSocket.send(client, [1])
            let frames = scene.frames()
            #expect(scene.claims(frames) == [scene.mac])
            // The client's SYN went to the virtual MAC.
            let toVirtual = frames.filter { $0.starts(with: scene.mac.bytes) }
            #expect(!toVirtual.isEmpty)
        }
    }

    @Test func kernelsOwnQuestionsDoNotNameTheAddress() throws {
        try withScene(.ipv4) { scene in
            try scene.hold()
            let endpoint = Endpoint(address: scene.address, port: 8_080)
            var options = StreamSocket.ListenOptions()
            options.freeBind = true
            let listener = try scene.cable.a.inside {
                try StreamSocket.listen(on: endpoint, options: options)
            }
            // The node must ask for the client's MAC before it can answer it.
            try scene.cable.b.ip(
                "neigh replace \(scene.address) lladdr \(scene.mac) dev \(Cable.interface)")
            let client = try scene.cable.b.inside {
                try StreamSocket.connect(to: endpoint, options: .init())
            }
            #expect(
                scene.cable.loop.poll { try StreamSocket.accept(from: listener) != nil })
            _ = try StreamSocket.send(client, [1])
            let questions = scene.frames().compactMap { ARPPacket(frame: $0.span.bytes) }
                .filter { $0.operation == .request && $0.targetAddress == scene.cable.b.ipv4 }
            #expect(!questions.isEmpty)
            #expect(questions.allSatisfy { .v4($0.senderAddress) != scene.address })
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func advertsAndAnnouncementsBearTheVirtualMAC(family: AddressFamily) throws {
        try withScene(family) { scene in
            let peer = try scene.cable.b.inside {
                try RawAdvertisementChannel(
                    scene.cable.point(scene.cable.b, family), loop: scene.cable.loop)
            }
            defer { peer.close() }
            var received: [CarriedPacket] = []
            peer.onReadable = { while let packet = peer.receive() { received.append(packet) } }
            try scene.hold()
            _ = scene.frames()
            scene.announcer.announce([scene.address])
            #expect(scene.claims(scene.frames()) == [scene.mac])
            let own = try #require(scene.point.ownAddress)
            let message = Advertisement(
                virtualRouterID: 51, priority: 100, intervalCentiseconds: 10,
                addresses: [scene.address]
            ).encoded(
                checksum: .rfc9568, source: own, destination: Advertisement.group(of: family))
            #expect(scene.channel.send(message))
            #expect(scene.cable.loop.poll { received.count == 1 })
            let adverts = scene.frames().filter { Array($0[6..<12]) == scene.mac.bytes }
            #expect(adverts.count == 1)
            var decoder = AdvertisementDecoder(
                AdvertisementPolicy(virtualRouterIDs: [51], family: family))
            let packet = try #require(received.first)
            switch packet.carrier {
            case .ipv4:
                #expect(try decoder.decode(ipv4Packet: packet.bytes.span.bytes).source == own)
            case .ipv6(let source, let destination, let hopLimit):
                #expect(
                    try decoder.decode(
                        ipv6Message: packet.bytes.span.bytes, source: source,
                        destination: destination, hopLimit: hopLimit
                    ).source == own)
            }
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func advertsOfTheOtherActiveWithTheSameMACAreHeard(family: AddressFamily) throws {
        try withScene(family) { scene in
            try scene.hold()
            var received = 0
            scene.channel.onReadable = {
                while scene.channel.receive() != nil { received += 1 }
            }
            var point = try scene.cable.point(scene.cable.b, family)
            point.hasVirtualMAC = true
            let frames = try scene.cable.b.inside { try VirtualMACFrames(point) }
            #expect(frames.send([UInt8](repeating: 1, count: 12)))
            #expect(scene.cable.loop.poll { received == 1 })
        }
    }

    @Test func backupReceivesNothingForTheVirtualMAC() throws {
        try withScene(.ipv4) { scene in
            let name = VirtualMACDevice.name(scene.point)
            func isUp() throws -> Bool {
                try scene.cable.a.inside { try NetlinkSocket().link(named: name).isUp }
            }
            #expect(try !isUp())
            try scene.hold()
            #expect(try isUp())
            try scene.letGo()
            #expect(try !isUp())
        }
    }

    /// RFC 9568 §7.4: the virtual MAC makes no interface identifier.
    @Test(arguments: AddressFamily.allCases)
    func deviceHasNoAddressMadeFromTheVirtualMAC(family: AddressFamily) throws {
        try withScene(family) { scene in
            try scene.hold()
            try scene.cable.a.inside {
                let socket = try NetlinkSocket()
                func linkLocal(_ index: Int) throws -> [IPAddress] {
                    try socket.addresses(interfaceIndex: index).map(\.address)
                        .filter { $0.ipv6?.isLinkLocal ?? false }
                }
                let device = try socket.link(named: VirtualMACDevice.name(scene.point))
                #expect(device.isUp)
                #expect(device.hardwareAddress == scene.mac.bytes)
                #expect(try linkLocal(device.index).isEmpty)
                // The parent has one: the kernel would have made one here, too.
                #expect(try !linkLocal(scene.cable.a.link().index).isEmpty)
            }
        }
    }

    @Test func parentsSettingsComeBackAfterTheLastRouterAlone() throws {
        try Cable.run { cable in
            func values() throws -> [UInt32] {
                try cable.a.inside {
                    let socket = try NetlinkSocket()
                    let index = try socket.link(named: Cable.interface).index
                    return [
                        try socket.value(of: .arpIgnore, interfaceIndex: index),
                        try socket.value(of: .arpAnnounce, interfaceIndex: index),
                    ]
                }
            }
            try cable.a.inside {
                let socket = try NetlinkSocket()
                let index = try cable.a.link().index
                try socket.set(.arpAnnounce, to: 1, interfaceIndex: index)
            }
            #expect(try values() == [0, 1])
            let devices = try [51, 52].map { id in
                try cable.a.inside {
                    try VirtualMACDevice(
                        cable.point(cable.a, .ipv4, id: id, hasVirtualMAC: true))
                }
            }
            #expect(try values() == [1, 2])
            devices[0].remove()
            #expect(try values() == [1, 2])
            devices[1].remove()
            #expect(try values() == [0, 1])
        }
    }

    @Test func socketsMadeAnewOverlapThoseTheyReplace() throws {
        try withScene(.ipv6) { scene in
            try scene.hold()
            let next = try scene.cable.a.inside {
                try Announcer(
                    scene.point, loop: scene.cable.loop, logger: Logger("vrrp", sink: nil))
            }
            defer { next.close() }
            scene.announcer.close()
            next.hold([scene.address])
            let links = try scene.cable.a.inside {
                let socket = try NetlinkSocket()
                return try socket.macvlans(named: VirtualMACDevice.namePrefix).map {
                    try socket.link(index: $0.index).isUp
                }
            }
            #expect(links == [true])
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func virtualMACIsNoAnswerForOtherAddresses(family: AddressFamily) throws {
        // The virtual address of the other family and both of the node's own.
        try withScene(family) { scene in
            let stranger = family == .ipv4 ? Cable.ipv6 : Cable.ipv4
            try scene.hold()
            try scene.holder.put([stranger], lease: .seconds(5))
            let ends = scene.cable
            let targets: [IPAddress] = [.v4(ends.a.ipv4), .v6(ends.a.ipv6), stranger]
            var answers: [HardwareAddress] = []
            let probes = try targets.map { target in
                let own: IPAddress =
                    target.family == .ipv4 ? .v4(ends.b.ipv4) : .v6(ends.b.ipv6)
                let probe = try ends.b.inside {
                    try NeighborProbe(
                        target: target, link: ends.b.link(), ownAddress: own, loop: ends.loop)
                }
                probe.onAnswer = { answers.append($0) }
                return probe
            }
            defer { for probe in probes { probe.close() } }
            for probe in probes { #expect(probe.probe()) }
            ends.loop.run(for: .milliseconds(200))
            let mac = HardwareAddress(bytes: try ends.a.link().hardwareAddress)
            #expect(answers.count >= 2)
            #expect(Set(answers.map { Optional($0) }) == [mac])
        }
    }

    @Test(arguments: AddressFamily.allCases)
    func routersOfTheLANAreNotHeardTwice(family: AddressFamily) throws {
        try withScene(family) { scene in
            let path =
                "/proc/sys/net/ipv6/conf/\(VirtualMACDevice.name(scene.point))/accept_ra"
            let value = try scene.cable.a.inside {
                try FileSystem.read(path: path, byteCountMax: 16)
            }
            #expect(value.first == UInt8(ascii: "0"))
        }
    }

    @Test func leftoversOfADeadProcessAreRemovedAndThoseOfALivingOneNot() throws {
        try Cable.run { cable in
            try cable.a.inside {
                let socket = try NetlinkSocket()
                let index = try cable.a.link().index
                let living = try VirtualMACDevice(
                    cable.point(cable.a, .ipv6, hasVirtualMAC: true))
                // What a killed process leaves: the interface without its claim.
                try socket.add(
                    MacvlanRequest(
                        name: "tandem-m1f-x", parentIndex: index,
                        hardwareAddress: [0, 0, 0x5E, 0, 1, 51],
                        alias: ParentSettings(
                            parentIndex: index, arpIgnore: 0, arpAnnounce: 0
                        ).text))
                try socket.set(.arpIgnore, to: 1, interfaceIndex: index)
                #expect(VirtualMACDevice.removeLeftovers() == ["tandem-m1f-x"])
                #expect(try socket.macvlans(named: "tandem-m").count == 1)
                living.remove()
                #expect(try socket.macvlans(named: "tandem-m").isEmpty)
            }
        }
    }

    @Test func neighbourIsAnsweredForOtherRoutersToo() throws {
        // A virtual MAC on the same interface makes the kernel deaf for every virtual address.
        try withScene(.ipv4) { scene in
            let other = IPAddress(192, 0, 2, 101)
            var point = try scene.cable.point(scene.cable.a, .ipv4, id: 52)
            point.addresses = [other]
            let announcer = try scene.cable.a.inside {
                try Announcer(
                    point, loop: scene.cable.loop, logger: Logger("vrrp", sink: nil))
            }
            defer { announcer.close() }
            try scene.holder.put([other], lease: .seconds(5))
            announcer.hold([other])
            let probe = try scene.cable.b.inside {
                try NeighborProbe(
                    target: other, link: scene.cable.b.link(),
                    ownAddress: .v4(scene.cable.b.ipv4), loop: scene.cable.loop)
            }
            defer { probe.close() }
            var answers: [HardwareAddress] = []
            probe.onAnswer = { answers.append($0) }
            #expect(probe.probe())
            scene.cable.loop.run(for: .milliseconds(100))
            let mac = HardwareAddress(bytes: try scene.cable.a.link().hardwareAddress)
            #expect(answers == [mac].compactMap { $0 })
        }
    }

    @Test(arguments: [UInt8(1), 51, 255], AddressFamily.allCases)
    func namesFitTheKernelAndDiffer(id: UInt8, family: AddressFamily) throws {
        let link = NetworkLink(
            index: 46_655, name: "lan0", hardwareAddress: [], mtuByteCount: 1_500, isUp: true,
            hasCarrier: true)
        let point = AttachmentPoint(
            link: link, virtualRouterID: id, family: family, addresses: [],
            transport: .multicast, ownAddress: nil, peerAddress: nil)
        let name = VirtualMACDevice.name(point)
        #expect(name.utf8.count <= 15)
        #expect(name.hasPrefix(VirtualMACDevice.namePrefix))
    }
}
