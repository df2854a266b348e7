// SPDX-License-Identifier: Apache-2.0
//
// The receive checks of RFC 9568 §7.1, one test each, and packets that end or lie anywhere.

import Testing
import VRRPCore
import WireCore

@Suite("Receive checks")
struct ReceivedAdvertisementTests {
    /// The error of a packet that must be refused.
    private func problem(
        _ spoil: (inout PacketBuilder) -> Void
    ) -> AdvertisementError? {
        var packet = PacketBuilder()
        spoil(&packet)
        do {
            _ = try packet.decoded()
            return nil
        } catch {
            return error
        }
    }

    @Test("A whole packet as captured decodes with its carrier's addresses")
    func decodesCapturedPacket() throws {
        let packet =
            hex("45 c0 00 20")  // IPv4, 20-byte header, total length 32
            + hex("12 34 00 00")  // identification
            + hex("ff 70 be 0f")  // TTL 255, protocol 112, header checksum
            + hex("0a 4d 00 0b")  // from 10.77.0.11
            + hex("e0 00 00 12")  // to 224.0.0.18
            + hex("31 33 c8 01 00 01 fc 18 0a 4d 00 64")
        let received = try decode(packet)
        #expect(received.advertisement == .sample)
        #expect(received.source == IPAddress(10, 77, 0, 11))
        #expect(received.destination == IPAddress(224, 0, 0, 18))
        #expect(received.checksumForm == .rfc9568)
    }

    @Test("RFC 9568 §7.1, §5.1.1.3: TTL must be 255, for unicast too", arguments: [0, 1, 64, 254])
    func refusesForwardedPackets(timeToLive: UInt8) {
        for destination in [Advertisement.multicastGroup, IPAddress(10, 77, 0, 12)] {
            let error = problem {
                $0.destination = destination
                $0.timeToLive = timeToLive
            }
            #expect(
                error == AdvertisementError(.timeToLive, got: Int(timeToLive), wanted: 255))
        }
    }

    @Test("RFC 9568 §7.1: the version must be 3", arguments: [0, 1, 2, 4, 15])
    func refusesOtherVersions(version: UInt8) {
        let error = problem { $0.setMessageByte(0, to: version << 4 | 1) }
        #expect(error == AdvertisementError(.version, got: Int(version), wanted: 3))
    }

    @Test("RFC 9568 §5.2.2: an unknown type is discarded", arguments: [0, 2, 15])
    func refusesOtherTypes(type: UInt8) {
        let error = problem { $0.setMessageByte(0, to: 0x30 | type) }
        #expect(error == AdvertisementError(.type, got: Int(type), wanted: 1))
    }

    @Test("RFC 9568 §7.1: the message must be complete", arguments: 8..<12)
    func refusesIncompleteAddresses(byteCount: Int) {
        let error = problem {
            $0.message.removeLast($0.message.count - byteCount)
            $0.fixChecksum()
        }
        #expect(error == AdvertisementError(.messageLength, got: byteCount, wanted: 12))
    }

    @Test("RFC 9568 §7.1: less than the fixed fields is not a message", arguments: 0..<8)
    func refusesIncompleteFixedFields(byteCount: Int) {
        let error = problem { $0.message.removeLast($0.message.count - byteCount) }
        #expect(error == AdvertisementError(.messageTruncated, got: byteCount, wanted: 8))
    }

    @Test("RFC 9568 §7.1: the checksum must fit one of the two forms")
    func refusesWrongChecksum() {
        let error = problem { $0.message[7] ^= 1 }
        #expect(
            error
                == AdvertisementError(
                    .checksum, got: 0xFC19, wanted: 0xFC18, detail: .otherChecksum(0x1132)))
    }

    @Test("RFC 5798 §5.2.8: a pseudo-header checksum is accepted and reported")
    func acceptsPseudoHeaderChecksum() throws {
        let received = try PacketBuilder(checksum: .rfc5798).decoded()
        #expect(received.checksumForm == .rfc5798)
        #expect(received.advertisement == .sample)
    }

    @Test("A pseudo-header checksum made for another destination is refused")
    func refusesPseudoHeaderOfAnotherDestination() {
        var packet = PacketBuilder(checksum: .rfc5798)
        packet.destination = IPAddress(10, 77, 0, 12)
        let error = AdvertisementError(
            .checksum, got: 0x1132, wanted: 0xFC18, detail: .otherChecksum(0xE6EB))
        #expect(throws: error) { try packet.decoded() }
    }

    @Test("RFC 9568 §7.1: the VRID must be configured on the interface")
    func refusesForeignVirtualRouters() {
        let packet = PacketBuilder().bytes
        #expect(throws: AdvertisementError(.virtualRouterID, got: 51, wanted: 50)) {
            try ReceivedAdvertisement.decode(packet.span.bytes, virtualRouterIDs: [52, 50])
        }
        #expect(throws: AdvertisementError(.virtualRouterID, got: 51, wanted: 0)) {
            try ReceivedAdvertisement.decode(packet.span.bytes, virtualRouterIDs: [])
        }
        #expect(throws: Never.self) {
            try ReceivedAdvertisement.decode(packet.span.bytes, virtualRouterIDs: [52, 51])
        }
    }

    @Test("RFC 9568 §5.2.9: the carrier must be IPv4", arguments: [0, 5, 6, 15])
    func refusesOtherFamilies(version: UInt8) {
        let error = problem { $0.versionNibble = version }
        #expect(error == AdvertisementError(.ipVersion, got: Int(version), wanted: 4))
    }

    @Test("RFC 9568 §5.1.1.4: the IP protocol must be 112", arguments: [0, 1, 6, 17, 255])
    func refusesOtherProtocols(number: UInt8) {
        let error = problem { $0.protocolNumber = number }
        #expect(error == AdvertisementError(.ipProtocol, got: Int(number), wanted: 112))
    }

    @Test("RFC 791 §3.1: IHL below 5 words is refused", arguments: 0..<5)
    func refusesShortHeaderLength(words: UInt8) {
        let error = problem { $0.headerWords = words }
        #expect(error == AdvertisementError(.ipHeaderLength, got: Int(words) * 4, wanted: 20))
    }

    @Test("RFC 791 §3.1: IHL beyond the packet is refused")
    func refusesHeaderLengthBeyondPacket() {
        let error = problem { $0.headerWords = 15 }
        #expect(error == AdvertisementError(.ipHeaderLength, got: 60, wanted: 32))
    }

    @Test("RFC 791 §3.1: total length beyond what was received is refused")
    func refusesTotalLengthBeyondPacket() {
        let error = problem { $0.totalByteCount = 33 }
        #expect(error == AdvertisementError(.ipTotalLength, got: 33, wanted: 32))
    }

    @Test("RFC 791 §3.1: total length below the header is refused", arguments: [0, 19] as [UInt16])
    func refusesTotalLengthBelowHeader(total: UInt16) {
        let error = problem { $0.totalByteCount = total }
        #expect(error == AdvertisementError(.ipTotalLength, got: Int(total), wanted: 20))
    }

    @Test("RFC 9568 §7.1: the driver's log line says what was got and what was wanted")
    func describesItself() {
        #expect(
            AdvertisementError(.timeToLive, got: 64, wanted: 255).description
                == "time_to_live: got 64, wanted 255")
        let labels = Set(AdvertisementError.Reason.allCases.map(\.rawValue))
        #expect(labels.count == AdvertisementError.Reason.allCases.count)
    }
}

@Suite("Hostile packets")
struct HostilePacketTests {
    @Test("Every prefix of a packet is refused, none traps")
    func refusesEveryPrefix() {
        var packet = PacketBuilder()
        packet.options = [UInt8](repeating: 1, count: 8)
        let whole = packet.bytes
        for byteCount in whole.indices {
            #expect(throws: AdvertisementError.self, "prefix of \(byteCount) bytes") {
                try decode(Array(whole[..<byteCount]))
            }
        }
        #expect(throws: Never.self) { try decode(whole) }
    }

    @Test("Every value of every single byte decodes or is refused, none traps")
    func survivesEverySingleByteMutation() throws {
        let whole = PacketBuilder().bytes
        let original = try decode(whole)
        for index in whole.indices {
            for value in UInt8.min...UInt8.max {
                var packet = whole
                packet[index] = value
                guard let received = try? decode(packet) else { continue }
                // A one's complement sum sees every change of one byte of the message.
                #expect(index < 20 || value == whole[index], "byte \(index) = \(value)")
                #expect(received.advertisement == original.advertisement)
            }
        }
    }

    @Test("Random bytes behind a valid start never trap")
    func survivesRandomBytes() {
        var random = SeededGenerator(seed: 112)
        var acceptedCount = 0
        for _ in 0..<20_000 {
            var packet = PacketBuilder()
            let count = Int.random(in: 0...64, using: &random)
            packet.message = (0..<count).map { _ in .random(in: 0...255, using: &random) }
            if count >= 8, Bool.random(using: &random) {
                packet.message[0] = 0x31
                packet.message[1] = 51
                packet.fixChecksum()
            }
            packet.padding = [UInt8](repeating: 0, count: Int.random(in: 0...3, using: &random))
            if (try? packet.decoded()) != nil { acceptedCount += 1 }
        }
        #expect(acceptedCount > 0, "the generator must reach the end of the decoder")
        #expect(acceptedCount < 2_000)
    }
}
