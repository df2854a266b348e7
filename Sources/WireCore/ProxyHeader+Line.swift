// SPDX-License-Identifier: Apache-2.0
//
// Version 1 of the PROXY protocol (§2.1): one line of text.

extension ProxyHeader {
    private static let carriageReturn: UInt8 = 0x0D
    private static let lineFeed: UInt8 = 0x0A
    private static let space: UInt8 = 0x20

    static func decodeLine(_ bytes: RawSpan) -> ProxyHeaderOutcome {
        for offset in 0..<min(bytes.byteCount, lineStart.count)
        where bytes[offset] != lineStart[offset] {
            return .malformed(.noHeader)
        }
        // §2.1: the receiver must wait for CR LF before it decodes the addresses, and must not
        // take a single CR or LF for the end.
        var end = 0
        let limit = min(bytes.byteCount, lineByteCountMax)
        while end < limit, bytes[end] != carriageReturn, bytes[end] != lineFeed { end += 1 }
        guard end < limit else {
            return bytes.byteCount < lineByteCountMax ? .needMore : .malformed(.lineTooLong)
        }
        guard bytes[end] == carriageReturn else { return .malformed(.bareLineEnd) }
        guard end + 1 < lineByteCountMax else { return .malformed(.lineTooLong) }
        guard end + 1 < bytes.byteCount else { return .needMore }
        guard bytes[end + 1] == lineFeed else { return .malformed(.bareLineEnd) }
        var fields: [[UInt8]] = [[]]
        for offset in lineStart.count..<max(end, lineStart.count) {
            if bytes[offset] == space {
                fields.append([])
            } else {
                fields[fields.count - 1].append(bytes[offset])
            }
        }
        return judge(fields, byteCount: end + 2)
    }

    private static func judge(_ fields: [[UInt8]], byteCount: Int) -> ProxyHeaderOutcome {
        let isVersion6: Bool
        switch fields[0] {
        case Array("UNKNOWN".utf8):
            // §2.1: anything between UNKNOWN and CR LF must be ignored.
            return .complete(ProxyHeader(connection: nil, byteCount: byteCount))
        case Array("TCP4".utf8): isVersion6 = false
        case Array("TCP6".utf8): isVersion6 = true
        default: return .malformed(.unknownProtocol)
        }
        guard fields.count == 5 else { return .malformed(.wrongFieldCount) }
        guard let source = address(fields[1], isVersion6: isVersion6),
            let destination = address(fields[2], isVersion6: isVersion6)
        else { return .malformed(.invalidAddress) }
        guard let sourcePort = port(fields[3]), let destinationPort = port(fields[4]) else {
            return .malformed(.invalidPort)
        }
        let connection = Connection(
            source: Endpoint(address: source, port: sourcePort),
            destination: Endpoint(address: destination, port: destinationPort))
        return .complete(ProxyHeader(connection: connection, byteCount: byteCount))
    }

    private static func address(_ text: [UInt8], isVersion6: Bool) -> IPAddress? {
        let text = String(decoding: text, as: UTF8.self)
        guard isVersion6 else { return IPv4Address(text).map { .v4($0) } }
        // inet_ntop(3), which most senders use, writes IPv4-mapped addresses like this.
        let mapped = "::ffff:"
        if text.prefix(mapped.count).lowercased() == mapped,
            let address = IPv4Address(text.dropFirst(mapped.count))
        {
            return .v6(IPv6Address(high: 0, low: 0xFFFF << 32 | UInt64(address.rawValue)))
        }
        return IPv6Address(text).map { .v6($0) }
    }

    /// §2.1: heading zeros are not permitted.
    private static func port(_ digits: [UInt8]) -> UInt16? {
        guard (1...5).contains(digits.count) else { return nil }
        if digits.count > 1, digits[0] == 0x30 { return nil }
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return UInt16(exactly: value)
    }
}

extension RawSpan {
    subscript(offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < byteCount, "reading beyond a span")
        return unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}
