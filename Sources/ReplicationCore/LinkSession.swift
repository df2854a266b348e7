// SPDX-License-Identifier: Apache-2.0
//
// The two ends of an authenticated connection: numbering and sealing on one, checking on the other.

import WireCore

/// What a dialler or acceptor holds after a good handshake; each connection has its own.
public struct LinkSessionKey: Hashable, Sendable {
    /// The key; never for logs.
    public let bytes: [UInt8]
}

extension LinkSessionKey: CustomStringConvertible, CustomReflectable {
    /// Never the key itself: descriptions end up in logs.
    public var description: String { "(key)" }

    /// Never the key itself.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A checked message from the peer.
public enum LinkMessage: Hashable, Sendable {
    /// The peer lives.
    case heartbeat(Heartbeat)
    /// The peer has given up its virtual addresses and is leaving on purpose.
    case goodbye
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
    /// The payload is no message of a switchover although the peer made it.
    case badHandover(HandoverFault)
}

/// The sending end: the dialler.
public struct LinkSender {
    /// The key of the connection.
    public let key: LinkSessionKey
    private let cipher: any LinkCipher
    /// Number of the next frame.
    public private(set) var nextSequence: UInt64 = 0

    /// Starts a session's numbering.
    public init(key: LinkSessionKey, cryptography: LinkCryptography) {
        self.key = key
        cipher = cryptography.makeCipher(key.bytes)
    }

    /// The bytes of a heartbeat frame.
    public mutating func seal(_ heartbeat: Heartbeat) -> [UInt8] {
        seal(type: SealedLinkFrame.heartbeatType, payload: heartbeat.payload)
    }

    /// The bytes of a goodbye frame.
    public mutating func sealGoodbye() -> [UInt8] {
        seal(type: SealedLinkFrame.goodbyeType, payload: [])
    }

    /// The bytes of a frame of any type; it must be sent, and sent whole, before the next one.
    public mutating func seal(type: UInt8, payload: [UInt8]) -> [UInt8] {
        let header = SealedLinkFrame.header(type: type, payloadByteCount: payload.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            SealedLinkFrame.prefixByteCount + payload.count + SealedLinkFrame.suffixByteCount)
        bytes.appendBigEndian(header)
        bytes.appendBigEndian(nextSequence)
        bytes += payload
        cipher.seal(
            &bytes, from: SealedLinkFrame.prefixByteCount, header: header, sequence: nextSequence)
        nextSequence += 1
        return bytes
    }
}

/// The receiving end: the acceptor.
public struct LinkReceiver {
    private let cipher: any LinkCipher
    /// Number of the frame that must come next.
    public private(set) var nextSequence: UInt64 = 0

    /// Starts a session's numbering.
    public init(key: LinkSessionKey, cryptography: LinkCryptography) {
        cipher = cryptography.makeCipher(key.bytes)
    }

    /// The content of `frame`, once tag and number are right.
    public mutating func openFrame(
        _ frame: SealedLinkFrame
    ) throws(LinkSessionFault) -> OpenedLinkFrame {
        guard
            frame.tag.count == LinkProtocol.tagByteCount,
            frame.payload.count <= SealedLinkFrame.replicationPayloadByteCountMax
        else { throw .wrongTag }
        let header = SealedLinkFrame.header(
            type: frame.type, payloadByteCount: frame.payload.count)
        var payload = frame.payload
        guard
            cipher.open(&payload, tag: frame.tag, header: header, sequence: frame.sequence)
        else { throw .wrongTag }
        guard frame.sequence == nextSequence else {
            throw .wrongSequence(got: frame.sequence, wanted: nextSequence)
        }
        nextSequence += 1
        return OpenedLinkFrame(type: frame.type, payload: payload)
    }

    /// What `frame` says on the pair link, once tag and number are right.
    public mutating func open(_ frame: SealedLinkFrame) throws(LinkSessionFault) -> LinkMessage {
        try LinkMessage(try openFrame(frame))
    }
}

extension LinkMessage {
    /// Reads an authentic frame of the pair link.
    public init(_ frame: OpenedLinkFrame) throws(LinkSessionFault) {
        switch frame.type {
        case SealedLinkFrame.heartbeatType:
            do {
                self = .heartbeat(try unsafe Heartbeat(payload: frame.payload.span.bytes))
            } catch {
                throw .badHeartbeat(error)
            }
        case SealedLinkFrame.goodbyeType:
            self = .goodbye
        case HandoverMessage.frameType:
            self = try Self.handover(frame)
        default:
            self = .unknown(type: frame.type)
        }
    }

    private static func handover(
        _ frame: OpenedLinkFrame
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
}
