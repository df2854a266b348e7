// SPDX-License-Identifier: Apache-2.0
//
// Bytes of the pair link to frames. Judges form only; who may say what is the handshake's and
// the session's.
//
//     0                   2         3        4
//     +-------------------+---------+--------+----------------------
//     | length of the rest | version |  type  | body ...
//     +-------------------+---------+--------+----------------------
//
// All numbers are big-endian. Bodies:
//
//     hello, challenge   flags (1), name length (1), name, nonce (32)
//     proof, accepted    HMAC-SHA256 (32)
//     refused            reason (1)
//     sealed (16-255)    sequence (8), payload in AES-256-GCM, tag (16)

import WireCore

/// Why bytes are no frame; the connection cannot go on after any of them.
public enum LinkFrameFault: Error, Hashable, Sendable {
    /// The length field says fewer bytes than a header has.
    case lengthTooShort(Int)
    /// The length field says more than the connection allows.
    case lengthTooLong(Int)
    /// Another protocol version.
    case unsupportedVersion(UInt8)
    /// A type number below the sealed ones that no version defined.
    case unknownHandshakeType(UInt8)
    /// The body is shorter or longer than its type needs.
    case wrongBodyLength(type: UInt8, byteCount: Int)
    /// The node name is empty, not UTF-8, or holds control characters.
    case badNodeName
    /// Flag bits that no version defined.
    case unknownFlags(UInt8)
}

/// What the bytes at hand amount to.
public enum LinkFrameDecoding: Hashable, Sendable {
    /// A whole frame, and how many bytes it took.
    case frame(LinkFrame, byteCount: Int)
    /// The frame ends beyond the bytes at hand.
    case needMore
}

/// Decodes frames from untrusted bytes.
public enum LinkFrameDecoder {
    static let lengthFieldByteCount = 2
    static let headerByteCount = 4

    static let helloType: UInt8 = 1
    static let challengeType: UInt8 = 2
    static let proofType: UInt8 = 3
    static let acceptedType: UInt8 = 4
    static let refusedType: UInt8 = 5
    static let hasSecretFlag: UInt8 = 1

    /// The frame at the start of `bytes`, judged as early as its bytes allow.
    ///
    /// - Parameters:
    ///   - bytes: what has arrived.
    ///   - frameByteCountMax: the longest whole frame.
    /// - Returns: a whole frame, or that there is none yet.
    /// - Throws: why the bytes will never be a frame.
    public static func decode(
        _ bytes: RawSpan, frameByteCountMax: Int = LinkProtocol.frameByteCountMax
    ) throws(LinkFrameFault) -> LinkFrameDecoding {
        var reader = ByteReader(bytes)
        guard let lengthField = reader.readUInt16() else { return .needMore }
        let length = Int(lengthField)
        guard length >= headerByteCount - lengthFieldByteCount else {
            throw .lengthTooShort(length)
        }
        guard length <= frameByteCountMax - lengthFieldByteCount else {
            throw .lengthTooLong(length)
        }
        guard let version = reader.readUInt8() else { return .needMore }
        guard version == LinkProtocol.version else { throw .unsupportedVersion(version) }
        guard let type = reader.readUInt8() else { return .needMore }
        guard (helloType...refusedType).contains(type) || type >= SealedLinkFrame.firstType else {
            throw .unknownHandshakeType(type)
        }
        let bodyByteCount = length - (headerByteCount - lengthFieldByteCount)
        guard isPossible(bodyByteCount, for: type) else {
            throw .wrongBodyLength(type: type, byteCount: bodyByteCount)
        }
        if type >= SealedLinkFrame.firstType {
            guard let frame = decodeSealed(&reader, bodyByteCount, type: type) else {
                return .needMore
            }
            return .frame(.sealed(frame), byteCount: reader.offset)
        }
        guard let body = reader.readBytes(bodyByteCount) else { return .needMore }
        let frame = try decodeBody(body, type: type)
        return .frame(frame, byteCount: reader.offset)
    }

    private static func isPossible(_ bodyByteCount: Int, for type: UInt8) -> Bool {
        switch type {
        case helloType, challengeType:
            let fixed = 2 + LinkProtocol.nonceByteCount
            return (fixed + 1...fixed + LinkProtocol.nodeNameByteCountMax).contains(bodyByteCount)
        case proofType, acceptedType:
            return bodyByteCount == LinkProtocol.nonceByteCount
        case refusedType:
            return bodyByteCount == 1
        default:
            return bodyByteCount >= 8 + LinkProtocol.tagByteCount
        }
    }

    private static func decodeBody(
        _ body: [UInt8], type: UInt8
    ) throws(LinkFrameFault) -> LinkFrame {
        switch type {
        case helloType:
            return .hello(try decodeIntroduction(body, type: type))
        case challengeType:
            return .challenge(try decodeIntroduction(body, type: type))
        case proofType:
            return .proof(body)
        case acceptedType:
            return .accepted(body)
        default:
            return .refused(body.first.flatMap(LinkRefusal.init(rawValue:)) ?? .unspecified)
        }
    }

    private static func decodeIntroduction(
        _ body: [UInt8], type: UInt8
    ) throws(LinkFrameFault) -> LinkIntroduction {
        var reader = unsafe ByteReader(body.span.bytes)
        guard let flags = reader.readUInt8(), let nameByteCount = reader.readUInt8(),
            let name = reader.readBytes(Int(nameByteCount)),
            let nonce = reader.readBytes(LinkProtocol.nonceByteCount),
            reader.remainingByteCount == 0
        else { throw .wrongBodyLength(type: type, byteCount: body.count) }
        guard flags & ~hasSecretFlag == 0 else { throw .unknownFlags(flags) }
        // The name goes into logs: no control characters, no broken text.
        guard !name.isEmpty, name.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
            let text = String(validating: name, as: UTF8.self)
        else { throw .badNodeName }
        return LinkIntroduction(
            nodeName: text, hasSecret: flags & hasSecretFlag != 0, nonce: nonce)
    }

    /// The body is long enough for sequence and tag; `nil` when it has not arrived.
    private static func decodeSealed(
        _ reader: inout ByteReader, _ bodyByteCount: Int, type: UInt8
    ) -> SealedLinkFrame? {
        guard reader.remainingByteCount >= bodyByteCount, let sequence = reader.readUInt64(),
            let payload = reader.readBytes(bodyByteCount - 8 - LinkProtocol.tagByteCount),
            let tag = reader.readBytes(LinkProtocol.tagByteCount)
        else { return nil }
        return SealedLinkFrame(type: type, sequence: sequence, payload: payload, tag: tag)
    }
}
