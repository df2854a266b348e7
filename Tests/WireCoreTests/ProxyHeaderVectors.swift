// SPDX-License-Identifier: Apache-2.0
//
// PROXY headers and what they say, byte for byte. Sections are those of "The PROXY protocol,
// versions 1 & 2".

import WireCore

/// A header that is accepted.
struct ProxyHeaderVector: Sendable {
    let name: String
    let bytes: [UInt8]
    let source: String?
    let destination: String?

    init(_ name: String, _ bytes: [UInt8], _ source: String?, _ destination: String?) {
        self.name = name
        self.bytes = bytes
        self.source = source
        self.destination = destination
    }

    /// What decoding must give.
    var connection: ProxyHeader.Connection? {
        guard let source = source.flatMap({ Endpoint($0) }),
            let destination = destination.flatMap({ Endpoint($0) })
        else { return nil }
        return ProxyHeader.Connection(source: source, destination: destination)
    }
}

/// The signature of version 2 with what follows it.
func binaryHeader(_ versionAndCommand: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    let length = [UInt8(rest.count >> 8 & 0xFF), UInt8(rest.count & 0xFF)]
    return signature + [versionAndCommand, family] + length + rest
}

/// 10.1.2.3:56324 to 10.77.0.100:443.
let addresses4: [UInt8] = [10, 1, 2, 3, 10, 77, 0, 100, 0xDC, 0x04, 0x01, 0xBB]

/// [2001:db8::1]:56324 to [2001:db8::100]:443.
let addresses6: [UInt8] =
    [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    + [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    + [0xDC, 0x04, 0x01, 0xBB]

/// ALPN "h2", the checksum of the whole header with `addresses4`, three bytes of padding.
let checkedTLVs: [UInt8] =
    [0x01, 0, 2, 0x68, 0x32] + [0x03, 0, 4, 0x9C, 0x16, 0xDE, 0x94] + [0x04, 0, 3, 0, 0, 0]

private func text(_ line: String) -> [UInt8] { Array(line.utf8) }

private let from4 = "10.1.2.3:56324"
private let to4 = "10.77.0.100:443"
private let from6 = "[2001:db8::1]:56324"
private let to6 = "[2001:db8::100]:443"
private let longest6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

let acceptedProxyHeaders: [ProxyHeaderVector] = [
    // §2.1: the example of the text.
    .init(
        "example", text("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
        "192.168.0.1:56324", "192.168.0.11:443"),
    .init(
        "longest TCP4", text("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
        "255.255.255.255:65535", "255.255.255.255:65535"),
    .init(
        "longest TCP6", text("PROXY TCP6 \(longest6) \(longest6) 65535 65535\r\n"),
        "[\(longest6)]:65535", "[\(longest6)]:65535"),
    .init("port zero", text("PROXY TCP4 1.2.3.4 5.6.7.8 0 80\r\n"), "1.2.3.4:0", "5.6.7.8:80"),
    .init(
        "upper case hexadecimal", text("PROXY TCP6 2001:DB8::1 2001:DB8::100 56324 443\r\n"),
        from6, to6),
    .init(
        "mapped address as inet_ntop writes it",
        text("PROXY TCP6 ::ffff:10.1.2.3 ::FFFF:10.77.0.100 56324 443\r\n"),
        "[::ffff:a01:203]:56324", "[::ffff:a4d:64]:443"),
    .init("UNKNOWN, short", text("PROXY UNKNOWN\r\n"), nil, nil),
    .init(
        "UNKNOWN, longest of all",
        text("PROXY UNKNOWN \(longest6) \(longest6) 65535 65535\r\n"), nil, nil),
    .init("UNKNOWN with anything", text("PROXY UNKNOWN  GET / \u{1}\r\n"), nil, nil),
    // §2.2.
    .init("TCP over IPv4", binaryHeader(0x21, 0x11, addresses4), from4, to4),
    .init("TCP over IPv6", binaryHeader(0x21, 0x21, addresses6), from6, to6),
    .init("TLVs and a checksum", binaryHeader(0x21, 0x11, addresses4 + checkedTLVs), from4, to4),
    .init(
        "an unknown TLV", binaryHeader(0x21, 0x11, addresses4 + [0xEA, 0, 1, 7]), from4, to4),
    .init("an empty TLV", binaryHeader(0x21, 0x21, addresses6 + [0x04, 0, 0]), from6, to6),
    .init("LOCAL", binaryHeader(0x20, 0x00, []), nil, nil),
    .init("LOCAL with a family and bytes", binaryHeader(0x20, 0x11, [1, 2]), nil, nil),
    .init("LOCAL with an unassigned family", binaryHeader(0x20, 0x7F, addresses4), nil, nil),
    .init("PROXY for nothing known", binaryHeader(0x21, 0x00, []), nil, nil),
    .init("PROXY for nothing known, bytes", binaryHeader(0x21, 0x00, [9, 9]), nil, nil),
    .init("UDP over IPv4", binaryHeader(0x21, 0x12, addresses4), nil, nil),
    .init("IPv4, transport unspecified", binaryHeader(0x21, 0x10, addresses4), nil, nil),
    .init(
        "Unix stream", binaryHeader(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216)), nil, nil),
    .init(
        "the longest taken",
        binaryHeader(
            0x21, 0x11,
            addresses4 + [0x04, 0x0F, 0xF1] + [UInt8](repeating: 0, count: 4_096 - 12 - 3)),
        from4, to4),
]

/// A header that is refused, and why.
let refusedProxyHeaders: [(bytes: [UInt8], fault: ProxyHeaderFault)] = [
    (text("GET / HTTP/1.1\r\n\r\n"), .noHeader),
    (text("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), .noHeader),
    (text("PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n"), .noHeader),
    (text(" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), .noHeader),
    (text("\r\n\r\nGET / HTTP/1.1\r\n"), .noHeader),
    ([0x16, 0x03, 0x01], .noHeader),
    (text("PROXY UNKNOWN " + String(repeating: "x", count: 92) + "\r\n"), .lineTooLong),
    (text("PROXY UNKNOWN " + String(repeating: "x", count: 200)), .lineTooLong),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), .bareLineEnd),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n"), .bareLineEnd),
    (text("PROXY UNKNOWN a\rb\r\n"), .bareLineEnd),
    (text("PROXY \r\n"), .unknownProtocol),
    (text("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"), .unknownProtocol),
    (text("PROXY UNKNOWNS\r\n"), .unknownProtocol),
    (text("PROXY unknown\r\n"), .unknownProtocol),
    (text("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), .unknownProtocol),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), .wrongFieldCount),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), .wrongFieldCount),
    (text("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n"), .wrongFieldCount),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), .wrongFieldCount),
    (text("PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP4 ::1 ::2 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP6 1::2::3 ::1 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP6 ::1%eth0 ::1 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP6 [::1] ::1 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP6 00001::1 ::1 1 2\r\n"), .invalidAddress),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), .invalidPort),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), .invalidPort),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), .invalidPort),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"), .invalidPort),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n"), .invalidPort),
    (text("PROXY TCP4 1.2.3.4 5.6.7.8 99999999999999999999 2\r\n"), .invalidPort),
    (binaryHeader(0x11, 0x11, addresses4), .unknownVersion),
    (binaryHeader(0x31, 0x11, addresses4), .unknownVersion),
    (binaryHeader(0x22, 0x11, addresses4), .unknownCommand),
    (binaryHeader(0x2F, 0x11, addresses4), .unknownCommand),
    (binaryHeader(0x21, 0x41, addresses4), .unknownFamily),
    (binaryHeader(0x21, 0x13, addresses4), .unknownFamily),
    (binaryHeader(0x21, 0x11, [UInt8](repeating: 0, count: 4_097)), .headerTooLong),
    (binaryHeader(0x20, 0x00, [UInt8](repeating: 0, count: 65_535)), .headerTooLong),
    (binaryHeader(0x21, 0x11, Array(addresses4.dropLast())), .addressesTruncated),
    (binaryHeader(0x21, 0x21, addresses4), .addressesTruncated),
    (binaryHeader(0x21, 0x31, addresses6), .addressesTruncated),
    (binaryHeader(0x21, 0x11, addresses4 + [0x01]), .invalidTLV),
    (binaryHeader(0x21, 0x11, addresses4 + [0x01, 0, 3, 1, 2]), .invalidTLV),
    (binaryHeader(0x21, 0x11, addresses4 + [0x01, 0xFF, 0xFF]), .invalidTLV),
    // §2.2.3.
    (binaryHeader(0x21, 0x11, addresses4 + [0x03, 0, 4, 1, 2, 3, 4]), .checksumMismatch),
    (binaryHeader(0x21, 0x11, addresses4 + [0x03, 0, 2, 1, 2]), .checksumMismatch),
    (binaryHeader(0x21, 0x11, addresses4 + checkedTLVs + checkedTLVs), .checksumMismatch),
    (binaryHeader(0x20, 0x00, [0x03, 0, 4, 1, 2, 3, 4]), .checksumMismatch),
]
