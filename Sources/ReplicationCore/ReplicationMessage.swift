// SPDX-License-Identifier: Apache-2.0
//
// What the replication stream says, as values and as payloads of sealed frames.
//
//     snapshotBegan (18)   nothing
//     changes (19)         n x { operation (1), local address (4), local port (2),
//                                remote address (4), remote port (2) }
//     snapshotEnded (20)   connections open (4)
//     standing (21)        connections open (4), connections left out so far (8)
//
// All numbers are big-endian; a change names a connection that is open (1) or closed (0). Bytes
// behind the known ones of the last two belong to later versions.

import WireCore

/// One message of the replication stream.
public enum ReplicationMessage: Hashable, Sendable {
    /// Everything known so far is replaced by what comes up to ``snapshotEnded(openCount:)``.
    case snapshotBegan
    /// Connections were opened and closed, in this order.
    case changes([ClientChange])
    /// The snapshot is complete.
    case snapshotEnded(openCount: UInt32)
    /// Where the sender stands; comes while nothing changes, so that a dead connection is noticed.
    case standing(openCount: UInt32, omittedCount: UInt64)
}

/// Why an authenticated payload is no message of the stream.
public enum ReplicationFault: Error, Hashable, Sendable {
    /// The payload ends too early, or inside a change.
    case truncated
    /// An operation that no version defined.
    case unknownOperation(UInt8)
}

extension ReplicationMessage {
    static let snapshotBeganType: UInt8 = 18
    static let changesType: UInt8 = 19
    static let snapshotEndedType: UInt8 = 20
    static let standingType: UInt8 = 21
    static let changeByteCount = 13
    /// The most changes that one message carries.
    public static let changeCountMax = LinkFrameEncoder.payloadByteCountMax / changeByteCount

    var type: UInt8 {
        switch self {
        case .snapshotBegan: Self.snapshotBeganType
        case .changes: Self.changesType
        case .snapshotEnded: Self.snapshotEndedType
        case .standing: Self.standingType
        }
    }

    var payload: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .snapshotBegan:
            break
        case .changes(let changes):
            precondition(changes.count <= Self.changeCountMax, "\(changes.count) changes")
            bytes.reserveCapacity(changes.count * Self.changeByteCount)
            for change in changes {
                bytes.append(change.isOpen ? 1 : 0)
                bytes.appendBigEndian(change.key.localAddress.rawValue)
                bytes.appendBigEndian(change.key.localPort)
                bytes.appendBigEndian(change.key.remoteAddress.rawValue)
                bytes.appendBigEndian(change.key.remotePort)
            }
        case .snapshotEnded(let openCount):
            bytes.appendBigEndian(openCount)
        case .standing(let openCount, let omittedCount):
            bytes.appendBigEndian(openCount)
            bytes.appendBigEndian(omittedCount)
        }
        return bytes
    }

    /// Reads a payload; `nil` for a type that is not of this stream.
    public init?(type: UInt8, payload: RawSpan) throws(ReplicationFault) {
        var reader = ByteReader(payload)
        switch type {
        case Self.snapshotBeganType:
            self = .snapshotBegan
        case Self.changesType:
            self = .changes(try Self.readChanges(&reader))
        case Self.snapshotEndedType:
            guard let openCount = reader.readUInt32() else { throw .truncated }
            self = .snapshotEnded(openCount: openCount)
        case Self.standingType:
            guard let openCount = reader.readUInt32(), let omitted = reader.readUInt64() else {
                throw .truncated
            }
            self = .standing(openCount: openCount, omittedCount: omitted)
        default:
            return nil
        }
    }

    private static func readChanges(
        _ reader: inout ByteReader
    ) throws(ReplicationFault) -> [ClientChange] {
        var changes: [ClientChange] = []
        changes.reserveCapacity(reader.remainingByteCount / changeByteCount)
        while let operation = reader.readUInt8() {
            guard operation <= 1 else { throw .unknownOperation(operation) }
            guard let local = reader.readUInt32(), let localPort = reader.readUInt16(),
                let remote = reader.readUInt32(), let remotePort = reader.readUInt16()
            else { throw .truncated }
            let key = ClientKey(
                localAddress: IPv4Address(rawValue: local), localPort: localPort,
                remoteAddress: IPv4Address(rawValue: remote), remotePort: remotePort)
            changes.append(ClientChange(key, isOpen: operation == 1))
        }
        return changes
    }
}

extension LinkSender {
    /// The bytes of a frame of the replication stream.
    public mutating func seal(_ message: ReplicationMessage) -> [UInt8] {
        seal(type: message.type, payload: message.payload)
    }
}

extension LinkSecret {
    /// A secret that follows from this one and serves one purpose, so that no handshake or frame
    /// recorded on one kind of connection means anything on another.
    public func derived(
        for purpose: StaticString, with cryptography: LinkCryptography
    ) -> LinkSecret {
        LinkSecret(
            derivedBytes: cryptography.hmacSHA256(bytes, Array("tandem secret \(purpose)".utf8)))
    }

    private init(derivedBytes: [UInt8]) {
        bytes = derivedBytes
    }
}
