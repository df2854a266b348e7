// SPDX-License-Identifier: Apache-2.0
//
// The part of a client's packet that tells where the client is in its connection.

import WireCore

/// The headers of a TCP segment from a client.
public struct OverheardSegment: Hashable, Sendable {
    /// The most bytes of a packet that are looked at: both headers, of IPv6 or of IPv4 without
    /// options, and TCP's options.
    public static let byteCountMax = 100

    /// Flags of a TCP header (RFC 9293 §3.1).
    private enum Flag {
        static let end: UInt8 = 0x01
        static let synchronize: UInt8 = 0x02
        static let reset: UInt8 = 0x04
        static let acknowledgement: UInt8 = 0x10
    }

    private static let tcp: UInt8 = 6

    /// The connection, with the client at its remote end.
    public let key: ClientKey
    private let sequence: UInt32
    private let acknowledgement: UInt32
    private let flags: UInt8
    private let payloadByteCount: Int
    private let seenTimestamp: UInt32?

    /// Reads an IP packet, of which the end may be missing; `nil` for what is no TCP segment, or
    /// not the first part of one.
    public init?(_ packet: RawSpan) {
        var reader = ByteReader(packet)
        guard let first = reader.readUInt8(), let addresses = Self.addresses(&reader, first)
        else { return nil }
        guard let remotePort = reader.readUInt16(), let localPort = reader.readUInt16(),
            let sequence = reader.readUInt32(), let acknowledgement = reader.readUInt32(),
            let offset = reader.readUInt8(), let flags = reader.readUInt8()
        else { return nil }
        // RFC 9293 §3.1: data offset, in words.
        let headerByteCount = Int(offset >> 4) * 4
        guard headerByteCount >= 20, headerByteCount <= addresses.byteCount else { return nil }
        key = ClientKey(
            localAddress: addresses.destination, localPort: localPort,
            remoteAddress: addresses.source, remotePort: remotePort)
        self.sequence = sequence
        self.acknowledgement = acknowledgement
        self.flags = flags
        payloadByteCount = addresses.byteCount - headerByteCount
        // Window, checksum, urgent pointer.
        _ = reader.readBytes(6)
        seenTimestamp = Self.seenTimestamp(&reader, optionByteCount: headerByteCount - 20)
    }

    /// The echo in the time stamps option (RFC 7323 §3.2): kind 8, length 10, own, echoed.
    private static func seenTimestamp(
        _ reader: inout ByteReader, optionByteCount: Int
    ) -> UInt32? {
        let end = reader.offset + optionByteCount
        while reader.offset < end, let kind = reader.readUInt8(), kind != 0 {
            if kind == 1 { continue }
            guard let length = reader.readUInt8(), length >= 2 else { return nil }
            if kind == 8, length == 10 {
                guard reader.readUInt32() != nil else { return nil }
                return reader.readUInt32()
            }
            guard reader.readBytes(Int(length) - 2) != nil else { return nil }
        }
        return nil
    }

    /// Where the client is, when the segment says so for certain: it has sent nothing behind this
    /// segment only if the segment carries nothing.
    public var answer: ClientAnswer? {
        guard flags & Flag.acknowledgement != 0, !endsConnection, payloadByteCount == 0 else {
            return nil
        }
        let end: UInt32 = flags & Flag.end != 0 ? 1 : 0
        return ClientAnswer(
            sent: sequence &+ end, received: acknowledgement, seenTimestamp: seenTimestamp)
    }

    /// The same from a segment with bytes that begins at `sequence`, so that the client sends again,
    /// or for the first time, what is there: nobody has acknowledged more than lies before it.
    public func repetition(from sequence: UInt32) -> ClientAnswer? {
        guard flags & Flag.acknowledgement != 0, !endsConnection, payloadByteCount > 0,
            self.sequence == sequence
        else { return nil }
        return ClientAnswer(
            sent: sequence, received: acknowledgement, seenTimestamp: seenTimestamp)
    }

    /// Whether the client has given the connection up or begins another one.
    public var endsConnection: Bool { flags & (Flag.reset | Flag.synchronize) != 0 }

    private struct Addresses {
        var source: IPAddress
        var destination: IPAddress
        /// Bytes behind the IP header.
        var byteCount: Int
    }

    private static func addresses(_ reader: inout ByteReader, _ first: UInt8) -> Addresses? {
        first >> 4 == 4 ? ipv4(&reader, first) : first >> 4 == 6 ? ipv6(&reader) : nil
    }

    /// RFC 791 §3.1, behind the first byte.
    private static func ipv4(_ reader: inout ByteReader, _ first: UInt8) -> Addresses? {
        let headerByteCount = Int(first & 15) * 4
        guard headerByteCount >= 20, reader.readUInt8() != nil,
            let byteCount = reader.readUInt16(), reader.readUInt16() != nil,
            let fragment = reader.readUInt16(), fragment & 0x3FFF == 0,
            reader.readUInt8() != nil, reader.readUInt8() == tcp, reader.readUInt16() != nil,
            let source = reader.readAddress(.ipv4), let destination = reader.readAddress(.ipv4),
            reader.readBytes(headerByteCount - 20) != nil
        else { return nil }
        guard Int(byteCount) >= headerByteCount else { return nil }
        return Addresses(
            source: source, destination: destination,
            byteCount: Int(byteCount) - headerByteCount)
    }

    /// RFC 8200 §3, behind the first byte; a segment behind extension headers is not read.
    private static func ipv6(_ reader: inout ByteReader) -> Addresses? {
        guard reader.readUInt8() != nil, reader.readUInt16() != nil,
            let byteCount = reader.readUInt16(), reader.readUInt8() == tcp,
            reader.readUInt8() != nil, let source = reader.readAddress(.ipv6),
            let destination = reader.readAddress(.ipv6)
        else { return nil }
        return Addresses(source: source, destination: destination, byteCount: Int(byteCount))
    }
}
