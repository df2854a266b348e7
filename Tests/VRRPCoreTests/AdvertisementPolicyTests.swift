// SPDX-License-Identifier: Apache-2.0
//
// What a policy refuses: other versions, families, senders, and content that only version 2 or
// IPv6 have.

import Testing
import VRRPCore
import WireCore

@Suite("Advertisement policy")
struct AdvertisementPolicyTests {
    static let linkLocal = IPv6Address(high: 0xFE80 << 48, low: 0x11)
    static let virtual = IPAddress.v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 0x64))

    let source = IPAddress(10, 77, 0, 11)

    static let version2 = Advertisement(
        virtualRouterID: 51, priority: 200, intervalCentiseconds: 300,
        addresses: [IPAddress(10, 77, 0, 100)], version: .version2)

    static let dual = Advertisement(
        virtualRouterID: 51, priority: 200, intervalCentiseconds: 1,
        addresses: [.v6(linkLocal), virtual])

    /// The error of an IPv4 packet under a policy.
    private func problem(
        _ packet: PacketBuilder, _ policy: AdvertisementPolicy
    ) -> AdvertisementError? {
        var decoder = AdvertisementDecoder(policy)
        do throws(AdvertisementError) {
            _ = try decoder.decode(ipv4Packet: packet.bytes.span.bytes)
            return nil
        } catch { return error }
    }

    /// The error of an IPv6 message.
    private func problem(
        _ message: [UInt8], source: IPv6Address = linkLocal, hopLimit: UInt8 = 255,
        _ change: (inout AdvertisementPolicy) -> Void = { _ in }
    ) -> AdvertisementError? {
        var policy = AdvertisementPolicy(virtualRouterIDs: [51], family: .ipv6)
        change(&policy)
        var decoder = AdvertisementDecoder(policy)
        do throws(AdvertisementError) {
            _ = try decoder.decode(
                ipv6Message: message.span.bytes, source: source,
                destination: IPv6Address(high: 0xFF02 << 48, low: 0x12), hopLimit: hopLimit)
            return nil
        } catch { return error }
    }

    private func message(_ advertisement: Advertisement = dual) -> [UInt8] {
        advertisement.encoded(
            checksum: .rfc9568, source: .v6(Self.linkLocal),
            destination: Advertisement.group(of: .ipv6))
    }

    @Test("RFC 9568 §5.1.2.3, §7.1: the hop limit must be 255", arguments: [0, 1, 64, 254])
    func refusesForwardedIPv6(hopLimit: UInt8) {
        #expect(
            problem(message(), hopLimit: hopLimit)
                == AdvertisementError(.hopLimit, got: Int(hopLimit), wanted: 255))
        #expect(problem(message()) == nil)
    }

    @Test("RFC 9568 §7.1, erratum 8300: the first IPv6 address must be link-local")
    func refusesGlobalFirstAddress() {
        var advertisement = Self.dual
        advertisement.addresses = [Self.virtual]
        let bytes = advertisement.encoded(
            checksum: .rfc9568, source: Self.virtual, destination: Advertisement.group(of: .ipv6))
        var error = problem(bytes)
        // The pseudo-header of this test's carrier has another source.
        #expect(error?.reason == .checksum)
        guard let global = Self.virtual.ipv6 else { return }
        error = problem(bytes, source: global)
        #expect(error?.reason == .firstAddress)
        #expect(error?.description == "first_address: got 2001:db8::64")
    }

    @Test("RFC 9568 §5.2.9: the first address on the wire is link-local")
    func putsLinkLocalAddressFirst() throws {
        var decoder = AdvertisementDecoder(
            AdvertisementPolicy(virtualRouterIDs: [51], family: .ipv6))
        func sent(_ addresses: [IPAddress], linkLocal: IPv6Address? = nil) throws -> [IPAddress] {
            var advertisement = Self.dual
            advertisement.addresses = addresses
            let bytes = advertisement.encoded(
                checksum: .rfc9568, source: .v6(Self.linkLocal),
                destination: Advertisement.group(of: .ipv6), linkLocal: linkLocal)
            return try decoder.decode(
                ipv6Message: bytes.span.bytes, source: Self.linkLocal,
                destination: IPv6Address(high: 0xFF02 << 48, low: 0x12), hopLimit: 255
            ).advertisement.addresses
        }
        let other = IPAddress.v6(IPv6Address(high: 0xFE80 << 48, low: 0x64))
        let third = IPAddress.v6(IPv6Address(high: 0xFD00 << 48, low: 1))
        #expect(
            try sent([Self.virtual, third, other]) == [other, Self.virtual, third],
            "a configured one is moved to the front, the order of the rest stays")
        #expect(try sent([Self.virtual]) == [.v6(Self.linkLocal), Self.virtual])
        #expect(try sent([Self.virtual], linkLocal: other.ipv6) == [other, Self.virtual])
    }

    @Test("The link-local address that a sender had to put first makes no difference")
    func comparesAddressLists() {
        let own = IPAddress.v6(Self.linkLocal)
        let third = IPAddress.v6(IPv6Address(high: 0xFD00 << 48, low: 1))
        func lists(_ addresses: [IPAddress], as configured: [IPAddress]) -> Bool {
            Advertisement(
                virtualRouterID: 1, priority: 1, intervalCentiseconds: 1, addresses: addresses
            ).listsSameAddresses(as: configured.sorted())
        }
        #expect(lists([own, Self.virtual], as: [Self.virtual]))
        #expect(lists([own, Self.virtual], as: [Self.virtual, own]))
        #expect(lists([own, third, Self.virtual], as: [Self.virtual, third]))
        #expect(!lists([own], as: [Self.virtual]))
        #expect(!lists([third, Self.virtual], as: [Self.virtual]), "not link-local")
        #expect(!lists([own, Self.virtual], as: [own]), "the configured one is not skipped")
        #expect(!lists([own, own, Self.virtual], as: [own, Self.virtual]))
        #expect(!lists([own, third, Self.virtual], as: [Self.virtual]), "one is skipped, not two")
        #expect(
            lists(
                [IPAddress(10, 0, 0, 2), IPAddress(10, 0, 0, 1)],
                as: [IPAddress(10, 0, 0, 1), IPAddress(10, 0, 0, 2)]))
        #expect(
            !lists(
                [IPAddress(10, 0, 0, 2)],
                as: [IPAddress(10, 0, 0, 1), IPAddress(10, 0, 0, 2)]))
    }

    @Test("RFC 9568 §5.2.9: an IPv6 router takes nothing from IPv4, nor the other way round")
    func refusesTheOtherFamily() {
        let ipv6 = AdvertisementPolicy(virtualRouterIDs: [51], family: .ipv6)
        #expect(
            problem(PacketBuilder(), ipv6) == AdvertisementError(.ipVersion, got: 4, wanted: 6))
        #expect(
            problem(message()) { $0.family = .ipv4 }
                == AdvertisementError(.ipVersion, got: 6, wanted: 4))
    }

    @Test("RFC 9568 §5.2.8: over IPv6 the checksum has a pseudo-header, and no second form")
    func refusesIPv6ChecksumWithoutPseudoHeader() throws {
        var bytes = message()
        bytes[6] = 0
        bytes[7] = 0
        var sum = InternetChecksum()
        for byte in bytes { sum.add(byte: byte) }
        bytes[6] = UInt8(sum.value >> 8)
        bytes[7] = UInt8(sum.value & 0xFF)
        let error = try #require(problem(bytes))
        #expect(error.reason == .checksum && error.got == Int(sum.value))
        let right = message()
        #expect(error.wanted == Int(right[6]) << 8 | Int(right[7]))
        #expect(error.detail == nil)
    }

    @Test("RFC 3768 §5.3.8: a version 2 checksum has no pseudo-header, and no second form")
    func refusesVersion2ChecksumWithPseudoHeader() throws {
        let policy = AdvertisementPolicy(
            virtualRouterIDs: [51], version: .version2, checksum: .rfc5798)
        var packet = PacketBuilder(Self.version2, checksum: .rfc5798)
        #expect(problem(packet, policy) == nil)
        packet.message[7] ^= 1
        let error = try #require(problem(packet, policy))
        #expect(error.reason == .checksum && error.detail == nil)
    }

    @Test("A wrong checksum names the forms it could have had, and never what it has")
    func describesWrongChecksums() {
        var packet = PacketBuilder()
        packet.message[7] ^= 1
        let error = problem(packet, AdvertisementPolicy(virtualRouterIDs: [51]))
        #expect(
            error?.description
                == "checksum: got 0xfc19, wanted 0xfc18, or 0x1132 in the other form")
        let older = AdvertisementPolicy(virtualRouterIDs: [51], checksum: .rfc5798)
        #expect(
            problem(packet, older)?.description
                == "checksum: got 0xfc19, wanted 0x1132, or 0xfc18 in the other form")

        var random = SeededGenerator(seed: 1624)
        for _ in 0..<20_000 {
            packet.message[6] = .random(in: 0...255, using: &random)
            packet.message[7] = .random(in: 0...255, using: &random)
            guard let error = problem(packet, AdvertisementPolicy(virtualRouterIDs: [51])) else {
                continue
            }
            #expect(error.got != error.wanted && error.wanted == 0xFC18)
            #expect(error.detail == .otherChecksum(0x1132))
        }
    }

    @Test("RFC 9568 §7.1, RFC 3768 §7.1: one version is spoken, the configured one")
    func refusesTheOtherVersion() {
        let two = AdvertisementPolicy(virtualRouterIDs: [51], version: .version2)
        let three = AdvertisementPolicy(virtualRouterIDs: [51])
        #expect(problem(PacketBuilder(Self.version2), two) == nil)
        #expect(
            problem(PacketBuilder(Self.version2), three)
                == AdvertisementError(.version, got: 2, wanted: 3))
        #expect(
            problem(PacketBuilder(), two) == AdvertisementError(.version, got: 3, wanted: 2))
    }

    @Test("RFC 3768 §7.1: the authentication type must be 0", arguments: [1, 2, 254, 255])
    func refusesVersion2Authentication(type: UInt8) {
        var packet = PacketBuilder(Self.version2)
        packet.setMessageByte(4, to: type)
        #expect(
            problem(packet, AdvertisementPolicy(virtualRouterIDs: [51], version: .version2))
                == AdvertisementError(.authenticationType, got: Int(type), wanted: 0))
    }

    @Test("RFC 3768 §5.3.10: authentication data is ignored, but summed over")
    func ignoresVersion2AuthenticationData() {
        let policy = AdvertisementPolicy(virtualRouterIDs: [51], version: .version2)
        var packet = PacketBuilder(Self.version2)
        #expect(packet.message.suffix(8) == [0, 0, 0, 0, 0, 0, 0, 0])
        packet.message[14] = 0x70
        #expect(problem(packet, policy)?.reason == .checksum)
        packet.fixChecksum()
        #expect(problem(packet, policy) == nil)
        packet.message.removeLast(8)
        packet.fixChecksum()
        #expect(
            problem(packet, policy) == AdvertisementError(.messageLength, got: 12, wanted: 20))
    }

    @Test("RFC 3768 §7.1: another interval is dropped where it is configured, and never zero")
    func judgesVersion2Interval() {
        var policy = AdvertisementPolicy(virtualRouterIDs: [51], version: .version2)
        var packet = PacketBuilder(Self.version2)
        #expect(problem(packet, policy) == nil)
        policy.version2IntervalCentiseconds = 300
        #expect(problem(packet, policy) == nil)
        policy.version2IntervalCentiseconds = 100
        #expect(
            problem(packet, policy)
                == AdvertisementError(.intervalDiffers, got: 300, wanted: 100))
        packet.setMessageByte(5, to: 0)
        #expect(problem(packet, policy) == AdvertisementError(.interval, got: 0, wanted: 1))
        // The longest there is does not overflow.
        policy.version2IntervalCentiseconds = 25_500
        packet.setMessageByte(5, to: 255)
        #expect(problem(packet, policy) == nil)
    }

    @Test(
        "FRR and keepalived round to whole seconds; at least one goes out",
        arguments: [(1, 1), (99, 1), (100, 1), (199, 1), (250, 2), (4095, 40)] as [(UInt16, UInt8)])
    func sendsWholeSeconds(centiseconds: UInt16, seconds: UInt8) {
        var advertisement = Self.version2
        advertisement.intervalCentiseconds = centiseconds
        let bytes = advertisement.encoded(
            checksum: .rfc9568, source: source, destination: Advertisement.multicastGroup)
        #expect(bytes[0] == 0x21 && bytes[4] == 0 && bytes[5] == seconds)
    }

    @Test("Who sends to whom is checked before anything costs time")
    func judgesCarrier() throws {
        var policy = AdvertisementPolicy(
            virtualRouterIDs: [51], ownAddress: IPAddress(10, 77, 0, 11))
        #expect(problem(PacketBuilder(), policy)?.description == "own_source: got 10.77.0.11")
        policy.ownAddress = IPAddress(10, 77, 0, 12)
        policy.destination = IPAddress(10, 77, 0, 12)
        #expect(
            problem(PacketBuilder(), policy)?.description
                == "foreign_destination: got 224.0.0.18, wanted 10.77.0.12")
        policy.destination = Advertisement.multicastGroup
        policy.peer = IPAddress(10, 77, 0, 13)
        #expect(
            problem(PacketBuilder(), policy)?.description
                == "foreign_source: got 10.77.0.11, wanted 10.77.0.13")
        policy.peer = source
        #expect(problem(PacketBuilder(), policy) == nil)
    }

    @Test(
        "A source that is no node's is refused",
        arguments: [IPAddress(0, 0, 0, 0), IPAddress(224, 0, 0, 18), IPAddress(239, 1, 2, 3)])
    func refusesNobody(source: IPAddress) {
        var packet = PacketBuilder()
        packet.source = source
        let error = problem(packet, AdvertisementPolicy(virtualRouterIDs: [51]))
        #expect(error?.reason == .sourceAddress)
        #expect(problem(message(), source: .any)?.reason == .sourceAddress)
    }

    @Test("As many addresses as the count can say, in both families and versions")
    func carriesManyAddresses() throws {
        let many = (0..<255).map { IPAddress.v4(IPv4Address(rawValue: 0x0A00_0000 + $0)) }
        var advertisement = Self.version2
        advertisement.addresses = many
        let packet = PacketBuilder(advertisement)
        #expect(packet.bytes.count <= Advertisement.byteCountMax(of: .ipv4))
        var decoder = AdvertisementDecoder(
            AdvertisementPolicy(virtualRouterIDs: [51], version: .version2))
        let received = try decoder.decode(ipv4Packet: packet.bytes.span.bytes)
        #expect(received.advertisement == advertisement)

        advertisement.version = .version3
        advertisement.addresses =
            [.v6(Self.linkLocal)] + (1..<255).map { .v6(IPv6Address(high: 0xFD << 56, low: $0)) }
        let bytes = message(advertisement)
        #expect(bytes.count == 8 + 16 * 255)
        #expect(bytes.count <= Advertisement.byteCountMax(of: .ipv6))
        #expect(problem(bytes) == nil)
    }
}
