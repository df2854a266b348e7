// SPDX-License-Identifier: Apache-2.0
//
// The two ends of an authenticated connection: numbering and sealing on one, checking on the other.

import WireCore

/// What a dialler or acceptor holds after a good handshake; each connection has its own.
public struct LinkSessionKey: Hashable, Sendable {
    let bytes: [UInt8]
}

/// A checked message from the peer.
public enum LinkMessage: Hashable, Sendable {
    /// The peer lives.
    case heartbeat(Heartbeat)
    /// The peer has given up its virtual addresses and is leaving on purpose.
    case goodbye
    /// Part of the replication stream.
    case replication(ReplicationMessage)
    /// Part of a planned switchover.
    case handover(HandoverMessage)
    /// Something a later version says.
    case unknown(type: UInt8)
}

/// Why a sealed frame is not taken; the connection cannot go on after any of them.
public enum LinkSessionFault: Error, Hashable, Sendable {
    /// The tag is not the one the peer would have made.
    case wrongTag
    /// A frame was repeated, left out or moved.
    case wrongSequence(got: UInt64, wanted: UInt64)
    /// The payload is no heartbeat although the peer made it.
    case badHeartbeat(HeartbeatFault)
    /// The payload is no part of the replication stream although the peer made it.
    case badReplication(ReplicationFault)
    /// The payload is no message of a switchover although the peer made it.
    case badHandover(HandoverFault)
}

/// The sending end: the dialler.
public struct LinkSender: Sendable {
    private let key: LinkSessionKey
    private let cryptography: LinkCryptography
    /// Number of the next frame.
    public private(set) var nextSequence: UInt64 = 0

    /// Starts a session's numbering.
    public init(key: LinkSessionKey, cryptography: LinkCryptography) {
        self.key = key
        self.cryptography = cryptography
    }

    /// The bytes of a heartbeat frame.
    public mutating func seal(_ heartbeat: Heartbeat) -> [UInt8] {
        seal(type: SealedLinkFrame.heartbeatType, payload: heartbeat.payload)
    }

    /// The bytes of a goodbye frame.
    public mutating func sealGoodbye() -> [UInt8] {
        seal(type: SealedLinkFrame.goodbyeType, payload: [])
    }

    mutating func seal(type: UInt8, payload: [UInt8]) -> [UInt8] {
        let tag = linkTag(
            type: type, sequence: nextSequence, payload: payload, key: key,
            cryptography: cryptography)
        let frame = SealedLinkFrame(
            type: type, sequence: nextSequence, payload: payload, tag: tag)
        nextSequence += 1
        return LinkFrameEncoder.encode(.sealed(frame))
    }
}

/// The receiving end: the acceptor.
public struct LinkReceiver: Sendable {
    private let key: LinkSessionKey
    private let cryptography: LinkCryptography
    /// Number of the frame that must come next.
    public private(set) var nextSequence: UInt64 = 0

    /// Starts a session's numbering.
    public init(key: LinkSessionKey, cryptography: LinkCryptography) {
        self.key = key
        self.cryptography = cryptography
    }

    /// What `frame` says, once tag and number are right.
    public mutating func open(_ frame: SealedLinkFrame) throws(LinkSessionFault) -> LinkMessage {
        let tag = linkTag(
            type: frame.type, sequence: frame.sequence, payload: frame.payload, key: key,
            cryptography: cryptography)
        guard cryptography.constantTimeEquals(tag, frame.tag) else { throw .wrongTag }
        guard frame.sequence == nextSequence else {
            throw .wrongSequence(got: frame.sequence, wanted: nextSequence)
        }
        nextSequence += 1
        switch frame.type {
        case SealedLinkFrame.heartbeatType:
            do {
                return .heartbeat(try unsafe Heartbeat(payload: frame.payload.span.bytes))
            } catch {
                throw .badHeartbeat(error)
            }
        case SealedLinkFrame.goodbyeType:
            return .goodbye
        case HandoverMessage.frameType:
            return try Self.handover(frame)
        default:
            return try Self.other(frame)
        }
    }

    private static func handover(
        _ frame: SealedLinkFrame
    ) throws(LinkSessionFault) -> LinkMessage {
        do {
            let payload = unsafe frame.payload.span.bytes
            guard let message = try HandoverMessage(payload: payload) else {
                return .unknown(type: frame.type)
            }
            return .handover(message)
        } catch {
            throw .badHandover(error)
        }
    }

    private static func other(_ frame: SealedLinkFrame) throws(LinkSessionFault) -> LinkMessage {
        do {
            let payload = unsafe frame.payload.span.bytes
            guard let message = try ReplicationMessage(type: frame.type, payload: payload)
            else { return .unknown(type: frame.type) }
            return .replication(message)
        } catch {
            throw .badReplication(error)
        }
    }
}

/// The tag that ends a sealed frame, truncated as RFC 2104 §5 allows.
private func linkTag(
    type: UInt8, sequence: UInt64, payload: [UInt8], key: LinkSessionKey,
    cryptography: LinkCryptography
) -> [UInt8] {
    var message: [UInt8] = []
    message.reserveCapacity(10 + payload.count)
    message.append(LinkProtocol.version)
    message.append(type)
    message.appendBigEndian(sequence)
    message += payload
    return Array(cryptography.hmacSHA256(key.bytes, message).prefix(LinkProtocol.tagByteCount))
}
