// SPDX-License-Identifier: Apache-2.0
//
// Frames of the pair link to bytes; the layout is drawn in LinkFrameDecoder.swift.

import WireCore

/// Encodes frames.
public enum LinkFrameEncoder {
    /// The longest payload a sealed frame of the pair link can carry.
    public static let payloadByteCountMax =
        LinkProtocol.frameByteCountMax - LinkFrameDecoder.headerByteCount - 8
        - LinkProtocol.tagByteCount

    /// The bytes of `frame`.
    public static func encode(_ frame: LinkFrame) -> [UInt8] {
        switch frame {
        case .hello(let introduction):
            whole(type: LinkFrameDecoder.helloType, body: body(of: introduction))
        case .challenge(let introduction):
            whole(type: LinkFrameDecoder.challengeType, body: body(of: introduction))
        case .proof(let proof):
            whole(type: LinkFrameDecoder.proofType, body: proof)
        case .accepted(let proof):
            whole(type: LinkFrameDecoder.acceptedType, body: proof)
        case .refused(let reason):
            whole(type: LinkFrameDecoder.refusedType, body: [reason.rawValue])
        case .sealed(let frame):
            whole(type: frame.type, body: body(of: frame))
        }
    }

    private static func whole(type: UInt8, body: [UInt8]) -> [UInt8] {
        precondition(
            body.count
                <= LinkProtocol.replicationFrameByteCountMax - LinkFrameDecoder.headerByteCount,
            "frame of type \(type) with a body of \(body.count) bytes")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(LinkFrameDecoder.headerByteCount + body.count)
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: body.count + 2))
        bytes.append(LinkProtocol.version)
        bytes.append(type)
        bytes += body
        return bytes
    }

    private static func body(of introduction: LinkIntroduction) -> [UInt8] {
        // A longer name than the protocol carries is cut: the peer then says "unknown node".
        let name = introduction.nodeName.utf8.prefix(LinkProtocol.nodeNameByteCountMax)
        var body: [UInt8] = []
        body.reserveCapacity(2 + name.count + LinkProtocol.nonceByteCount)
        body.append(introduction.hasSecret ? LinkFrameDecoder.hasSecretFlag : 0)
        body.append(UInt8(truncatingIfNeeded: name.count))
        body += name
        body += introduction.nonce
        return body
    }

    private static func body(of frame: SealedLinkFrame) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(8 + frame.payload.count + LinkProtocol.tagByteCount)
        body.appendBigEndian(frame.sequence)
        body += frame.payload
        body += frame.tag
        return body
    }
}
