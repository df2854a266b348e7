// SPDX-License-Identifier: Apache-2.0
//
// Goal: our adverts are, byte for byte, what an independent implementation makes of the same
// values. Method: Tests/Vectors/vrrp/adverts.txt, written by scapy; every packet is built and read.

import TLSIO
import Testing
import VRRPCore
import WireCore

/// An advert as a vector describes it.
struct AdvertisementVector: Sendable, CustomTestStringConvertible {
    let vector: Vector

    static let all = Vector.load("adverts").map(AdvertisementVector.init)
    /// Those whose every bit is flipped; longer ones add nothing but time.
    static let short = all.filter { ((try? $0.packet.count) ?? 0) < 160 }

    static let bootNonce: UInt64 = 0x1876_5432_10FE_DCBA
    static let key = AdvertisementKey(bytes: (0..<32).map { UInt8($0) }) { key, message in
        HMACSHA256.authenticationCode(for: message, key: key)
    }

    var testDescription: String { vector.name }

    var packet: [UInt8] { get throws { try vector.bytes("packet") } }
    var source: IPAddress { get throws { try vector.address("source") } }
    var destination: IPAddress { get throws { try vector.address("destination") } }
    var sequence: UInt64 { get throws { try vector.number("sequence", as: UInt64.self) } }
    var checksum: ChecksumForm {
        get throws { try #require(ChecksumForm(rawValue: try vector.text("checksum"))) }
    }

    var advertisement: Advertisement {
        get throws {
            let version = try vector.number("version", as: UInt8.self)
            return Advertisement(
                virtualRouterID: try vector.number("vrid", as: UInt8.self),
                priority: try vector.number("priority", as: UInt8.self),
                intervalCentiseconds: try vector.number("interval", as: UInt16.self),
                addresses: try vector.text("addresses").split(separator: " ").map {
                    try #require(IPAddress($0))
                },
                version: try #require(AdvertisementVersion(rawValue: version)))
        }
    }

    /// Bytes before the message.
    var headerByteCount: Int { get throws { try source.family == .ipv4 ? 20 : 40 } }

    /// What we send for the same values.
    var encoded: [UInt8] {
        get throws {
            let sequence = try sequence
            guard sequence != 0 else {
                return try advertisement.encoded(
                    checksum: checksum, source: source, destination: destination)
            }
            var signer = AdvertisementSigner(
                key: Self.key, bootNonce: Self.bootNonce, sentCount: sequence - 1)
            return try advertisement.encoded(
                checksum: checksum, source: source, destination: destination, signer: &signer)
        }
    }

    /// A decoder of a router that takes this advert.
    var decoder: AdvertisementDecoder {
        get throws {
            let advertisement = try advertisement
            return AdvertisementDecoder(
                AdvertisementPolicy(
                    virtualRouterIDs: [advertisement.virtualRouterID],
                    version: advertisement.version, family: advertisement.family,
                    key: try sequence == 0 ? nil : Self.key))
        }
    }
}

extension AdvertisementDecoder {
    /// Decodes a whole IP packet of either family, as the kernel would hand it over.
    mutating func decode(packet: [UInt8]) throws(AdvertisementError) -> ReceivedAdvertisement {
        guard let first = packet.first, first >> 4 == 6, packet.count >= 40 else {
            return try decode(ipv4Packet: packet.span.bytes)
        }
        var reader = ByteReader(packet.span.bytes.extracting(7..<40))
        guard let hopLimit = reader.readUInt8(), let source = reader.readIPv6(),
            let destination = reader.readIPv6()
        else { preconditionFailure("40 bytes are there") }
        let message = Array(packet[40...])
        return try decode(
            ipv6Message: message.span.bytes, source: source, destination: destination,
            hopLimit: hopLimit)
    }
}

extension ByteReader {
    /// The next sixteen bytes as an address.
    mutating func readIPv6() -> IPv6Address? {
        guard let high = readUInt64(), let low = readUInt64() else { return nil }
        return IPv6Address(high: high, low: low)
    }
}

@Suite("Advertisements as others make them")
struct AdvertisementVectorTests {
    @Test("Both versions, both families and both checksum forms are among the vectors")
    func vectorsAreThere() throws {
        #expect(AdvertisementVector.all.count >= 23)
        let kinds = try AdvertisementVector.all.map {
            "\(try $0.advertisement.version) \(try $0.source.family) \(try $0.checksum) "
                + "\(try $0.sequence != 0)"
        }
        #expect(Set(kinds).count == 8)
    }

    @Test(
        "RFC 9568 §5.1, RFC 3768 §5.1: what we send is what scapy sends",
        arguments: AdvertisementVector.all)
    func encodesTheSameBytes(vector: AdvertisementVector) throws {
        let packet = try vector.packet
        #expect(try vector.encoded == Array(packet[vector.headerByteCount...]))
    }

    @Test(
        "RFC 9568 §7.1, RFC 3768 §7.1: what scapy sends is taken",
        arguments: AdvertisementVector.all)
    func decodesTheSameValues(vector: AdvertisementVector) throws {
        var decoder = try vector.decoder
        let received = try decoder.decode(packet: vector.packet)
        #expect(received.advertisement == (try vector.advertisement))
        #expect(received.source == (try vector.source))
        #expect(received.destination == (try vector.destination))
        #expect(received.checksumForm == (try vector.checksum))
    }

    @Test("RFC 9568 §7.1: no prefix of an advert is one", arguments: AdvertisementVector.all)
    func refusesEveryPrefix(vector: AdvertisementVector) throws {
        let packet = try vector.packet
        let headerByteCount = try vector.headerByteCount
        for count in packet.indices {
            var decoder = try vector.decoder
            #expect(throws: AdvertisementError.self, "\(count) bytes") {
                try decoder.decode(packet: Array(packet[..<count]))
            }
        }
        // The same with an IP header that says the truth about the length.
        for count in headerByteCount..<packet.count where headerByteCount == 20 {
            var short = Array(packet[..<count])
            short[2] = UInt8(count >> 8)
            short[3] = UInt8(count & 0xFF)
            var decoder = try vector.decoder
            #expect(throws: AdvertisementError.self, "\(count) bytes") {
                try decoder.decode(packet: short)
            }
        }
    }

    @Test(
        "Every flipped bit is refused, or lies where nobody looks",
        arguments: AdvertisementVector.short)
    func refusesEveryFlippedBit(vector: AdvertisementVector) throws {
        let packet = try vector.packet
        var pristine = try vector.decoder
        let original = try pristine.decode(packet: packet)
        for bit in 0..<(packet.count * 8) {
            var flipped = packet
            flipped[bit / 8] ^= 0x80 >> UInt8(bit % 8)
            var decoder = try vector.decoder
            guard let received = try? decoder.decode(packet: flipped) else { continue }
            // Only fields of the IP header that no check reads, or its addresses.
            #expect(bit / 8 < (try vector.headerByteCount), "bit \(bit)")
            #expect(received.advertisement == original.advertisement)
            #expect(received.checksumForm == original.checksumForm)
        }
    }

    @Test(
        "Bytes after an advert are refused, whatever they are",
        arguments: AdvertisementVector.all, [1, 4, 8, 16, 28, 36])
    func refusesTrailingBytes(vector: AdvertisementVector, count: Int) throws {
        var packet = try vector.packet + [UInt8](repeating: 0, count: count)
        let headerByteCount = try vector.headerByteCount
        if headerByteCount == 20 {
            packet[2] = UInt8(packet.count >> 8)
            packet[3] = UInt8(packet.count & 0xFF)
        }
        // Zeros leave the sum of a message without pseudo-header as it is.
        var decoder = try vector.decoder
        do throws(AdvertisementError) {
            _ = try decoder.decode(packet: packet)
            Issue.record("taken with \(count) bytes after it")
        } catch {
            let isLength = error.reason == .messageLength
            #expect(isLength && error.got == packet.count - headerByteCount)
        }
    }
}
