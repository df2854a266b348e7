// SPDX-License-Identifier: Apache-2.0
//
// The checks of RFC 4861 §7.1 on received frames, and frames that end or lie anywhere.

import Testing
import VRRPCore
import WireCore

@Suite("Neighbour discovery on receipt")
struct NeighborMessageTests {
    static let mac = HardwareAddress(rawValue: 0x0242_AC11_0002)
    static let asker = IPv6Address(high: 0xFE80 << 48, low: 0x63)
    static let virtual = IPv6Address(high: 0x2001_0DB8 << 32, low: 0x12_3456)

    let solicitation = NeighborSolicitation.frame(mac: mac, source: asker, target: virtual)
    let advertisement = NeighborAdvertisement.unsolicitedFrame(mac: mac, address: virtual)

    private func problem(solicitation frame: [UInt8]) -> NeighborMessageError? {
        do throws(NeighborMessageError) {
            _ = try NeighborSolicitation(frame: frame.span.bytes)
            return nil
        } catch { return error }
    }

    private func problem(advertisement frame: [UInt8]) -> NeighborMessageError? {
        do throws(NeighborMessageError) {
            _ = try NeighborAdvertisement(frame: frame.span.bytes)
            return nil
        } catch { return error }
    }

    /// Makes the ICMPv6 checksum right.
    private func sealed(_ frame: [UInt8], _ spoil: (inout [UInt8]) -> Void) -> [UInt8] {
        var frame = frame
        spoil(&frame)
        frame[56] = 0
        frame[57] = 0
        let byteCount = Int(frame[18]) << 8 | Int(frame[19])
        var sum = InternetChecksum()
        for byte in frame[22..<54] { sum.add(byte: byte) }
        sum.add(word: UInt16(byteCount))
        sum.add(word: 58)
        for byte in frame[54..<(54 + byteCount)] { sum.add(byte: byte) }
        frame[56] = UInt8(sum.value >> 8)
        frame[57] = UInt8(sum.value & 0xFF)
        return frame
    }

    @Test("RFC 4861 §7.1: the hop limit must be 255", arguments: [0, 1, 64, 254])
    func refusesForwarded(hopLimit: UInt8) {
        let wanted = NeighborMessageError(.hopLimit, got: Int(hopLimit), wanted: 255)
        #expect(problem(solicitation: sealed(solicitation) { $0[21] = hopLimit }) == wanted)
        #expect(problem(advertisement: sealed(advertisement) { $0[21] = hopLimit }) == wanted)
    }

    @Test("RFC 4861 §7.1: the code must be 0", arguments: [1, 255])
    func refusesCodes(code: UInt8) {
        let wanted = NeighborMessageError(.code, got: Int(code), wanted: 0)
        #expect(problem(solicitation: sealed(solicitation) { $0[55] = code }) == wanted)
        #expect(problem(advertisement: sealed(advertisement) { $0[55] = code }) == wanted)
    }

    @Test("RFC 4861 §7.1: the checksum must be right, and the error says which is")
    func refusesWrongChecksum() {
        var frame = solicitation
        frame[57] ^= 1
        let error = problem(solicitation: frame)
        #expect(error?.reason == .checksum)
        #expect(error?.got == Int(frame[56]) << 8 | Int(frame[57]))
        #expect(error?.wanted == Int(solicitation[56]) << 8 | Int(solicitation[57]))
    }

    @Test("RFC 4861 §7.1: the target must not be a multicast address")
    func refusesMulticastTarget() {
        let frame = sealed(solicitation) { $0[62] = 0xFF }
        #expect(problem(solicitation: frame)?.reason == .target)
        let answer = sealed(advertisement) { $0[62] = 0xFF }
        #expect(problem(advertisement: answer)?.reason == .target)
    }

    @Test("RFC 4291 §2.7: nothing comes from a group, and no answer goes to one")
    func refusesGroups() throws {
        let frame = sealed(solicitation) { $0[22] = 0xFF }
        #expect(problem(solicitation: frame)?.reason == .source)
        let option = sealed(solicitation) { $0[80] |= 1 }
        #expect(try NeighborSolicitation(frame: option.span.bytes).senderMAC == Self.mac)
    }

    @Test("RFC 4861 §7.1: at least 24 bytes of ICMPv6", arguments: 0..<24)
    func refusesShortMessages(byteCount: UInt8) {
        let frame = sealed(Array(solicitation[..<(54 + 24)])) { $0[19] = 24 }
        var short = Array(frame[..<(54 + Int(byteCount))])
        short[19] = byteCount
        #expect(
            problem(solicitation: short)
                == NeighborMessageError(.truncated, got: Int(byteCount), wanted: 24))
    }

    @Test("RFC 4861 §7.1: an option of no length would never end")
    func refusesEmptyOptions() {
        let frame = sealed(solicitation) { $0[79] = 0 }
        #expect(problem(solicitation: frame)?.reason == .option)
        let long = sealed(solicitation) { $0[79] = 2 }
        #expect(problem(solicitation: long)?.reason == .option, "ends after the message")
    }

    @Test("RFC 4861 §4.6: options of other types are skipped, a missing one is no fault")
    func skipsOtherOptions() throws {
        let nonce: [UInt8] = [14, 1, 1, 2, 3, 4, 5, 6]
        let frame = sealed(solicitation) {
            $0.insert(contentsOf: nonce + nonce, at: 78)
            $0[19] += 16
        }
        let read = try NeighborSolicitation(frame: frame.span.bytes)
        #expect(read.senderMAC == Self.mac)
        let bare = sealed(advertisement) {
            $0.removeLast(8)
            $0[19] = 24
        }
        let claimless = try NeighborAdvertisement(frame: bare.span.bytes)
        #expect(claimless.targetMAC == nil && claimless.claim == nil)
        // Without the option an answer goes to the station that the frame came from.
        let plain = sealed(solicitation) {
            $0.removeLast(8)
            $0[19] = 24
            $0[11] = 0x77
        }
        let asked = try NeighborSolicitation(frame: plain.span.bytes)
        #expect(asked.senderMAC.description == "02:42:ac:11:00:77")
    }

    @Test("RFC 4861 §7.1.1: from nobody only to the group, and without an option")
    func judgesUnspecifiedSource() throws {
        let probe = NeighborSolicitation.frame(
            mac: Self.mac, source: .any, target: Self.virtual)
        #expect(probe.count == 14 + 40 + 24)
        let read = try NeighborSolicitation(frame: probe.span.bytes)
        #expect(read.source == .any)
        let answer = try NeighborAdvertisement(
            frame: NeighborAdvertisement.answer(to: read, mac: Self.mac).span.bytes)
        #expect(!answer.isSolicited && answer.destination == IPv6Address("ff02::1"))

        let direct = sealed(probe) { $0.replaceSubrange(38..<54, with: Self.virtual.octets) }
        #expect(problem(solicitation: direct)?.reason == .unspecifiedSource)
        let option = sealed(probe) {
            $0 += [1, 1] + Self.mac.bytes
            $0[19] += 8
        }
        #expect(problem(solicitation: option)?.reason == .unspecifiedSource)
    }

    @Test("RFC 4861 §7.1.2: an answer to everybody is not solicited")
    func refusesSolicitedMulticast() {
        let frame = sealed(advertisement) { $0[58] |= 0x40 }
        #expect(problem(advertisement: frame)?.reason == .solicitedMulticast)
    }

    @Test("Other frames are nobody's fault")
    func ignoresOtherFrames() {
        #expect(problem(solicitation: advertisement)?.reason == .notNeighborDiscovery)
        #expect(problem(advertisement: solicitation)?.reason == .notNeighborDiscovery)
        let arp = ARPProbe.frame(mac: Self.mac, address: IPv4Address(10, 0, 0, 1))
        #expect(problem(solicitation: arp)?.reason == .notNeighborDiscovery)
        var udp = solicitation
        udp[20] = 17
        #expect(problem(solicitation: udp)?.reason == .notNeighborDiscovery)
        var four = solicitation
        four[14] = 0x45
        #expect(problem(solicitation: four)?.reason == .notNeighborDiscovery)
    }

    @Test("No prefix of a frame is one, and padding is no part of it")
    func refusesEveryPrefix() {
        for count in solicitation.indices {
            #expect(problem(solicitation: Array(solicitation[..<count])) != nil)
            #expect(problem(advertisement: Array(advertisement[..<count])) != nil)
        }
        #expect(problem(solicitation: solicitation + [9, 9, 9]) == nil)
        let probe = ARPProbe.frame(mac: Self.mac, address: IPv4Address(10, 0, 0, 1))
        for count in probe.indices {
            #expect(ARPPacket(frame: Array(probe[..<count]).span.bytes) == nil)
        }
    }

    @Test("Every flipped bit is refused, or lies where nobody looks")
    func refusesEveryFlippedBit() throws {
        let original = try NeighborSolicitation(frame: solicitation.span.bytes)
        for bit in 0..<(solicitation.count * 8) {
            var frame = solicitation
            frame[bit / 8] ^= 0x80 >> UInt8(bit % 8)
            guard let read = try? NeighborSolicitation(frame: frame.span.bytes) else { continue }
            // Ethernet addresses; traffic class and flow label.
            #expect(bit / 8 < 12 || (15...17).contains(bit / 8) || (bit / 8 == 14 && bit % 8 > 3))
            #expect(read == original)
        }
    }

    @Test("Random bytes behind a valid start never trap")
    func survivesRandomBytes() {
        var random = SeededGenerator(seed: 4861)
        var takenCount = 0
        for round in 0..<20_000 {
            var frame = round % 2 == 0 ? solicitation : advertisement
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: 0..<frame.count, using: &random)
                frame[index] = .random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random), Int(frame[18]) << 8 | Int(frame[19]) <= 32 {
                frame = sealed(frame) { _ in }
            }
            frame += [UInt8](repeating: 0, count: Int.random(in: 0...20, using: &random))
            if problem(solicitation: frame) == nil { takenCount += 1 }
            if problem(advertisement: frame) == nil { takenCount += 1 }
            _ = ARPPacket(frame: frame.span.bytes)
        }
        #expect(takenCount > 100, "the generator must reach the end of the readers")
    }

    @Test(
        "RFC 826: only Ethernet and IPv4 are ARP here",
        arguments: [(12, 9), (14, 1), (15, 6), (16, 9), (18, 8), (19, 16), (20, 1), (21, 3)])
    func refusesOtherARP(index: Int, value: Int) {
        var frame = ARPRequest.frame(
            mac: Self.mac, sender: IPv4Address(10, 0, 0, 2), target: IPv4Address(10, 0, 0, 1))
        let read = ARPPacket(frame: frame.span.bytes)
        #expect(read?.claim?.address == IPAddress(10, 0, 0, 2))
        frame[index] = UInt8(value)
        #expect(ARPPacket(frame: frame.span.bytes) == nil)
    }

    @Test("RFC 9568 §7.3: each family has its own virtual router MAC address")
    func knowsVirtualRouterMACs() {
        #expect(
            HardwareAddress.virtualRouter(id: 255, family: .ipv6).description
                == "00:00:5e:00:02:ff")
        #expect(
            HardwareAddress.virtualRouter(id: 51, family: .ipv4).description
                == "00:00:5e:00:01:33")
        #expect(
            HardwareAddress.multicast(Self.virtual.solicitedNodeGroup).description
                == "33:33:ff:12:34:56")
        #expect(HardwareAddress.broadcast.isGroup && !Self.mac.isGroup)
    }
}
