// SPDX-License-Identifier: Apache-2.0
//
// What a worker tells the other node about a tunnel: a client connection and one to a backend
// between which bytes pass unread.
//
//     tunnelled 7    positions (16), family 4 or 6 (1), own address, own port (2), backend's
//                    address, port (2), transport of the backend's side (24), length of the pool's
//                    name (1), name
//     rested 8       positions (16)
//     moved tunnel 9 transport of the client's side (24), of the backend's side (24)
//     positions      client's side: receive, send sequence (4 each); backend's side: the same

public import WireCore

/// Where both connections of a tunnel are while no bytes are on their way.
public struct TunnelPosition: Hashable, Sendable {
    /// The connection to the client.
    public var client: StreamPosition
    /// The connection to the backend.
    public var backend: StreamPosition

    /// Names both.
    public init(client: StreamPosition, backend: StreamPosition) {
        self.client = client
        self.backend = backend
    }
}

/// A tunnel as it is told once.
public struct ShadowTunnel: Hashable, Sendable {
    /// Where it is.
    public var position: TunnelPosition
    /// The ends of the connection to the backend; the local one moves between the nodes.
    public var key: ClientKey
    /// The state of the connection to the backend.
    public var transport: TransportState
    /// The pool of the backend.
    public var pool: String

    /// The longest name of a pool that is told.
    public static let poolByteCountMax = 255

    /// Names everything.
    public init(position: TunnelPosition, key: ClientKey, transport: TransportState, pool: String) {
        self.position = position
        self.key = key
        self.transport = transport
        self.pool = pool
    }
}

// MARK: - Bytes

extension [UInt8] {
    mutating func append(_ position: TunnelPosition) {
        for side in [position.client, position.backend] {
            appendBigEndian(side.receive)
            appendBigEndian(side.send)
        }
    }

    mutating func append(_ tunnel: ShadowTunnel) {
        append(tunnel.position)
        append(family: tunnel.key.family)
        append(address: tunnel.key.localAddress)
        appendBigEndian(tunnel.key.localPort)
        append(address: tunnel.key.remoteAddress)
        appendBigEndian(tunnel.key.remotePort)
        append(tunnel.transport)
        let name = tunnel.pool.utf8.prefix(ShadowTunnel.poolByteCountMax)
        append(UInt8(truncatingIfNeeded: name.count))
        self += name
    }
}

extension TunnelPosition {
    init(_ reader: inout ByteReader) throws(ShadowRecordFault) {
        guard let clientReceive = reader.readUInt32(), let clientSend = reader.readUInt32(),
            let backendReceive = reader.readUInt32(), let backendSend = reader.readUInt32()
        else { throw .truncated }
        self.init(
            client: StreamPosition(receive: clientReceive, send: clientSend),
            backend: StreamPosition(receive: backendReceive, send: backendSend))
    }
}

extension ShadowTunnel {
    init(_ reader: inout ByteReader) throws(ShadowRecordFault) {
        let position = try TunnelPosition(&reader)
        guard let byte = reader.readUInt8() else { throw .truncated }
        guard let family = ShadowRecord.family(byte) else { throw .outOfRange }
        let key = try ShadowRecord.readKey(&reader, family)
        let transport = try ShadowRecord.readTransport(&reader)
        guard let length = reader.readUInt8(), let name = reader.readBytes(Int(length)) else {
            throw .truncated
        }
        self.init(
            position: position, key: key, transport: transport,
            pool: String(decoding: name, as: UTF8.self))
    }
}
