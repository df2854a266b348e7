// SPDX-License-Identifier: Apache-2.0
//
// What the replication stream says, as values and as payloads of sealed frames.
//
//     snapshotBegan (18)   nothing
//     changes (19)         n x { operation (1), local address (4), local port (2),
//                                remote address (4), remote port (2) }
//     snapshotEnded (20)   IPv4 connections open (4), IPv6 connections open (4)
//     standing (21)        IPv4 connections open (4), connections left out so far (8),
//                          IPv6 connections open (4)
//     changesIPv6 (22)     as changes, with addresses of 16 bytes
//
// All numbers are big-endian; a change names a connection that is open (1) or closed (0). A node
// that knows IPv4 alone skips type 22 and does not look at the counts of IPv6, which is why they
// stand last and why a message of changes has one family. Bytes behind the known ones of
// snapshotEnded and standing belong to later versions.

public import WireCore

/// How many client connections a node has.
public struct OpenClientCount: Hashable, Sendable {
    /// Over IPv4.
    public var ipv4: UInt32
    /// Over IPv6; an older node counts none.
    public var ipv6: UInt32

    /// Names the numbers.
    public init(ipv4: UInt32, ipv6: UInt32 = 0) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }

    /// Of both families.
    public var total: Int { Int(ipv4) + Int(ipv6) }
}

/// One message of the replication stream.
public enum ReplicationMessage: Hashable, Sendable {
    /// Everything known so far is replaced by what comes up to ``snapshotEnded(open:)``.
    case snapshotBegan
    /// Connections of one family were opened and closed, in this order.
    case changes([ClientChange])
    /// The snapshot is complete.
    case snapshotEnded(open: OpenClientCount)
    /// Where the sender stands; comes while nothing changes, so that a dead connection is noticed.
    case standing(open: OpenClientCount, omittedCount: UInt64)
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
    static let changesIPv6Type: UInt8 = 22

    /// Length of a change on the wire.
    static func changeByteCount(_ family: AddressFamily) -> Int {
        1 + 2 * (family.addressByteCount + 2)
    }

    /// The most changes that one message carries.
    public static func changeCountMax(_ family: AddressFamily) -> Int {
        LinkFrameEncoder.payloadByteCountMax / changeByteCount(family)
    }

    var type: UInt8 {
        switch self {
        case .snapshotBegan: Self.snapshotBeganType
        case .changes(let changes):
            changes.first?.key.family == .ipv6 ? Self.changesIPv6Type : Self.changesType
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
            guard let family = changes.first?.key.family else { break }
            precondition(
                changes.count <= Self.changeCountMax(family), "\(changes.count) changes")
            bytes.reserveCapacity(changes.count * Self.changeByteCount(family))
            for change in changes {
                precondition(change.key.family == family, "changes of two families")
                bytes.append(change.isOpen ? 1 : 0)
                bytes.append(address: change.key.localAddress)
                bytes.appendBigEndian(change.key.localPort)
                bytes.append(address: change.key.remoteAddress)
                bytes.appendBigEndian(change.key.remotePort)
            }
        case .snapshotEnded(let open):
            bytes.appendBigEndian(open.ipv4)
            bytes.appendBigEndian(open.ipv6)
        case .standing(let open, let omittedCount):
            bytes.appendBigEndian(open.ipv4)
            bytes.appendBigEndian(omittedCount)
            bytes.appendBigEndian(open.ipv6)
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
            self = .changes(try Self.readChanges(&reader, .ipv4))
        case Self.changesIPv6Type:
            self = .changes(try Self.readChanges(&reader, .ipv6))
        case Self.snapshotEndedType:
            guard let ipv4 = reader.readUInt32() else { throw .truncated }
            let open = OpenClientCount(ipv4: ipv4, ipv6: reader.readUInt32() ?? 0)
            self = .snapshotEnded(open: open)
        case Self.standingType:
            guard let ipv4 = reader.readUInt32(), let omitted = reader.readUInt64() else {
                throw .truncated
            }
            let open = OpenClientCount(ipv4: ipv4, ipv6: reader.readUInt32() ?? 0)
            self = .standing(open: open, omittedCount: omitted)
        default:
            return nil
        }
    }

    private static func readChanges(
        _ reader: inout ByteReader, _ family: AddressFamily
    ) throws(ReplicationFault) -> [ClientChange] {
        var changes: [ClientChange] = []
        changes.reserveCapacity(reader.remainingByteCount / changeByteCount(family))
        while let operation = reader.readUInt8() {
            guard operation <= 1 else { throw .unknownOperation(operation) }
            guard let local = reader.readAddress(family), let localPort = reader.readUInt16(),
                let remote = reader.readAddress(family), let remotePort = reader.readUInt16()
            else { throw .truncated }
            let key = ClientKey(
                localAddress: local, localPort: localPort, remoteAddress: remote,
                remotePort: remotePort)
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
