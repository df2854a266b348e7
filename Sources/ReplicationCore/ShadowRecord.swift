// SPDX-License-Identifier: Apache-2.0
//
// What a worker tells the other node about one client connection, as values and as bytes.
//
//     record     kind (1), length of what follows (2), connection (4), body
//     opened 1   level (1), family 4 or 6 (1), local address, local port (2), remote address,
//                remote port (2), transport (24), named client: 0, or family, address, port
//     closed 2   nothing
//     asked 3    receive sequence behind the head (4), head bytes (the rest)
//     busy 4     nothing
//     answered 5 receive sequence (4), send sequence (4)
//     moved 6    transport (24), unread bytes (the rest)
//     tunnelled 7, rested 8, moved tunnel 9: ShadowTunnel.swift
//     transport  send sequence (4), receive sequence (4), send window (4), receive window (4),
//                time stamp (4), segment (2), scales (1: send in the high half), options (1)
//
// All numbers are big-endian. Kinds that are not known, and bytes behind the known ones of others
// than asked and moved, belong to later versions and are skipped.

public import WireCore

/// How far a connection is carried over to the other node.
public enum ShadowLevel: UInt8, Hashable, Sendable, CaseIterable {
    /// It is reset.
    case reset = 0
    /// It goes on when no request is in flight.
    case idle = 1
    /// Requests that may be repeated are issued again, too.
    case requests = 2
}

/// One thing that happened to a client connection.
public enum ShadowRecord: Hashable, Sendable {
    /// It is there; `transport` is its state while no request is in flight.
    case opened(key: ClientKey, level: ShadowLevel, transport: TransportState, client: Endpoint?)
    /// It is no more.
    case closed
    /// A request that may be repeated was read up to the sequence number; its head, or nothing when
    /// only the client can repeat it.
    case asked(receiveSequence: UInt32, head: [UInt8])
    /// A request is in flight that nobody may repeat, or something else that cannot be carried.
    case busy
    /// The last byte of the answer is about to be given to the connection; then it is idle here.
    case answered(receiveSequence: UInt32, sendSequence: UInt32)
    /// It was ended here without a word: it is the reader's now, with bytes that the client sent
    /// and nobody has looked at.
    case moved(transport: TransportState, unread: [UInt8])
    /// Bytes pass unread between it and a backend from now on, and none are on their way.
    case tunnelled(ShadowTunnel)
    /// Bytes have passed, and none are on their way.
    case rested(TunnelPosition)
    /// It and the connection to its backend were ended here without a word while none were on their
    /// way: both are the reader's now.
    case movedTunnel(client: TransportState, backend: TransportState)
}

/// Why authenticated bytes are no records.
public enum ShadowRecordFault: Error, Hashable, Sendable {
    /// A record ends too early.
    case truncated
    /// A family, level or window scale that no version defined.
    case outOfRange
}

extension ShadowRecord {
    /// Kinds on the wire.
    public enum Kind: UInt8, Sendable {
        case opened = 1
        case closed = 2
        case asked = 3
        case busy = 4
        case answered = 5
        case moved = 6
        case tunnelled = 7
        case rested = 8
        case movedTunnel = 9
    }

    /// Bytes before the body of each record.
    public static let headerByteCount = 7
    /// Bytes of a transport state.
    public static let transportByteCount = 24
    /// The longest head of a request, and the most unread bytes, that are told.
    public static let contentByteCountMax = 16_384
    /// The longest record.
    public static let byteCountMax = headerByteCount + transportByteCount + contentByteCountMax

    /// Which kind it is.
    public var kind: Kind {
        switch self {
        case .opened: .opened
        case .closed: .closed
        case .asked: .asked
        case .busy: .busy
        case .answered: .answered
        case .moved: .moved
        case .tunnelled: .tunnelled
        case .rested: .rested
        case .movedTunnel: .movedTunnel
        }
    }
}

// MARK: - Writing

extension [UInt8] {
    /// Appends a record of the connection `id`.
    ///
    /// Content beyond ``ShadowRecord/contentByteCountMax`` must not be told.
    public mutating func append(_ record: ShadowRecord, of id: UInt32) {
        var body: [UInt8] = []
        switch record {
        case .opened(let key, let level, let transport, let client):
            body.append(level.rawValue)
            body.append(family: key.family)
            body.append(address: key.localAddress)
            body.appendBigEndian(key.localPort)
            body.append(address: key.remoteAddress)
            body.appendBigEndian(key.remotePort)
            body.append(transport)
            if let client {
                body.append(family: client.address.family)
                body.append(address: client.address)
                body.appendBigEndian(client.port)
            } else {
                body.append(0)
            }
        case .closed, .busy:
            break
        case .asked(let receiveSequence, let head):
            body.appendBigEndian(receiveSequence)
            body += head
        case .answered(let receiveSequence, let sendSequence):
            body.appendBigEndian(receiveSequence)
            body.appendBigEndian(sendSequence)
        case .moved(let transport, let unread):
            body.append(transport)
            body += unread
        case .tunnelled(let tunnel):
            body.append(tunnel)
        case .rested(let position):
            body.append(position)
        case .movedTunnel(let client, let backend):
            body.append(client)
            body.append(backend)
        }
        precondition(
            body.count <= ShadowRecord.byteCountMax - ShadowRecord.headerByteCount,
            "a record of \(body.count) bytes")
        append(record.kind.rawValue)
        appendBigEndian(UInt16(truncatingIfNeeded: 4 + body.count))
        appendBigEndian(id)
        self += body
    }

    mutating func append(_ state: TransportState) {
        appendBigEndian(state.sendSequence)
        appendBigEndian(state.receiveSequence)
        appendBigEndian(state.sendWindow)
        appendBigEndian(state.receiveWindow)
        appendBigEndian(state.timestamp)
        appendBigEndian(state.segmentByteCountMax)
        append(state.sendWindowScale << 4 | state.receiveWindowScale)
        append(state.options.rawValue)
    }

    mutating func append(family: AddressFamily) {
        append(family == .ipv4 ? 4 : 6)
    }
}

// MARK: - Reading

extension ShadowRecord {
    /// Calls `body` with each record in order; what came before a fault has been told.
    public static func forEach(
        in bytes: RawSpan, _ body: (_ id: UInt32, _ record: ShadowRecord) -> Void
    ) throws(ShadowRecordFault) {
        var reader = ByteReader(bytes)
        while let kind = reader.readUInt8() {
            guard let length = reader.readUInt16(), length >= 4, let id = reader.readUInt32(),
                let content = reader.readBytes(Int(length) - 4)
            else { throw .truncated }
            guard let kind = Kind(rawValue: kind) else { continue }
            body(id, try unsafe ShadowRecord(kind, content.span.bytes))
        }
    }

    private init(_ kind: Kind, _ content: RawSpan) throws(ShadowRecordFault) {
        var reader = ByteReader(content)
        switch kind {
        case .opened:
            self = try Self.readOpened(&reader)
        case .closed:
            self = .closed
        case .busy:
            self = .busy
        case .asked:
            guard let receiveSequence = reader.readUInt32(),
                let head = reader.readBytes(reader.remainingByteCount)
            else { throw .truncated }
            self = .asked(receiveSequence: receiveSequence, head: head)
        case .answered:
            guard let receiveSequence = reader.readUInt32(),
                let sendSequence = reader.readUInt32()
            else { throw .truncated }
            self = .answered(receiveSequence: receiveSequence, sendSequence: sendSequence)
        case .moved:
            let transport = try Self.readTransport(&reader)
            guard let unread = reader.readBytes(reader.remainingByteCount) else {
                throw .truncated
            }
            self = .moved(transport: transport, unread: unread)
        case .tunnelled:
            self = .tunnelled(try ShadowTunnel(&reader))
        case .rested:
            self = .rested(try TunnelPosition(&reader))
        case .movedTunnel:
            let client = try Self.readTransport(&reader)
            self = .movedTunnel(client: client, backend: try Self.readTransport(&reader))
        }
    }

    private static func readOpened(
        _ reader: inout ByteReader
    ) throws(ShadowRecordFault) -> ShadowRecord {
        guard let level = reader.readUInt8(), let family = reader.readUInt8() else {
            throw .truncated
        }
        guard let level = ShadowLevel(rawValue: level), let family = Self.family(family) else {
            throw .outOfRange
        }
        let key = try readKey(&reader, family)
        let transport = try readTransport(&reader)
        guard let named = reader.readUInt8() else { throw .truncated }
        guard named != 0 else {
            return .opened(key: key, level: level, transport: transport, client: nil)
        }
        guard let namedFamily = Self.family(named) else { throw .outOfRange }
        guard let address = reader.readAddress(namedFamily), let port = reader.readUInt16() else {
            throw .truncated
        }
        return .opened(
            key: key, level: level, transport: transport,
            client: Endpoint(address: address, port: port))
    }

    static func readKey(
        _ reader: inout ByteReader, _ family: AddressFamily
    ) throws(ShadowRecordFault) -> ClientKey {
        guard let local = reader.readAddress(family), let localPort = reader.readUInt16(),
            let remote = reader.readAddress(family), let remotePort = reader.readUInt16()
        else { throw .truncated }
        return ClientKey(
            localAddress: local, localPort: localPort, remoteAddress: remote,
            remotePort: remotePort)
    }

    static func readTransport(
        _ reader: inout ByteReader
    ) throws(ShadowRecordFault) -> TransportState {
        guard let sendSequence = reader.readUInt32(), let receiveSequence = reader.readUInt32(),
            let sendWindow = reader.readUInt32(), let receiveWindow = reader.readUInt32(),
            let timestamp = reader.readUInt32(), let segment = reader.readUInt16(),
            let scales = reader.readUInt8(), let options = reader.readUInt8()
        else { throw .truncated }
        let (sendScale, receiveScale) = (scales >> 4, scales & 15)
        guard max(sendScale, receiveScale) <= TransportState.windowScaleMax else {
            throw .outOfRange
        }
        return TransportState(
            sendSequence: sendSequence, receiveSequence: receiveSequence, sendWindow: sendWindow,
            receiveWindow: receiveWindow, timestamp: timestamp, segmentByteCountMax: segment,
            sendWindowScale: sendScale, receiveWindowScale: receiveScale,
            options: TransportState.Options(rawValue: options))
    }

    static func family(_ byte: UInt8) -> AddressFamily? {
        switch byte {
        case 4: .ipv4
        case 6: .ipv6
        default: nil
        }
    }
}
