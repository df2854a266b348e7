// SPDX-License-Identifier: Apache-2.0
//
// Goal: ARP and neighbour discovery frames are, byte for byte, what an independent implementation
// makes of the same values. Method: Tests/Vectors/vrrp/frames.txt, written by scapy.

import Testing
import VRRPCore
import WireCore

@Suite("Frames as others make them")
struct FrameVectorTests {
    static let all = Vector.load("frames")
    static let arp = all.filter { $0.name.contains("arp") }
    static let solicitations = all.filter { $0.name.hasPrefix("ns") }
    static let advertisements = all.filter { $0.name.hasPrefix("na") }

    let mac = HardwareAddress(rawValue: 0x0242_AC11_0002)
    let station = HardwareAddress(rawValue: 0x0242_AC11_0063)

    @Test("Every kind of frame is among the vectors")
    func vectorsAreThere() {
        #expect(Self.arp.count == 5 && Self.solicitations.count == 3)
        #expect(Self.advertisements.count == 2 && Self.all.count == 10)
    }

    @Test("RFC 826, RFC 5227, RFC 4861: what we send is what scapy sends", arguments: all)
    func encodesTheSameBytes(vector: Vector) throws {
        #expect(try frame(vector) == vector.bytes("frame"))
    }

    private func frame(_ vector: Vector) throws -> [UInt8] {
        let target = try vector.address("target")
        let source = vector.has("source") ? try vector.address("source") : nil
        switch (vector.name, target, source) {
        case ("gratuitous-arp", .v4(let target), nil):
            return GratuitousARP.frame(mac: mac, address: target)
        case ("arp-probe", .v4(let target), nil):
            return ARPProbe.frame(mac: mac, address: target)
        case ("arp-request", .v4(let target), .v4(let source)?):
            return ARPRequest.frame(mac: mac, sender: source, target: target)
        case ("arp-request-unicast", .v4(let target), .v4(let source)?):
            return ARPRequest.frame(mac: mac, sender: source, target: target, to: station)
        case ("arp-reply", .v4(let target), .v4(let source)?):
            return ARPPacket(
                .reply, senderMAC: mac, senderAddress: source, targetMAC: station,
                targetAddress: target
            ).frame(to: station)
        case ("na-unsolicited", .v6(let target), nil):
            return NeighborAdvertisement.unsolicitedFrame(mac: mac, address: target)
        case ("na-answer", .v6(let target), .v6(let source)?):
            let question = NeighborSolicitation.frame(
                mac: station, source: source, target: target)
            let read = try NeighborSolicitation(frame: question.span.bytes)
            return NeighborAdvertisement.answer(to: read, mac: mac)
        case ("ns", .v6(let target), .v6(let source)?):
            return NeighborSolicitation.frame(mac: mac, source: source, target: target)
        case ("ns-unicast", .v6(let target), .v6(let source)?):
            return NeighborSolicitation.frame(
                mac: mac, source: source, target: target, to: station)
        case ("ns-from-nobody", .v6(let target), nil):
            return NeighborSolicitation.frame(mac: mac, source: .any, target: target)
        default:
            Issue.record("no frame of ours for \(vector.name)")
            return []
        }
    }

    @Test("RFC 826: what scapy sends is read, and written again the same", arguments: arp)
    func readsARP(vector: Vector) throws {
        let bytes = try vector.bytes("frame")
        let read = ARPPacket(frame: bytes.span.bytes)
        let packet = try #require(read)
        let destination = try #require(HardwareAddress(bytes: bytes[..<6]))
        #expect(packet.frame(to: destination) == bytes)
        #expect(packet.operation == (vector.name == "arp-reply" ? .reply : .request))
        #expect((packet.claim == nil) == (vector.name == "arp-probe"))
        if let claim = packet.claim { #expect(claim.mac == mac) }
        // Short frames are padded by the card.
        let padded = bytes + [UInt8](repeating: 0, count: 18)
        #expect(ARPPacket(frame: padded.span.bytes) == packet)
    }

    @Test("RFC 4861 §4.3: a solicitation is read as it was meant", arguments: solicitations)
    func readsSolicitations(vector: Vector) throws {
        let bytes = try vector.bytes("frame")
        let read = try NeighborSolicitation(frame: bytes.span.bytes)
        let target = try #require(try vector.address("target").ipv6)
        #expect(read.target == target)
        let source = vector.has("source") ? try vector.address("source").ipv6 : .any
        #expect(read.source == source)
        #expect(read.senderMAC == mac)
        let isUnicast = vector.name == "ns-unicast"
        #expect(read.destination == (isUnicast ? target : target.solicitedNodeGroup))
    }

    @Test("RFC 4861 §4.4: an advertisement is read as it was meant", arguments: advertisements)
    func readsAdvertisements(vector: Vector) throws {
        let bytes = try vector.bytes("frame")
        let read = try NeighborAdvertisement(frame: bytes.span.bytes)
        #expect(read.isRouter && read.isOverride)
        #expect(read.isSolicited == (vector.name == "na-answer"))
        #expect(read.targetMAC == mac)
        #expect(read.claim == AddressClaim(address: try vector.address("target"), mac: mac))
        #expect(.v6(read.source) == (try vector.address("target")))
    }
}
