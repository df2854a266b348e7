// SPDX-License-Identifier: Apache-2.0
//
// The frames of the pair link as values, with their limits. How they become bytes is the codec's.

/// Numbers that both ends of the pair link must agree on.
public enum LinkProtocol {
    /// The version this code speaks; the first byte after a frame's length.
    public static let version: UInt8 = 2
    /// The longest whole frame of the pair link; a longer one closes the connection.
    public static let frameByteCountMax = 4096
    /// The longest whole frame on the replication port.
    public static let replicationFrameByteCountMax = 65_535
    /// Length of a nonce, of a proof and of a session key.
    public static let nonceByteCount = 32
    /// Length of the tag that ends a sealed frame (NIST SP 800-38D §5.2.1.2: the longest).
    public static let tagByteCount = 16
    /// The longest node name in bytes.
    public static let nodeNameByteCountMax = 255
    /// Most virtual routers one heartbeat reports: 255 VRIDs of two families (RFC 9568 §5.2.3).
    public static let routerCountMax = 510
}

/// One frame as it travels.
///
/// The first five belong to the handshake. Every later frame is sealed: numbered, and encrypted
/// and authenticated with the session's key.
public enum LinkFrame: Hashable, Sendable {
    /// Dialler to acceptor: who calls.
    case hello(LinkIntroduction)
    /// Acceptor to dialler: who answers.
    case challenge(LinkIntroduction)
    /// Dialler to acceptor: proof that it holds the secret.
    case proof([UInt8])
    /// Acceptor to dialler: proof that it holds the secret; the dialler may send from now on.
    case accepted([UInt8])
    /// Acceptor to dialler: why the connection closes.
    case refused(LinkRefusal)
    /// Anything after the handshake.
    case sealed(SealedLinkFrame)
}

/// What each end says about itself in the handshake.
public struct LinkIntroduction: Hashable, Sendable {
    /// The sender's node name.
    public var nodeName: String
    /// Whether the sender has a shared secret.
    public var hasSecret: Bool
    /// Fresh random bytes, ``LinkProtocol/nonceByteCount`` of them.
    public var nonce: [UInt8]

    /// Makes an introduction.
    public init(nodeName: String, hasSecret: Bool, nonce: [UInt8]) {
        self.nodeName = nodeName
        self.hasSecret = hasSecret
        self.nonce = nonce
    }
}

/// A numbered frame whose tag has not been checked yet.
public struct SealedLinkFrame: Hashable, Sendable {
    /// Types below this belong to the handshake, types from here on are sealed.
    public static let firstType: UInt8 = 16
    /// Type number of a heartbeat.
    public static let heartbeatType: UInt8 = 16
    /// Type number of a goodbye.
    public static let goodbyeType: UInt8 = 17

    /// Bytes before the payload: length (2), version (1), type (1), sequence (8).
    public static let prefixByteCount = 12
    /// Bytes behind the payload: the tag.
    public static let suffixByteCount = LinkProtocol.tagByteCount
    /// The longest payload on the replication port.
    public static let replicationPayloadByteCountMax =
        LinkProtocol.replicationFrameByteCountMax - prefixByteCount - suffixByteCount

    /// What the payload is; numbers this version does not know are checked and skipped.
    public var type: UInt8
    /// Position in the session, from 0 without gaps.
    public var sequence: UInt64
    /// The content, encrypted.
    public var payload: [UInt8]
    /// What proves header, sequence and content.
    public var tag: [UInt8]

    /// Makes a sealed frame from its parts.
    public init(type: UInt8, sequence: UInt64, payload: [UInt8], tag: [UInt8]) {
        self.type = type
        self.sequence = sequence
        self.payload = payload
        self.tag = tag
    }

    /// The first four bytes of a sealed frame as one number: what the tag proves beside sequence
    /// and payload.
    public static func header(type: UInt8, payloadByteCount: Int) -> UInt32 {
        let rest = prefixByteCount - 2 + payloadByteCount + suffixByteCount
        precondition(
            payloadByteCount >= 0 && rest <= Int(UInt16.max),
            "a payload of \(payloadByteCount) bytes")
        return UInt32(rest) << 16 | UInt32(LinkProtocol.version) << 8 | UInt32(type)
    }

    /// Writes what precedes the payload of a sealed frame, ``prefixByteCount`` bytes.
    public static func writePrefix(
        header: UInt32, sequence: UInt64, at base: UnsafeMutableRawPointer
    ) {
        unsafe base.storeBytes(of: header.bigEndian, as: UInt32.self)
        unsafe base.storeBytes(of: sequence.bigEndian, toByteOffset: 4, as: UInt64.self)
    }
}

/// What an authentic sealed frame carries.
public struct OpenedLinkFrame: Hashable, Sendable {
    /// What the payload is.
    public var type: UInt8
    /// The content as the sender wrote it.
    public var payload: [UInt8]

    /// Makes an opened frame from its parts.
    public init(type: UInt8, payload: [UInt8]) {
        self.type = type
        self.payload = payload
    }
}

/// Why one end does not take the other as its peer.
///
/// The number travels in a `refused` frame. That frame cannot be authenticated, so it only ever
/// ends one attempt: it decides nothing about the peer's life.
public enum LinkRefusal: UInt8, Hashable, Sendable, CaseIterable {
    /// A reason that a newer version sent and this one does not know.
    case unspecified = 0
    /// The two ends speak different protocol versions.
    case protocolVersion = 1
    /// The dialler is not the node the acceptor's configuration names as its peer.
    case unknownNode = 2
    /// Both nodes were started under one name.
    case sameNodeName = 3
    /// The proof was made with another secret.
    case wrongSecret = 4
    /// The acceptor has a secret, the dialler has none.
    case diallerHasNoSecret = 5
    /// The dialler has a secret, the acceptor has none.
    case acceptorHasNoSecret = 6
    /// The bytes were no frame of this protocol.
    case malformedFrame = 7
    /// A frame came that does not belong to this step of the handshake.
    case unexpectedFrame = 8
    /// The acceptor already holds as many unfinished handshakes as it allows.
    case tooManyPending = 9
    /// The handshake did not finish in time.
    case deadline = 10
}

extension LinkRefusal: CustomStringConvertible {
    /// The reason as a few words for logs and status.
    public var description: String {
        switch self {
        case .unspecified: "reason unknown to this version"
        case .protocolVersion: "protocol versions differ"
        case .unknownNode: "not the configured peer"
        case .sameNodeName: "both nodes run under the same name"
        case .wrongSecret: "the shared secrets differ"
        case .diallerHasNoSecret: "the dialling node has no shared secret"
        case .acceptorHasNoSecret: "the accepting node has no shared secret"
        case .malformedFrame: "malformed frame"
        case .unexpectedFrame: "unexpected frame"
        case .tooManyPending: "too many unfinished handshakes"
        case .deadline: "handshake deadline passed"
        }
    }
}
