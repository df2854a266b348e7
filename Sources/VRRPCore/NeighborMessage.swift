// SPDX-License-Identifier: Apache-2.0
//
// What neighbour solicitations and advertisements have in common: Ethernet, IPv6 and ICMPv6
// headers, a target, one option; written, and read with the checks of RFC 4861 §7.1.

internal import WireCore

/// A neighbour discovery message in an Ethernet frame (RFC 4861 §4.3 and §4.4).
struct NeighborMessage: Hashable, Sendable {
    var kind: Kind
    var etherDestination: HardwareAddress
    var etherSource: HardwareAddress
    var source: IPv6Address
    var destination: IPv6Address
    /// The word after the checksum: flags in an advertisement, reserved in a solicitation.
    var flags: UInt32
    var target: IPv6Address
    /// Source or target link-layer address, whichever belongs to the kind.
    var linkLayerAddress: HardwareAddress?

    /// The ICMPv6 types.
    enum Kind: UInt8, Sendable {
        case solicitation = 135
        case advertisement = 136

        /// Source link-layer address in a solicitation, target link-layer address in an answer.
        var option: UInt8 { self == .solicitation ? 1 : 2 }
    }

    static let etherType: UInt16 = 0x86DD
    static let hopLimit: UInt8 = 255
    static let nextHeaderICMPv6: UInt8 = 58
    static let etherHeaderByteCount = 14
    static let ipHeaderByteCount = 40
    /// Type, code, checksum, flags and target.
    static let bodyByteCountMin = 24
    /// An option with an Ethernet address: one unit of eight bytes (RFC 4861 §4.6.1).
    static let optionByteCount = 8

    /// ff02::1, every node of the link.
    static let allNodes = IPv6Address(high: 0xFF02 << 48, low: 1)

    /// The whole Ethernet frame.
    var frame: [UInt8] {
        let body = sealedBody
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.etherHeaderByteCount + Self.ipHeaderByteCount + body.count)
        bytes += etherDestination.bytes
        bytes += etherSource.bytes
        bytes.appendBigEndian(Self.etherType)
        bytes.appendBigEndian(UInt32(6) << 28)
        bytes.appendBigEndian(UInt16(body.count))
        bytes.append(Self.nextHeaderICMPv6)
        bytes.append(Self.hopLimit)
        bytes.append(.v6(source))
        bytes.append(.v6(destination))
        return bytes + body
    }

    private var sealedBody: [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(Self.bodyByteCountMin + Self.optionByteCount)
        body.append(kind.rawValue)
        body.append(0)
        body.appendBigEndian(UInt16(0))
        body.appendBigEndian(flags)
        body.append(.v6(target))
        if let linkLayerAddress {
            body.append(kind.option)
            body.append(1)
            body += linkLayerAddress.bytes
        }
        let sum = unsafe checksum(of: body.span.bytes)
        body[2] = UInt8(truncatingIfNeeded: sum >> 8)
        body[3] = UInt8(truncatingIfNeeded: sum)
        return body
    }

    /// RFC 4443 §2.3: over a pseudo-header and the whole message; 0 when it carries the right one.
    private func checksum(of body: RawSpan) -> UInt16 {
        var sum = InternetChecksum()
        sum.add(
            PseudoHeader(source: .v6(source), destination: .v6(destination)),
            protocolNumber: Self.nextHeaderICMPv6, byteCount: body.byteCount)
        sum.add(body)
        return sum.value
    }
}

extension NeighborMessage {
    /// Reads a frame and makes every check that both kinds share.
    ///
    /// A message behind an IPv6 extension header is not looked for: nobody has a reason to send
    /// one, and RFC 6980 forbids fragments.
    init(frame: RawSpan, _ kind: Kind) throws(NeighborMessageError) {
        var reader = ByteReader(frame)
        guard let etherDestination = reader.readHardwareAddress(),
            let etherSource = reader.readHardwareAddress(), let etherType = reader.readUInt16()
        else { throw Self.truncated(frame, Self.etherHeaderByteCount) }
        guard etherType == Self.etherType else {
            throw Self.foreign(Int(etherType), Int(Self.etherType))
        }
        let headerEnd = Self.etherHeaderByteCount + Self.ipHeaderByteCount
        guard let versionAndLabel = reader.readUInt32(), let length = reader.readUInt16(),
            let nextHeader = reader.readUInt8(), let hopLimit = reader.readUInt8(),
            let source = reader.readIPv6Address(), let destination = reader.readIPv6Address()
        else { throw Self.truncated(frame, headerEnd) }
        guard versionAndLabel >> 28 == 6 else {
            throw Self.foreign(Int(versionAndLabel >> 28), 6)
        }
        guard nextHeader == Self.nextHeaderICMPv6 else {
            throw Self.foreign(Int(nextHeader), Int(Self.nextHeaderICMPv6))
        }
        // Bytes after the payload are Ethernet padding.
        guard Int(length) <= reader.remainingByteCount else {
            throw Self.truncated(frame, headerEnd + Int(length))
        }
        self.init(
            kind: kind, etherDestination: etherDestination, etherSource: etherSource,
            source: source, destination: destination, flags: 0, target: .any)
        let body = frame.extracting(headerEnd..<(headerEnd + Int(length)))
        try read(body, hopLimit: hopLimit)
    }

    private mutating func read(
        _ body: RawSpan, hopLimit: UInt8
    ) throws(NeighborMessageError) {
        var reader = ByteReader(body)
        guard let type = reader.readUInt8() else {
            throw Self.truncated(body, Self.bodyByteCountMin)
        }
        guard type == kind.rawValue else { throw Self.foreign(Int(type), Int(kind.rawValue)) }
        // RFC 4861 §7.1.1, §7.1.2: hop limit 255, code 0, 24 bytes or more, a valid checksum.
        guard hopLimit == Self.hopLimit else {
            throw NeighborMessageError(
                .hopLimit, got: Int(hopLimit), wanted: Int(Self.hopLimit))
        }
        guard let code = reader.readUInt8(), let sum = reader.readUInt16(),
            let flags = reader.readUInt32(), let target = reader.readIPv6Address()
        else { throw Self.truncated(body, Self.bodyByteCountMin) }
        guard code == 0 else { throw NeighborMessageError(.code, got: Int(code), wanted: 0) }
        let residue = checksum(of: body)
        guard residue == 0 else {
            let wanted = UInt32(sum) + UInt32(residue)
            throw NeighborMessageError(
                .checksum, got: Int(sum), wanted: Int((wanted & 0xFFFF) + wanted >> 16))
        }
        // RFC 4291 §2.7: no packet comes from a group, and an answer would go to all of it.
        guard !source.isMulticast else {
            throw NeighborMessageError(.source, got: Int(source.high >> 56), wanted: 0)
        }
        // The target address is not a multicast address.
        guard !target.isMulticast else {
            throw NeighborMessageError(.target, got: Int(target.high >> 56), wanted: 0)
        }
        self.flags = flags
        self.target = target
        linkLayerAddress = try Self.linkLayerAddress(&reader, kind.option)
    }

    /// The first option of a kind; those of other kinds are skipped (RFC 4861 §4.6).
    private static func linkLayerAddress(
        _ reader: inout ByteReader, _ wanted: UInt8
    ) throws(NeighborMessageError) -> HardwareAddress? {
        var found: HardwareAddress?
        while reader.remainingByteCount > 0 {
            let left = reader.remainingByteCount
            // All options have a length that is greater than zero, in units of eight bytes.
            guard let type = reader.readUInt8(), let units = reader.readUInt8(), units > 0,
                let content = reader.readBytes(Int(units) * optionByteCount - 2)
            else { throw NeighborMessageError(.option, got: left, wanted: optionByteCount) }
            if type == wanted, units == 1, found == nil {
                found = HardwareAddress(bytes: content)
            }
        }
        return found
    }

    private static func truncated(_ bytes: RawSpan, _ wanted: Int) -> NeighborMessageError {
        NeighborMessageError(.truncated, got: bytes.byteCount, wanted: wanted)
    }

    private static func foreign(_ got: Int, _ wanted: Int) -> NeighborMessageError {
        NeighborMessageError(.notNeighborDiscovery, got: got, wanted: wanted)
    }
}

extension ByteReader {
    /// The next sixteen bytes, or `nil` when fewer are left.
    mutating func readIPv6Address() -> IPv6Address? {
        guard remainingByteCount >= 16, let high = readUInt64(), let low = readUInt64() else {
            return nil
        }
        return IPv6Address(high: high, low: low)
    }
}
