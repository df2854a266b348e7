// SPDX-License-Identifier: Apache-2.0
//
// What the two nodes say about their tables, as values and as payloads of sealed frames on the
// state channel.
//
//     opening (40)         token (8)
//     snapshotBegan (41)   sequence (8)
//     blob (42)            sequence (8) | table (1) | entries (4) | content (the rest)
//     snapshotEnded (43)   sequence (8)
//     standing (44)        base (8) | newest (8) | told (8) | waiting (8) | complete (1)
//     acknowledged (45)    token (8) | known (1) | applied (8)
//
// All numbers are big-endian. Bytes behind the known ones, but for the content of a blob, belong to
// later versions. Sequence numbers count items: snapshotBegan, blobs and snapshotEnded.

import WireCore

/// Where the sender of a table stream stands.
public struct StateStanding: Hashable, Sendable {
    /// Number of the item that began the snapshot this stream builds on; 0 when there was none.
    public var baseSequence: UInt64
    /// Number of the newest item.
    public var newestSequence: UInt64
    /// Entries told in the items from the base to the newest.
    public var toldCount: UInt64
    /// Entries that no item tells yet.
    public var waitingCount: UInt64
    /// The snapshot's end is among the items.
    public var isComplete: Bool

    /// Makes a standing from its parts.
    public init(
        baseSequence: UInt64, newestSequence: UInt64, toldCount: UInt64, waitingCount: UInt64,
        isComplete: Bool
    ) {
        self.baseSequence = baseSequence
        self.newestSequence = newestSequence
        self.toldCount = toldCount
        self.waitingCount = waitingCount
        self.isComplete = isComplete
    }
}

/// How far the reader of a table stream has come.
public struct StateAcknowledgement: Hashable, Sendable {
    /// The connection it is about, by the number in its opening.
    public var token: UInt64
    /// Number of the last item in force; `nil` when nothing of the stream is known.
    public var appliedSequence: UInt64?

    /// Makes an acknowledgement from its parts.
    public init(token: UInt64, appliedSequence: UInt64?) {
        self.token = token
        self.appliedSequence = appliedSequence
    }
}

/// One message about tables.
public enum StateMessage: Hashable, Sendable {
    /// The sender calls this connection by the token, which it never used before.
    case opening(token: UInt64)
    /// Everything the sender has follows, up to ``snapshotEnded(sequence:)``.
    case snapshotBegan(sequence: UInt64)
    /// Entries of a table.
    case blob(sequence: UInt64, StateBlob)
    /// Everything the sender had when the snapshot began has been told.
    case snapshotEnded(sequence: UInt64)
    /// Where the sender stands; it has no number.
    case standing(StateStanding)
    /// How far the sender of this message has come in the other direction's stream.
    case acknowledged(StateAcknowledgement)
}

/// Why an authentic payload is no message about tables.
public enum StateMessageFault: Error, Hashable, Sendable {
    /// The payload ends too early.
    case truncated
    /// A blob is longer than ``StateBlob/byteCountMax``.
    case tooLong(byteCount: Int)
    /// A flag that no version defined.
    case unknownFlag(UInt8)
}

extension StateMessage {
    private enum Kind: UInt8 {
        case opening = 40
        case snapshotBegan, blob, snapshotEnded, standing, acknowledged
    }

    private var kind: Kind {
        switch self {
        case .opening: .opening
        case .snapshotBegan: .snapshotBegan
        case .blob: .blob
        case .snapshotEnded: .snapshotEnded
        case .standing: .standing
        case .acknowledged: .acknowledged
        }
    }

    /// Type number of the frame.
    public var type: UInt8 { kind.rawValue }

    /// The payload of the frame.
    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .opening(let number), .snapshotBegan(let number), .snapshotEnded(let number):
            bytes.appendBigEndian(number)
        case .blob(let sequence, let blob):
            precondition(
                blob.bytes.count <= StateBlob.byteCountMax, "\(blob.bytes.count) bytes of a table")
            bytes.reserveCapacity(13 + blob.bytes.count)
            bytes.appendBigEndian(sequence)
            bytes.append(blob.table)
            bytes.appendBigEndian(UInt32(clamping: blob.entryCount))
            bytes += blob.bytes
        case .standing(let standing):
            bytes.appendBigEndian(standing.baseSequence)
            bytes.appendBigEndian(standing.newestSequence)
            bytes.appendBigEndian(standing.toldCount)
            bytes.appendBigEndian(standing.waitingCount)
            bytes.append(standing.isComplete ? 1 : 0)
        case .acknowledged(let acknowledgement):
            bytes.appendBigEndian(acknowledgement.token)
            bytes.append(acknowledgement.appliedSequence == nil ? 0 : 1)
            bytes.appendBigEndian(acknowledgement.appliedSequence ?? 0)
        }
        return bytes
    }

    /// Reads a frame of the state channel; `nil` when it is about something else.
    public init?(_ frame: OpenedLinkFrame) throws(StateMessageFault) {
        guard let kind = Kind(rawValue: frame.type) else { return nil }
        var reader = unsafe ByteReader(frame.payload.span.bytes)
        guard let first = reader.readUInt64() else { throw .truncated }
        switch kind {
        case .opening: self = .opening(token: first)
        case .snapshotBegan: self = .snapshotBegan(sequence: first)
        case .snapshotEnded: self = .snapshotEnded(sequence: first)
        case .blob:
            guard let table = reader.readUInt8(), let entryCount = reader.readUInt32() else {
                throw .truncated
            }
            guard reader.remainingByteCount <= StateBlob.byteCountMax else {
                throw .tooLong(byteCount: reader.remainingByteCount)
            }
            let bytes = reader.readBytes(reader.remainingByteCount) ?? []
            let blob = StateBlob(table: table, entryCount: Int(entryCount), bytes: bytes)
            self = .blob(sequence: first, blob)
        case .standing:
            guard let newest = reader.readUInt64(), let told = reader.readUInt64(),
                let waiting = reader.readUInt64(), let complete = reader.readUInt8()
            else { throw .truncated }
            guard complete <= 1 else { throw .unknownFlag(complete) }
            self = .standing(
                StateStanding(
                    baseSequence: first, newestSequence: newest, toldCount: told,
                    waitingCount: waiting, isComplete: complete == 1))
        case .acknowledged:
            guard let known = reader.readUInt8(), let applied = reader.readUInt64() else {
                throw .truncated
            }
            guard known <= 1 else { throw .unknownFlag(known) }
            self = .acknowledged(
                StateAcknowledgement(token: first, appliedSequence: known == 1 ? applied : nil))
        }
    }
}

extension LinkSender {
    /// The bytes of a frame about tables.
    public mutating func seal(_ message: StateMessage) -> [UInt8] {
        seal(type: message.type, payload: message.payload)
    }
}
