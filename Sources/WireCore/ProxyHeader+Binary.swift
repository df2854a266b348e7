// SPDX-License-Identifier: Apache-2.0
//
// Version 2 of the PROXY protocol (§2.2): a fixed part, addresses, and TLVs.

extension ProxyHeader {
    private enum Family: UInt8 {
        case unspecified
        case internet4
        case internet6
        case unix

        var addressByteCount: Int {
            switch self {
            case .unspecified: 0
            case .internet4: 2 * 4 + 2 * 2
            case .internet6: 2 * 16 + 2 * 2
            case .unix: 2 * 108
            }
        }
    }

    private enum Transport: UInt8 {
        case unspecified
        case stream
        case datagram
    }

    private static let typeChecksum: UInt8 = 0x03
    private static let tlvHeaderByteCount = 3

    static func decodeBinary(_ bytes: RawSpan) -> ProxyHeaderOutcome {
        for offset in 0..<min(bytes.byteCount, signature.count)
        where bytes[offset] != signature[offset] {
            return .malformed(.noHeader)
        }
        guard bytes.byteCount > 12 else { return .needMore }
        guard bytes[12] >> 4 == 2 else { return .malformed(.unknownVersion) }
        // §2.2: receivers must drop connections presenting unexpected values here.
        guard bytes[12] & 0xF <= 1 else { return .malformed(.unknownCommand) }
        let isLocal = bytes[12] & 0xF == 0
        guard bytes.byteCount > 13 else { return .needMore }
        let family = Family(rawValue: bytes[13] >> 4)
        let transport = Transport(rawValue: bytes[13] & 0xF)
        // §2.2: for LOCAL the family is ignored; elsewhere unassigned values must be rejected.
        if !isLocal, family == nil || transport == nil { return .malformed(.unknownFamily) }
        guard bytes.byteCount >= fixedByteCount else { return .needMore }
        let variableByteCount = Int(bytes[14]) << 8 | Int(bytes[15])
        guard variableByteCount <= variableByteCountMax else { return .malformed(.headerTooLong) }
        let known = isLocal ? .unspecified : family ?? .unspecified
        guard variableByteCount >= known.addressByteCount else {
            return .malformed(.addressesTruncated)
        }
        let byteCount = fixedByteCount + variableByteCount
        guard bytes.byteCount >= byteCount else { return .needMore }
        let header = bytes.extracting(0..<byteCount)
        switch checksum(in: header, from: fixedByteCount + known.addressByteCount) {
        // §2.2: an unspecified family may come with addresses of any form, to be ignored.
        case .invalidTLV where known != .unspecified: return .malformed(.invalidTLV)
        case .mismatch: return .malformed(.checksumMismatch)
        case .absent, .correct, .invalidTLV: break
        }
        // §2.2: a receiver falls back to the real ends for what it does not support.
        let connection = transport == .stream ? connection(of: known, in: header) : nil
        return .complete(ProxyHeader(connection: connection, byteCount: byteCount))
    }

    private static func connection(of family: Family, in header: RawSpan) -> Connection? {
        var reader = ByteReader(header.extracting(fixedByteCount..<header.byteCount))
        let ends: (IPAddress, IPAddress)
        switch family {
        case .internet4:
            guard let source = reader.readUInt32(), let destination = reader.readUInt32() else {
                return nil
            }
            ends = (
                .v4(IPv4Address(rawValue: source)), .v4(IPv4Address(rawValue: destination))
            )
        case .internet6:
            guard let source = reader.readIPv6Address(),
                let destination = reader.readIPv6Address()
            else { return nil }
            ends = (.v6(source), .v6(destination))
        case .unix, .unspecified:
            return nil
        }
        guard let sourcePort = reader.readUInt16(), let destinationPort = reader.readUInt16()
        else { return nil }
        return Connection(
            source: Endpoint(address: ends.0, port: sourcePort),
            destination: Endpoint(address: ends.1, port: destinationPort))
    }

    private enum ChecksumState {
        case absent
        case correct
        case mismatch
        case invalidTLV
    }

    /// Walks all TLVs; §2.2.3: a checksum that is present must fit.
    private static func checksum(in header: RawSpan, from first: Int) -> ChecksumState {
        var offset = first
        var place: Int?
        while offset < header.byteCount {
            guard header.byteCount - offset >= tlvHeaderByteCount else { return .invalidTLV }
            let length = Int(header[offset + 1]) << 8 | Int(header[offset + 2])
            guard header.byteCount - offset - tlvHeaderByteCount >= length else {
                return .invalidTLV
            }
            if header[offset] == typeChecksum {
                guard length == 4, place == nil else { return .mismatch }
                place = offset + tlvHeaderByteCount
            }
            offset += tlvHeaderByteCount + length
        }
        guard let place else { return .absent }
        var sum = ProxyHeaderChecksum()
        var received: UInt32 = 0
        for offset in header.byteOffsets {
            let isField = (place..<place + 4).contains(offset)
            if isField { received = received << 8 | UInt32(header[offset]) }
            sum.add(byte: isField ? 0 : header[offset])
        }
        return sum.value == received ? .correct : .mismatch
    }
}

extension ByteReader {
    fileprivate mutating func readIPv6Address() -> IPv6Address? {
        guard let high = readUInt64(), let low = readUInt64() else { return nil }
        return IPv6Address(high: high, low: low)
    }
}
