// SPDX-License-Identifier: Apache-2.0
//
// The receive checks of RFC 9568 §7.1 over one IPv4 packet as a raw socket delivers it.
// Checks that keep the packet (interval, address list, second owner) are the state machine's.

public import WireCore

/// An advertisement that passed every receive check, with what its carrier says about it.
public struct ReceivedAdvertisement: Hashable, Sendable {
    /// The message.
    public var advertisement: Advertisement
    /// The sender's primary address: the source of the IP header.
    public var source: IPAddress
    /// The multicast group or the own address.
    public var destination: IPAddress
    /// Which checksum the sender uses; both are accepted.
    public var checksumForm: ChecksumForm

    /// Makes a received advertisement.
    public init(
        advertisement: Advertisement, source: IPAddress, destination: IPAddress,
        checksumForm: ChecksumForm
    ) {
        self.advertisement = advertisement
        self.source = source
        self.destination = destination
        self.checksumForm = checksumForm
    }

    /// Decodes an IPv4 packet, header included, and makes every check that drops it.
    ///
    /// `virtualRouterIDs` are those configured on the interface the packet came in on. Bytes after
    /// the IP total length are Ethernet padding and ignored. Bytes between the last address and
    /// the IP total length (a version 2 authentication block, an HMAC trailer) are refused, as
    /// keepalived and FRR do: they must never be taken for addresses. The time to live is checked
    /// for unicast as well: both ends are ours, one hop apart.
    public static func decode(
        _ packet: RawSpan, virtualRouterIDs: [UInt8]
    ) throws(AdvertisementError) -> ReceivedAdvertisement {
        let header = try IPv4Header.decode(packet)
        let message = packet.extracting(header.headerByteCount..<header.totalByteCount)
        let advertisement = try decodeMessage(message, virtualRouterIDs: virtualRouterIDs)
        let form = try checksumForm(of: message, header: header)
        return ReceivedAdvertisement(
            advertisement: advertisement, source: header.source,
            destination: header.destination, checksumForm: form)
    }

    private static func decodeMessage(
        _ message: RawSpan, virtualRouterIDs: [UInt8]
    ) throws(AdvertisementError) -> Advertisement {
        var reader = ByteReader(message)
        guard let versionAndType = reader.readUInt8(), let id = reader.readUInt8(),
            let priority = reader.readUInt8(), let count = reader.readUInt8(),
            let reserveAndInterval = reader.readUInt16(), reader.readUInt16() != nil
        else {
            throw AdvertisementError(
                .messageTruncated, got: message.byteCount, wanted: Advertisement.headerByteCount)
        }
        // RFC 9568 §7.1: MUST verify that the VRRP version is 3.
        try require(.version, Int(versionAndType >> 4), equals: Int(Advertisement.version))
        // RFC 9568 §5.2.2: a packet with unknown type MUST be discarded.
        try require(.type, Int(versionAndType & 0x0F), equals: Int(Advertisement.type))
        // RFC 9568 §7.1: MUST verify that the VRID is configured on the receiving interface.
        guard virtualRouterIDs.contains(id) else {
            throw AdvertisementError(
                .virtualRouterID, got: Int(id), wanted: Int(virtualRouterIDs.min() ?? 0))
        }
        // RFC 9568 §7.1 with erratum 8299: the address count is at least one.
        guard count >= 1 else { throw AdvertisementError(.addressCount, got: 0, wanted: 1) }
        // RFC 9568 §7.1: MUST verify that the received packet contains the complete message.
        // Exact, not "at least": see `decode`.
        try require(
            .messageLength, message.byteCount,
            equals: Advertisement.headerByteCount + 4 * Int(count))
        // RFC 9568 §5.2.6: the reserve bits are ignored on reception.
        let interval = reserveAndInterval & 0x0FFF
        // RFC 9568 §7.1 with erratum 8301: a zero interval would promote every backup at once.
        guard interval != 0 else { throw AdvertisementError(.interval, got: 0, wanted: 1) }

        var addresses: [IPAddress] = []
        addresses.reserveCapacity(Int(count))
        while let raw = reader.readUInt32() { addresses.append(.v4(IPv4Address(rawValue: raw))) }
        assert(addresses.count == Int(count))
        return Advertisement(
            virtualRouterID: id, priority: priority, intervalCentiseconds: interval,
            addresses: addresses)
    }

    /// The form whose checksum fits.
    ///
    /// RFC 9568 §7.1: MUST verify the VRRP checksum. The RFC 5798 form is accepted as well.
    private static func checksumForm(
        of message: RawSpan, header: IPv4Header
    ) throws(AdvertisementError) -> ChecksumForm {
        for form in [ChecksumForm.rfc9568, .rfc5798] {
            let residue = Advertisement.checksum(
                of: message, form: form, source: header.source, destination: header.destination)
            if residue == 0 { return form }
        }
        throw wrongChecksum(message)
    }

    private static func wrongChecksum(_ message: RawSpan) -> AdvertisementError {
        var reader = ByteReader(message)
        let bytes = reader.readBytes(message.byteCount) ?? []
        let got = UInt16(bytes[6]) << 8 | UInt16(bytes[7])
        var sum = InternetChecksum()
        for byte in bytes[..<6] { sum.add(byte: byte) }
        for byte in bytes[8...] { sum.add(byte: byte) }
        return AdvertisementError(.checksum, got: Int(got), wanted: Int(sum.value))
    }
}

/// The fields of an IPv4 header that VRRP looks at.
private struct IPv4Header {
    var headerByteCount: Int
    var totalByteCount: Int
    var source: IPAddress
    var destination: IPAddress

    static let byteCountMin = 20

    static func decode(_ packet: RawSpan) throws(AdvertisementError) -> IPv4Header {
        var reader = ByteReader(packet)
        guard let versionAndLength = reader.readUInt8(), reader.readUInt8() != nil,
            let total = reader.readUInt16(), reader.readUInt32() != nil,
            let timeToLive = reader.readUInt8(), let protocolNumber = reader.readUInt8(),
            reader.readUInt16() != nil, let source = reader.readUInt32(),
            let destination = reader.readUInt32()
        else {
            throw AdvertisementError(
                .packetTruncated, got: packet.byteCount, wanted: byteCountMin)
        }
        try require(.ipVersion, Int(versionAndLength >> 4), equals: 4)
        // Options make the header longer than 20 bytes: only IHL says where VRRP starts.
        let headerByteCount = Int(versionAndLength & 0x0F) * 4
        guard headerByteCount >= byteCountMin else {
            throw AdvertisementError(.ipHeaderLength, got: headerByteCount, wanted: byteCountMin)
        }
        guard headerByteCount <= packet.byteCount else {
            throw AdvertisementError(
                .ipHeaderLength, got: headerByteCount, wanted: packet.byteCount)
        }
        guard Int(total) <= packet.byteCount else {
            throw AdvertisementError(.ipTotalLength, got: Int(total), wanted: packet.byteCount)
        }
        guard Int(total) >= headerByteCount else {
            throw AdvertisementError(.ipTotalLength, got: Int(total), wanted: headerByteCount)
        }
        try require(
            .ipProtocol, Int(protocolNumber), equals: Int(Advertisement.protocolNumber))
        // RFC 9568 §5.1.1.3 and §7.1: MUST verify that the TTL is 255.
        try require(.timeToLive, Int(timeToLive), equals: Int(Advertisement.timeToLive))
        return IPv4Header(
            headerByteCount: headerByteCount, totalByteCount: Int(total),
            source: .v4(IPv4Address(rawValue: source)),
            destination: .v4(IPv4Address(rawValue: destination)))
    }
}

private func require(
    _ reason: AdvertisementError.Reason, _ got: Int, equals wanted: Int
) throws(AdvertisementError) {
    guard got == wanted else { throw AdvertisementError(reason, got: got, wanted: wanted) }
}
