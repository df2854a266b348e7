// SPDX-License-Identifier: Apache-2.0
//
// The first sealed frame of a connection to the replication port: what the connection is for.
//
//     channelBegan (24)    kind (1) | number (2) | incarnation (8)
//
// All numbers are big-endian. Bytes behind the known ones belong to later versions.

import WireCore

/// What a connection to the replication port carries.
public enum ReplicationChannel: Hashable, Sendable {
    /// Tables, acknowledgements, and the clients that a takeover has to reset.
    case state
    /// What one worker says about its clients' connections.
    case shadows(worker: Int)
}

/// Says what a connection is for, and which process of the node dialled it.
public struct ChannelOpening: Hashable, Sendable {
    /// Most workers of a node that have a channel of their own.
    public static let shadowChannelCountMax = 64
    /// Type number of the frame.
    public static let frameType: UInt8 = 24

    /// What it is for.
    public var channel: ReplicationChannel
    /// A number that the dialling process chose at random when it started.
    public var incarnation: UInt64

    /// Makes an opening.
    public init(_ channel: ReplicationChannel, incarnation: UInt64) {
        self.channel = channel
        self.incarnation = incarnation
    }
}

/// Why the first frame of a connection opens no channel.
public enum ChannelOpeningFault: Error, Hashable, Sendable {
    /// Another frame came first.
    case notAnOpening(type: UInt8)
    /// The payload ends too early.
    case truncated
    /// A kind of channel that this version does not know.
    case unknownKind(UInt8)
    /// A worker beyond ``ChannelOpening/shadowChannelCountMax``, or a second state channel.
    case numberOutOfRange(UInt16)
}

extension ChannelOpening {
    private static let stateKind: UInt8 = 1
    private static let shadowsKind: UInt8 = 2

    /// The payload of the frame.
    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        switch channel {
        case .state:
            bytes.append(Self.stateKind)
            bytes.appendBigEndian(UInt16(0))
        case .shadows(let worker):
            precondition((0..<Self.shadowChannelCountMax).contains(worker), "worker \(worker)")
            bytes.append(Self.shadowsKind)
            bytes.appendBigEndian(UInt16(worker))
        }
        bytes.appendBigEndian(incarnation)
        return bytes
    }

    /// Reads the first frame of a connection.
    public init(_ frame: OpenedLinkFrame) throws(ChannelOpeningFault) {
        guard frame.type == Self.frameType else { throw .notAnOpening(type: frame.type) }
        var reader = unsafe ByteReader(frame.payload.span.bytes)
        guard let kind = reader.readUInt8(), let number = reader.readUInt16(),
            let incarnation = reader.readUInt64()
        else { throw .truncated }
        switch kind {
        case Self.stateKind:
            guard number == 0 else { throw .numberOutOfRange(number) }
            self.init(.state, incarnation: incarnation)
        case Self.shadowsKind:
            guard number < Self.shadowChannelCountMax else { throw .numberOutOfRange(number) }
            self.init(.shadows(worker: Int(number)), incarnation: incarnation)
        default:
            throw .unknownKind(kind)
        }
    }
}

/// Type numbers of the frames on a shadow channel.
public enum ShadowFrame {
    /// Records, in the order of what happened.
    public static let recordsType: UInt8 = 32
    /// Every connection of the worker follows; no payload.
    public static let snapshotBeganType: UInt8 = 33
    /// The connections of the worker are complete: their number (4).
    public static let snapshotEndedType: UInt8 = 34
    /// Nothing happened: the number of records so far (8).
    public static let standingType: UInt8 = 35
}

extension LinkSender {
    /// The bytes of the first frame of a connection to the replication port.
    public mutating func seal(_ opening: ChannelOpening) -> [UInt8] {
        seal(type: ChannelOpening.frameType, payload: opening.payload)
    }
}
