// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol: what the header before the first byte of a connection says, and the headers
// we write. The layout is the one published by HAProxy as "The PROXY protocol, versions 1 & 2";
// sections in comments are those of that text.

/// A PROXY header of either version.
public struct ProxyHeader: Hashable, Sendable {
    /// The two ends of the connection that the sender of the header speaks for.
    public struct Connection: Hashable, Sendable {
        /// The client.
        public var source: Endpoint
        /// Where the client connected to.
        public var destination: Endpoint

        /// Names both ends.
        public init(source: Endpoint, destination: Endpoint) {
            self.source = source
            self.destination = destination
        }
    }

    /// The connection spoken for; `nil` when the connection stands for itself: version 2's LOCAL,
    /// version 1's UNKNOWN, and what is not TCP.
    public var connection: Connection?
    /// Bytes of the header.
    public var byteCount: Int

    /// Makes the result of decoding.
    public init(connection: Connection?, byteCount: Int) {
        self.connection = connection
        self.byteCount = byteCount
    }

    /// The longest line of version 1, with its CR LF (§2.1).
    public static let lineByteCountMax = 107
    /// Bytes before the addresses of version 2 (§2.2).
    public static let fixedByteCount = 16
    /// What may follow these: addresses and TLVs.
    ///
    /// The field could name 64 KiB; a peer is not given so much memory before it said who it is.
    public static let variableByteCountMax = 4_096
    /// The longest header of either version.
    public static let byteCountMax = fixedByteCount + variableByteCountMax
}

/// Why bytes are no PROXY header.
public enum ProxyHeaderFault: UInt8, CaseIterable, Hashable, Sendable {
    /// They begin like neither version.
    case noHeader
    /// No CR LF within the longest line.
    case lineTooLong
    /// A CR or LF that is not part of CR LF.
    case bareLineEnd
    /// Not TCP4, TCP6 or UNKNOWN.
    case unknownProtocol
    /// Fields are missing, too many, or not separated by one space.
    case wrongFieldCount
    /// An address that is not in the canonical form of its family.
    case invalidAddress
    /// A port that is no decimal number 0-65535 without leading zeros.
    case invalidPort
    /// A version other than 2 behind the signature of version 2.
    case unknownVersion
    /// Neither LOCAL nor PROXY.
    case unknownCommand
    /// An unassigned address family or transport.
    case unknownFamily
    /// The length names more than `ProxyHeader.variableByteCountMax`.
    case headerTooLong
    /// The length is too small for the addresses.
    case addressesTruncated
    /// A TLV that does not fit its header.
    case invalidTLV
    /// The checksum does not fit, or there are two.
    case checksumMismatch

    /// The stable word for logs and metrics.
    public var token: StaticString {
        switch self {
        case .noHeader: "no_header"
        case .lineTooLong: "line_too_long"
        case .bareLineEnd: "bare_line_end"
        case .unknownProtocol: "unknown_protocol"
        case .wrongFieldCount: "wrong_field_count"
        case .invalidAddress: "invalid_address"
        case .invalidPort: "invalid_port"
        case .unknownVersion: "unknown_version"
        case .unknownCommand: "unknown_command"
        case .unknownFamily: "unknown_family"
        case .headerTooLong: "header_too_long"
        case .addressesTruncated: "addresses_truncated"
        case .invalidTLV: "invalid_tlv"
        case .checksumMismatch: "checksum_mismatch"
        }
    }
}

/// What the first bytes of a connection are.
public enum ProxyHeaderOutcome: Hashable, Sendable {
    /// A whole header; the connection's own bytes follow it.
    case complete(ProxyHeader)
    /// The beginning of a header.
    case needMore
    /// No header, and more bytes will not make it one.
    case malformed(ProxyHeaderFault)
}

extension ProxyHeader {
    /// The beginning of version 1: `PROXY` and a space.
    static let lineStart: InlineArray<6, UInt8> = [0x50, 0x52, 0x4F, 0x58, 0x59, 0x20]
    /// The beginning of version 2.
    static let signature: InlineArray<12, UInt8> = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    /// Looks at all bytes received so far.
    ///
    /// Bytes that cannot begin a header are told at once; nothing beyond the header is read.
    public static func decode(_ bytes: RawSpan) -> ProxyHeaderOutcome {
        guard bytes.byteCount > 0 else { return .needMore }
        let first = unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
        return first == signature[0] ? decodeBinary(bytes) : decodeLine(bytes)
    }
}
