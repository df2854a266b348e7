// SPDX-License-Identifier: Apache-2.0
//
// What is known here of one client connection of the other node.
//
//                   asked             answered
//        idle  ------------->  asked ----------> idle, the request is kept
//          ^  \                                     |
// answered |   \ busy          moved                | asked, busy: the kept request is forgotten
//          |    v              (from idle)
//        busy                  moved: nothing follows
//
// From any of them a connection may become a tunnel, which stays one.

public import WireCore

/// Where a connection is in both of its streams: the next byte to read and the next to write.
public struct StreamPosition: Hashable, Sendable {
    /// Sequence number of the next byte from the client.
    public var receive: UInt32
    /// Sequence number of the next byte to the client.
    public var send: UInt32

    /// Names both numbers.
    public init(receive: UInt32, send: UInt32) {
        self.receive = receive
        self.send = send
    }
}

/// A request that may be issued again.
public struct ShadowRequest: Hashable, Sendable {
    /// Where the connection was before it.
    public var before: StreamPosition
    /// Sequence number behind its head.
    public var receiveEnd: UInt32
    /// Its head; empty when only the client can repeat it.
    public var head: [UInt8]

    /// Names everything.
    public init(before: StreamPosition, receiveEnd: UInt32, head: [UInt8]) {
        self.before = before
        self.receiveEnd = receiveEnd
        self.head = head
    }
}

/// One client connection of the peer.
public struct ConnectionShadow: Hashable, Sendable {
    /// What the connection does.
    public enum Phase: Hashable, Sendable {
        /// Nothing is owed to the client, as far as the peer said.
        case idle
        /// The answer to ``ConnectionShadow/request`` is owed.
        case asked
        /// Something is in flight that nobody may repeat.
        case busy
        /// The peer has left it to this node, with bytes that were received and not looked at.
        case moved(unread: [UInt8])
        /// Bytes pass unread to ``ConnectionShadow/tunnel`` and back; the peer may have left it to
        /// this node.
        case tunnelling
    }

    /// The other connection of a tunnel.
    public struct Tunnel: Hashable, Sendable {
        /// Its ends; the remote one is the backend.
        public let key: ClientKey
        /// The pool of the backend.
        public let pool: String
        /// Its state when no bytes were on their way.
        public fileprivate(set) var transport: TransportState
        /// When the peer's word about its clock came.
        public fileprivate(set) var heardAt: Instant

        /// Where it was then.
        public var position: StreamPosition {
            StreamPosition(receive: transport.receiveSequence, send: transport.sendSequence)
        }

        /// The state to re-create it with.
        public func transport(now: Instant) -> TransportState {
            var state = transport
            state.advanceTimestamp(
                by: now - heardAt, marginMilliseconds: ConnectionShadow.marginMilliseconds)
            return state
        }
    }

    /// Its ends.
    public let key: ClientKey
    /// How far it is carried over.
    public let level: ShadowLevel
    /// The client that a PROXY header named.
    public let namedClient: Endpoint?
    /// Its state with the numbers of ``position``.
    public private(set) var transport: TransportState
    /// When the peer's word about `transport` came; its clock goes on from there.
    public private(set) var heardAt: Instant
    /// What it does.
    public private(set) var phase = Phase.idle
    /// The peer has closed it without a word: nobody but this node can end it.
    public private(set) var isMoved = false
    /// The request in flight or, while idle, the last one: its answer may not have arrived.
    public private(set) var request: ShadowRequest?
    /// The connection to a backend with which bytes are exchanged unread.
    public private(set) var tunnel: Tunnel?

    /// Makes the shadow of an idle connection.
    public init(
        key: ClientKey, level: ShadowLevel, transport: TransportState, namedClient: Endpoint?,
        heardAt: Instant
    ) {
        self.key = key
        self.level = level
        self.transport = transport
        self.namedClient = namedClient
        self.heardAt = heardAt
    }

    /// Where it was when nothing was in flight.
    public var position: StreamPosition {
        StreamPosition(receive: transport.receiveSequence, send: transport.sendSequence)
    }

    /// The client has surely received everything before this number.
    public var deliveredSequence: UInt32 { request?.before.send ?? position.send }

    /// Bytes of the client that it holds.
    public var contentByteCount: Int {
        let head = request?.head.count ?? 0
        guard case .moved(let unread) = phase else { return head }
        return head + unread.count
    }

    /// The state to re-create it with at `position`, so that the client takes its time stamps for
    /// newer than all it has seen.
    public func transport(at position: StreamPosition, now: Instant) -> TransportState {
        var state = transport
        state.receiveSequence = position.receive
        state.sendSequence = position.send
        state.advanceTimestamp(by: now - heardAt, marginMilliseconds: Self.marginMilliseconds)
        return state
    }

    /// What the clock of a re-created connection is ahead by: longer than a record is on its way.
    ///
    /// A node that was frozen reads late what its peer wrote meanwhile. Stamps that are behind make
    /// the client drop every segment (RFC 7323 §5.3); stamps that are ahead cost nothing, and
    /// thousands of takeovers of one connection stay within the 24 days that may be compared.
    public static let marginMilliseconds = 300_000

    mutating func ask(_ receiveEnd: UInt32, _ head: [UInt8]) {
        // Something else was read before the head: what, nobody knows any more.
        guard head.isEmpty || receiveEnd &- position.receive == UInt32(clamping: head.count) else {
            becomeBusy()
            return
        }
        request = ShadowRequest(before: position, receiveEnd: receiveEnd, head: head)
        phase = .asked
    }

    mutating func becomeBusy() {
        request = nil
        tunnel = nil
        phase = .busy
    }

    mutating func answer(_ receive: UInt32, _ send: UInt32) {
        // An answer without the request that it is for: what was kept is older.
        if request?.receiveEnd != receive { request = nil }
        transport.receiveSequence = receive
        transport.sendSequence = send
        phase = .idle
    }

    /// Without `unread` there was no room for what was unread.
    mutating func move(_ transport: TransportState, unread: [UInt8]?, at now: Instant) {
        self.transport = transport
        heardAt = now
        request = nil
        isMoved = true
        phase = unread.map { .moved(unread: $0) } ?? .busy
    }

    // MARK: - Tunnels

    /// The connection to the backend, if there is one.
    var tunnelKeys: [ClientKey] { tunnel.map { [$0.key] } ?? [] }

    mutating func becomeTunnel(_ told: ShadowTunnel, at now: Instant) {
        request = nil
        phase = .tunnelling
        tunnel = Tunnel(
            key: told.key, pool: told.pool, transport: told.transport, heardAt: now)
        rest(told.position)
    }

    mutating func rest(_ position: TunnelPosition) {
        guard tunnel != nil else {
            becomeBusy()
            return
        }
        transport.receiveSequence = position.client.receive
        transport.sendSequence = position.client.send
        tunnel?.transport.receiveSequence = position.backend.receive
        tunnel?.transport.sendSequence = position.backend.send
    }

    mutating func moveTunnel(
        client: TransportState, backend: TransportState, at now: Instant
    ) {
        isMoved = true
        guard tunnel != nil else {
            becomeBusy()
            return
        }
        transport = client
        heardAt = now
        tunnel?.transport = backend
        tunnel?.heardAt = now
    }
}
