// SPDX-License-Identifier: Apache-2.0
//
// The bare acknowledgement that makes a client show its real sequence numbers to the host that
// holds the address now. That host has no such connection and answers with a reset that fits.

import WireCore

/// Makes an IP packet with a TCP ACK and nothing else.
public struct TickleSegment: Sendable {
    /// Length of an IPv4 header and a TCP header without options (RFC 791 §3.1, RFC 9293 §3.1).
    public static let byteCount = 40
    /// Length of an IPv6 header and a TCP header without options (RFC 8200 §3, RFC 9293 §3.1).
    public static let ipv6ByteCount = 60
    /// Both numbers of a tickle are 0: RFC 9293 §3.10.7.4 makes the client acknowledge a segment
    /// that is outside its window.
    ///
    /// A client whose window happens to be around 0 finds nothing wrong; it is asked with this.
    public static let otherSequence: UInt32 = 1 << 31

    private var ipv4: [UInt8]
    private var ipv6: [UInt8]
    private var family = AddressFamily.ipv4

    /// The packet written last.
    public var bytes: [UInt8] { family == .ipv4 ? ipv4 : ipv6 }

    /// Prepares a packet of each family.
    public init() {
        ipv4 = [UInt8](repeating: 0, count: Self.byteCount)
        ipv4[0] = 0x45  // version 4, five words of header
        ipv4[3] = UInt8(Self.byteCount)
        ipv4[6] = 0x40  // do not fragment
        ipv4[8] = 64  // time to live
        ipv4[9] = 6  // TCP
        ipv4[32] = 0x50  // five words of header
        ipv4[33] = 0x10  // ACK
        ipv6 = [UInt8](repeating: 0, count: Self.ipv6ByteCount)
        ipv6[0] = 0x60  // version 6
        ipv6[5] = 20  // payload length
        ipv6[6] = 6  // TCP
        ipv6[7] = 64  // hop limit
        ipv6[52] = 0x50  // five words of header
        ipv6[53] = 0x10  // ACK
    }

    /// Writes the packet from the local to the remote end of `client`.
    public mutating func address(to client: ClientKey, sequence: UInt32) {
        switch (client.localAddress, client.remoteAddress) {
        case (.v4(let source), .v4(let destination)):
            family = .ipv4
            ipv4.put(source.rawValue, at: 12)
            ipv4.put(destination.rawValue, at: 16)
            let addresses = Self.halves(source.rawValue) + Self.halves(destination.rawValue)
            // RFC 791 §3.1: header checksum with its own field as 0.
            ipv4.put(Self.checksum(addresses + 0x4500 + 40 + 0x4000 + 0x4006), at: 10)
            Self.write(client, sequence, addresses, into: &ipv4, at: 20)
        case (.v6(let source), .v6(let destination)):
            family = .ipv6
            ipv6.put(source, at: 8)
            ipv6.put(destination, at: 24)
            let addresses = Self.halves(source) + Self.halves(destination)
            Self.write(client, sequence, addresses, into: &ipv6, at: 40)
        case (.v4, .v6), (.v6, .v4):
            preconditionFailure("a connection between two families")
        }
    }

    /// Writes the TCP header at `offset`; `addresses` is the sum of both addresses' halves.
    private static func write(
        _ client: ClientKey, _ sequence: UInt32, _ addresses: UInt32, into packet: inout [UInt8],
        at offset: Int
    ) {
        packet.put(client.localPort, at: offset)
        packet.put(client.remotePort, at: offset + 2)
        packet.put(sequence, at: offset + 4)
        // RFC 9293 §3.1, RFC 8200 §8.1: pseudo header (addresses, protocol, TCP length), then the
        // header; window and acknowledgement are 0.
        let ports = UInt32(client.localPort) + UInt32(client.remotePort)
        packet.put(
            checksum(addresses + 6 + 20 + ports + halves(sequence) + 0x5010), at: offset + 16)
    }

    private static func halves(_ word: UInt32) -> UInt32 { (word >> 16) + (word & 0xFFFF) }

    private static func halves(_ address: IPv6Address) -> UInt32 {
        [address.high, address.low].reduce(0) { sum, half in
            sum + halves(UInt32(truncatingIfNeeded: half >> 32))
                + halves(UInt32(truncatingIfNeeded: half))
        }
    }

    private static func checksum(_ sum: UInt32) -> UInt16 {
        var folded = sum
        while folded >> 16 != 0 { folded = halves(folded) }
        return ~UInt16(truncatingIfNeeded: folded)
    }
}

extension [UInt8] {
    fileprivate mutating func put(_ number: UInt16, at offset: Int) {
        self[offset] = UInt8(truncatingIfNeeded: number >> 8)
        self[offset + 1] = UInt8(truncatingIfNeeded: number)
    }

    fileprivate mutating func put(_ number: UInt32, at offset: Int) {
        put(UInt16(truncatingIfNeeded: number >> 16), at: offset)
        put(UInt16(truncatingIfNeeded: number), at: offset + 2)
    }

    fileprivate mutating func put(_ address: IPv6Address, at offset: Int) {
        for (index, half) in [address.high, address.low].enumerated() {
            put(UInt32(truncatingIfNeeded: half >> 32), at: offset + 8 * index)
            put(UInt32(truncatingIfNeeded: half), at: offset + 8 * index + 4)
        }
    }
}
