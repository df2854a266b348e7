// SPDX-License-Identifier: Apache-2.0
//
// The bare acknowledgement that makes a client show its real sequence numbers to the host that
// holds the address now. A host that has no such connection answers with a reset that fits; where
// its kernel may not, that reset is made here.

import WireCore

/// Makes an IP packet with a TCP ACK and nothing else, or little else.
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

    /// Flags of a TCP header (RFC 9293 §3.1).
    private static let acknowledgementFlag: UInt32 = 0x10
    private static let resetFlag: UInt32 = 0x04
    /// RFC 7323 appendix A: two NOPs, kind 8, length 10.
    private static let timestampHead: UInt32 = 0x0101_080A
    private static let timestampByteCount = 12

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
        ipv6 = [UInt8](repeating: 0, count: Self.ipv6ByteCount)
        ipv6[0] = 0x60  // version 6
        ipv6[5] = 20  // payload length
        ipv6[6] = 6  // TCP
        ipv6[7] = 64  // hop limit
    }

    /// Writes the packet from the local to the remote end of `client`.
    public mutating func address(to client: ClientKey, sequence: UInt32) {
        write(client, Header(sequence: sequence, acknowledgement: 0, flags: 0))
    }

    /// Writes a question to the remote end of `client`.
    public mutating func address(to client: ClientKey, _ question: TickleQuestion) {
        write(
            client,
            Header(
                sequence: question.sequence, acknowledgement: question.acknowledgement, flags: 0,
                timestamp: question.timestamp, hasOctet: question.hasOctet))
    }

    /// Writes a reset to the remote end of `client` in the place of the acknowledgement.
    ///
    /// RFC 9293 §3.10.7.4: a reset counts at once only when its number is exactly that of the next
    /// byte the client expects; the question it would ask otherwise it does not ask when it has
    /// just answered a tickle.
    public mutating func addressReset(to client: ClientKey, for answer: ClientAnswer) {
        write(
            client,
            Header(
                sequence: answer.received, acknowledgement: answer.sent, flags: Self.resetFlag))
    }

    private struct Header {
        var sequence: UInt32
        var acknowledgement: UInt32
        /// Besides ACK.
        var flags: UInt32
        var timestamp: UInt32?
        /// An octet 0 follows.
        var hasOctet = false

        /// Bytes behind the fixed part.
        var moreByteCount: Int {
            (timestamp == nil ? 0 : TickleSegment.timestampByteCount) + (hasOctet ? 1 : 0)
        }
    }

    private mutating func write(_ client: ClientKey, _ header: Header) {
        let more = header.moreByteCount
        switch (client.localAddress, client.remoteAddress) {
        case (.v4(let source), .v4(let destination)):
            family = .ipv4
            ipv4.resize(to: Self.byteCount + more)
            ipv4.put(UInt16(truncatingIfNeeded: Self.byteCount + more), at: 2)
            ipv4.put(source.rawValue, at: 12)
            ipv4.put(destination.rawValue, at: 16)
            let addresses = Self.halves(source.rawValue) + Self.halves(destination.rawValue)
            // RFC 791 §3.1: header checksum with its own field as 0.
            let length = UInt32(truncatingIfNeeded: Self.byteCount + more)
            ipv4.put(Self.checksum(addresses + 0x4500 + length + 0x4000 + 0x4006), at: 10)
            Self.write(client, header, addresses, into: &ipv4, at: 20)
        case (.v6(let source), .v6(let destination)):
            family = .ipv6
            ipv6.resize(to: Self.ipv6ByteCount + more)
            ipv6.put(UInt16(truncatingIfNeeded: 20 + more), at: 4)
            ipv6.put(source, at: 8)
            ipv6.put(destination, at: 24)
            let addresses = Self.halves(source) + Self.halves(destination)
            Self.write(client, header, addresses, into: &ipv6, at: 40)
        case (.v4, .v6), (.v6, .v4):
            preconditionFailure("a connection between two families")
        }
    }

    /// Writes the TCP header at `offset` and what follows it; `addresses` is the sum of both
    /// addresses' halves.
    private static func write(
        _ client: ClientKey, _ header: Header, _ addresses: UInt32, into packet: inout [UInt8],
        at offset: Int
    ) {
        packet.put(client.localPort, at: offset)
        packet.put(client.remotePort, at: offset + 2)
        packet.put(header.sequence, at: offset + 4)
        packet.put(header.acknowledgement, at: offset + 8)
        var sum = addresses + 6 + 20 + UInt32(truncatingIfNeeded: header.moreByteCount)
        sum += UInt32(client.localPort) + UInt32(client.remotePort)
        sum += halves(header.sequence) + halves(header.acknowledgement)
        // Words of header, then the flags.
        var flags = 0x5000 + acknowledgementFlag + header.flags
        if let timestamp = header.timestamp {
            flags += UInt32(truncatingIfNeeded: timestampByteCount / 4) << 12
            packet.put(timestampHead, at: offset + 20)
            packet.put(timestamp, at: offset + 24)
            // Nothing is known to echo.
            packet.put(UInt32(0), at: offset + 28)
            sum += halves(timestampHead) + halves(timestamp)
        }
        packet.put(UInt16(truncatingIfNeeded: flags), at: offset + 12)
        // RFC 9293 §3.1, RFC 8200 §8.1: pseudo header (addresses, protocol, TCP length), then the
        // header; the window is 0, and so is the octet.
        if header.hasOctet { packet[packet.count - 1] = 0 }
        packet.put(checksum(sum + flags), at: offset + 16)
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
    fileprivate mutating func resize(to byteCount: Int) {
        if count > byteCount { removeLast(count - byteCount) }
        while count < byteCount { append(0) }
    }

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
