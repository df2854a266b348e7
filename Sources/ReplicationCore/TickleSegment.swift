// SPDX-License-Identifier: Apache-2.0
//
// The bare acknowledgement that makes a client show its real sequence numbers to the host that
// holds the address now. That host has no such connection and answers with a reset that fits.

import WireCore

/// Makes the 40 bytes of an IPv4 packet with a TCP ACK and nothing else.
public struct TickleSegment: Sendable {
    /// Length of an IPv4 header and a TCP header without options (RFC 791 §3.1, RFC 9293 §3.1).
    public static let byteCount = 40
    /// Both numbers of a tickle are 0: RFC 9293 §3.10.7.4 makes the client acknowledge a segment
    /// that is outside its window.
    ///
    /// A client whose window happens to be around 0 finds nothing wrong; it is asked with this.
    public static let otherSequence: UInt32 = 1 << 31

    /// The packet written last.
    public private(set) var bytes: [UInt8]

    /// Prepares a packet.
    public init() {
        bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes[0] = 0x45  // version 4, five words of header
        bytes[3] = UInt8(Self.byteCount)
        bytes[6] = 0x40  // do not fragment
        bytes[8] = 64  // time to live
        bytes[9] = 6  // TCP
        bytes[32] = 0x50  // five words of header
        bytes[33] = 0x10  // ACK
    }

    /// Writes the packet from the local to the remote end of `client`.
    public mutating func address(to client: ClientKey, sequence: UInt32) {
        let source = client.localAddress.rawValue
        let destination = client.remoteAddress.rawValue
        put(source, at: 12)
        put(destination, at: 16)
        put(client.localPort, at: 20)
        put(client.remotePort, at: 22)
        put(sequence, at: 24)
        let addresses = Self.halves(source) + Self.halves(destination)
        // RFC 791 §3.1: header checksum with its own field as 0.
        put(Self.checksum(addresses + 0x4500 + 40 + 0x4000 + 0x4006), at: 10)
        // RFC 9293 §3.1: pseudo header (addresses, protocol, TCP length), then the header; window
        // and acknowledgement are 0.
        let ports = UInt32(client.localPort) + UInt32(client.remotePort)
        put(Self.checksum(addresses + 6 + 20 + ports + Self.halves(sequence) + 0x5010), at: 36)
    }

    private static func halves(_ word: UInt32) -> UInt32 { (word >> 16) + (word & 0xFFFF) }

    private static func checksum(_ sum: UInt32) -> UInt16 {
        var folded = sum
        while folded >> 16 != 0 { folded = halves(folded) }
        return ~UInt16(truncatingIfNeeded: folded)
    }

    private mutating func put(_ number: UInt16, at offset: Int) {
        bytes[offset] = UInt8(truncatingIfNeeded: number >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: number)
    }

    private mutating func put(_ number: UInt32, at offset: Int) {
        put(UInt16(truncatingIfNeeded: number >> 16), at: offset)
        put(UInt16(truncatingIfNeeded: number), at: offset + 2)
    }
}
