// SPDX-License-Identifier: Apache-2.0
//
// The IPv4 header in front of an advertisement, as a raw socket delivers it.

internal import WireCore

/// The fields of an IPv4 header that VRRP looks at.
struct IPv4Header {
    var headerByteCount: Int
    var totalByteCount: Int
    var addresses: PseudoHeader

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
            addresses: PseudoHeader(
                source: .v4(IPv4Address(rawValue: source)),
                destination: .v4(IPv4Address(rawValue: destination))))
    }
}
