// SPDX-License-Identifier: Apache-2.0
//
// What two nodes say to each other during a planned switchover, as values and as the payload of a
// sealed frame. Older nodes skip the frame.
//
//     handover (32)   kind (1) | token (8) | by kind:
//         prepare     whether it can pass packets on (1) | drain time in milliseconds (4) | seats
//         ready       flags (1: can pass packets on, 2: takes connections over) | seats
//         refuse      reason (1)
//         go          nothing
//         taken       time from `go` to the announcement in microseconds (4)
//         done        connections that ended by themselves (4) | connections cut (4)
//         abort       reason (1)
//     seats           count (1) | count x { VRID (1), family (1: 4 or 6), own address (4 or 16),
//                                           length of the link-layer address (1), the address }
//
// All numbers are big-endian. Bytes behind the known ones belong to later versions, and so do
// kinds that this one does not know.

public import WireCore

/// Where one virtual router of a node meets the LAN.
public struct HandoverSeat: Hashable, Sendable {
    /// VRID, 1-255.
    public var routerID: UInt8
    /// The node's own address on that interface; its family is the virtual router's.
    public var address: IPAddress
    /// What frames of the node come from there; empty when the interface has no such address.
    public var hardwareAddress: [UInt8]

    /// Makes a seat.
    public init(routerID: UInt8, address: IPAddress, hardwareAddress: [UInt8]) {
        self.routerID = routerID
        self.address = address
        self.hardwareAddress = hardwareAddress
    }
}

/// Why a node does not take virtual routers over.
public enum HandoverRefusal: UInt8, Error, Hashable, Sendable, CaseIterable {
    /// A reason that a newer version sent and this one does not know.
    case unspecified = 0
    /// Its own connections of the last switchover have not ended yet.
    case draining = 1
    /// It is handing routers over itself.
    case busy = 2
    /// It is out of service.
    case faulty = 3
    /// It does not have these virtual routers.
    case unknownRouter = 4
    /// It is Active for one of them already.
    case alreadyActive = 5
    /// It runs from another configuration and was told not to take over then.
    case held = 6
    /// It could not add the addresses.
    case addressRefused = 7
    /// It is leaving.
    case leaving = 8
}

/// Why a switchover that began was given up.
public enum HandoverAbort: UInt8, Hashable, Sendable, CaseIterable {
    /// A reason that a newer version sent and this one does not know.
    case unspecified = 0
    /// The other node took too long.
    case timeout = 1
    /// The node that gives could not make its tables.
    case tablesRefused = 2
    /// The node that gives has the addresses again.
    case claimedAgain = 3
    /// The node that gives is Active no more.
    case lostAddresses = 4
}

/// One message of a planned switchover.
public struct HandoverMessage: Hashable, Sendable {
    /// What is said.
    public enum Content: Hashable, Sendable {
        /// Old to new: get ready to take these virtual routers over.
        case prepare(seats: [HandoverSeat], drain: TimeSpan, canForward: Bool)
        /// New to old: ready; the addresses are held quietly when packets can be passed on, and
        /// connections can be given to it when it says so.
        case ready(seats: [HandoverSeat], canForward: Bool, takesConnections: Bool = false)
        /// New to old: no.
        case refuse(HandoverRefusal)
        /// Old to new: become Active now.
        case go
        /// New to old: Active and announced.
        case taken(after: TimeSpan)
        /// Old to new: no connection of the addresses is left here.
        case done(ended: UInt32, cut: UInt32)
        /// Either: as if nothing had been said.
        case abort(HandoverAbort)
    }

    /// Which switchover is meant; the node that gives chooses it.
    public var token: UInt64
    /// What is said.
    public var content: Content

    /// Makes a message.
    public init(token: UInt64, _ content: Content) {
        self.token = token
        self.content = content
    }
}

/// Why an authenticated payload is no message of a switchover.
public enum HandoverFault: Error, Hashable, Sendable {
    /// The payload ends too early.
    case truncated
    /// VRID 0 does not exist (RFC 9568 §5.2.3).
    case zeroRouterID
    /// A family that no version defined.
    case unknownFamily(UInt8)
    /// A link-layer address of a length that no rule can name.
    case hardwareAddressLength(UInt8)
}

extension HandoverMessage {
    /// Type number of the frame.
    public static let frameType: UInt8 = 32
    /// Most virtual routers that one message names: both families of every VRID would not fit.
    public static let seatCountMax = 128

    private enum Kind: UInt8 {
        case prepare = 1
        case ready, refuse, go, taken, done, abort
    }

    /// The payload; more seats than ``seatCountMax`` are left out.
    public var payload: [UInt8] {
        var bytes: [UInt8] = []
        func begin(_ kind: Kind) {
            bytes.append(kind.rawValue)
            bytes.appendBigEndian(token)
        }
        switch content {
        case .prepare(let seats, let drain, let canForward):
            begin(.prepare)
            bytes.append(canForward ? 1 : 0)
            bytes.appendBigEndian(UInt32(clamping: drain.milliseconds))
            Self.append(seats, to: &bytes)
        case .ready(let seats, let canForward, let takesConnections):
            begin(.ready)
            bytes.append((canForward ? 1 : 0) | (takesConnections ? 2 : 0))
            Self.append(seats, to: &bytes)
        case .refuse(let reason):
            begin(.refuse)
            bytes.append(reason.rawValue)
        case .go:
            begin(.go)
        case .taken(let span):
            begin(.taken)
            bytes.appendBigEndian(UInt32(clamping: span.microseconds))
        case .done(let ended, let cut):
            begin(.done)
            bytes.appendBigEndian(ended)
            bytes.appendBigEndian(cut)
        case .abort(let reason):
            begin(.abort)
            bytes.append(reason.rawValue)
        }
        return bytes
    }

    private static func append(_ seats: [HandoverSeat], to bytes: inout [UInt8]) {
        let named = seats.prefix(seatCountMax)
        bytes.append(UInt8(truncatingIfNeeded: named.count))
        for seat in named {
            bytes.append(seat.routerID)
            switch seat.address {
            case .v4(let address):
                bytes.append(4)
                bytes.appendBigEndian(address.rawValue)
            case .v6(let address):
                bytes.append(6)
                bytes.appendBigEndian(address.high)
                bytes.appendBigEndian(address.low)
            }
            bytes.append(UInt8(truncatingIfNeeded: seat.hardwareAddress.count))
            bytes += seat.hardwareAddress
        }
    }

    /// Reads a payload; `nil` for a kind that a later version added.
    public init?(payload: RawSpan) throws(HandoverFault) {
        var reader = ByteReader(payload)
        guard let kindNumber = reader.readUInt8(), let token = reader.readUInt64() else {
            throw .truncated
        }
        guard let kind = Kind(rawValue: kindNumber) else { return nil }
        self.init(token: token, try Self.content(kind, &reader))
    }

    private static func content(
        _ kind: Kind, _ reader: inout ByteReader
    ) throws(HandoverFault) -> Content {
        switch kind {
        case .prepare:
            guard let flags = reader.readUInt8(), let drain = reader.readUInt32() else {
                throw .truncated
            }
            return .prepare(
                seats: try seats(&reader), drain: .milliseconds(UInt64(drain)),
                canForward: flags & 1 != 0)
        case .ready:
            guard let flags = reader.readUInt8() else { throw .truncated }
            return .ready(
                seats: try seats(&reader), canForward: flags & 1 != 0,
                takesConnections: flags & 2 != 0)
        case .refuse:
            guard let reason = reader.readUInt8() else { throw .truncated }
            return .refuse(HandoverRefusal(rawValue: reason) ?? .unspecified)
        case .go:
            return .go
        case .taken:
            guard let span = reader.readUInt32() else { throw .truncated }
            return .taken(after: .microseconds(UInt64(span)))
        case .done:
            guard let ended = reader.readUInt32(), let cut = reader.readUInt32() else {
                throw .truncated
            }
            return .done(ended: ended, cut: cut)
        case .abort:
            guard let reason = reader.readUInt8() else { throw .truncated }
            return .abort(HandoverAbort(rawValue: reason) ?? .unspecified)
        }
    }

    private static func seats(
        _ reader: inout ByteReader
    ) throws(HandoverFault) -> [HandoverSeat] {
        guard let count = reader.readUInt8() else { throw .truncated }
        var seats: [HandoverSeat] = []
        for _ in 0..<count {
            guard let id = reader.readUInt8(), let family = reader.readUInt8() else {
                throw .truncated
            }
            guard id != 0 else { throw .zeroRouterID }
            let address: IPAddress
            switch family {
            case 4:
                guard let number = reader.readUInt32() else { throw .truncated }
                address = .v4(IPv4Address(rawValue: number))
            case 6:
                guard let high = reader.readUInt64(), let low = reader.readUInt64() else {
                    throw .truncated
                }
                address = .v6(IPv6Address(high: high, low: low))
            default:
                throw .unknownFamily(family)
            }
            guard let length = reader.readUInt8() else { throw .truncated }
            guard length == 0 || length == 6 else { throw .hardwareAddressLength(length) }
            guard let hardware = reader.readBytes(Int(length)) else { throw .truncated }
            seats.append(
                HandoverSeat(routerID: id, address: address, hardwareAddress: hardware))
        }
        return seats
    }
}

extension LinkSender {
    /// The bytes of a message of a switchover.
    public mutating func seal(_ message: HandoverMessage) -> [UInt8] {
        seal(type: HandoverMessage.frameType, payload: message.payload)
    }
}

extension HandoverRefusal: CustomStringConvertible {
    /// The reason in plain words, after "the other node ".
    public var description: String {
        switch self {
        case .unspecified: "refused for a reason that this version does not know"
        case .draining: "still lets connections of the last switchover finish"
        case .busy: "is handing addresses over itself"
        case .faulty: "is out of service"
        case .unknownRouter: "does not have the same virtual routers"
        case .alreadyActive: "is active for them already"
        case .held: "runs from another configuration and was told not to take over then"
        case .addressRefused: "could not add the addresses"
        case .leaving: "is leaving"
        }
    }
}

extension HandoverAbort: CustomStringConvertible {
    /// The reason in plain words.
    public var description: String {
        switch self {
        case .unspecified: "for a reason that this version does not know"
        case .timeout: "the other node did not answer in time"
        case .tablesRefused: "the kernel refused the rules that pass packets on"
        case .claimedAgain: "this node has the addresses again"
        case .lostAddresses: "this node is not active any more"
        }
    }
}
