// SPDX-License-Identifier: Apache-2.0
//
// The record of one client connection and of the request in progress on it. What happens to it is
// the worker's business.

internal import BalancerCore
internal import HTTPCore
internal import LinuxIO
internal import ReplicationCore
internal import WireCore

/// What the kernel said a socket is ready for and nobody has used up since.
///
/// Sockets are registered once, edge-triggered: an event is told once, so it is remembered here.
struct Readiness: OptionSet {
    let rawValue: UInt8

    static let readable = Readiness(rawValue: 1)
    static let writable = Readiness(rawValue: 2)
    /// The peer will send no more: reading goes on until the end of the stream is met.
    static let peerEnded = Readiness(rawValue: 4)
    /// Both directions are gone.
    static let broken = Readiness(rawValue: 8)

    @inline(__always)
    mutating func note(_ events: EpollEvents) {
        if events.contains(.readable) { insert(.readable) }
        if events.contains(.writable) { insert(.writable) }
        let isOver: EpollEvents = [.peerClosed, .hungUp, .failed]
        guard !events.isDisjoint(with: isOver) else { return }
        insert([.readable, .peerEnded])
        if !events.isDisjoint(with: [.hungUp, .failed]) { insert([.broken, .writable]) }
    }
}

/// Where a client connection is in its life.
enum ClientPhase: UInt8 {
    /// The peer has to say first whom it speaks for.
    case readingProxyHeader
    /// The client of a TCP listener waits for a backend.
    case opening
    /// A request, or the client of a TCP listener, waits in the line of its pool.
    case waiting
    /// A request waits before it is sent again.
    case pausing
    /// Bytes pass unread to a backend and back.
    case tunnelling
    /// Between requests, or a request head is arriving.
    case readingHead
    /// Nothing is read or written any more: it goes to the other node.
    case moving
    /// A request is with a backend, or on its way there.
    case exchanging
    /// A response is being written whose request is over; the connection closes after it, or goes
    /// on when `keepsAlive`.
    case finishing
    /// An answer of our own was given; the rest of the request's body is read and forgotten.
    case discarding
    /// Our side is closed; what the client still sends is thrown away, so that it can read the
    /// response instead of losing it to a reset.
    case lingering
}

/// One client connection.
struct ClientConnection: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<ClientConnection>

    let socket: FileDescriptor
    let listener: WorkerListener.Pointer
    /// The other end of the connection, or the client that a PROXY header names.
    var source: Endpoint
    /// The client that a trusted proxy named; meaningless without one.
    var foundAddress: IPAddress
    /// The other end is a proxy that may speak for clients.
    var isTrusted = false
    /// What the names of the request in progress are made of.
    var requestNumber: UInt64 = 0
    /// Its line in the access log, while a request is in progress and there is a log.
    var record: AccessRecord.Pointer?
    /// When the first byte of the request came; before that, since when it is awaited.
    var requestBegan: Instant
    /// How long the first byte was awaited.
    var idleMicroseconds: UInt32 = 0
    /// Bytes from the client; the head of the request in progress is kept until its response
    /// begins, so that it can be sent again.
    var input = ByteBuffer()
    /// Bytes for the client that the kernel did not take yet.
    var output = ByteBuffer()
    var phase = ClientPhase.readingHead
    var readiness: Readiness = []
    /// Listed to be looked at again in this turn.
    var isQueued = false
    /// More may come from a client whose last response is being written.
    var mustLinger = false
    /// Bytes thrown away since our side was closed.
    var lingeredByteCount: UInt32 = 0
    /// The deadline for the head counts since its first byte.
    var headBegan = true
    var headProgress = HeadProgress()

    // The request in progress.
    var method = RequestMethod.get
    var minorVersion: UInt8 = 1
    /// The connection goes on after the response.
    var keepsAlive = true
    /// The request body is chunked, here and towards the backend.
    var isBodyChunked = false
    /// Every byte of the request was handed to the upstream socket.
    var requestEnded = false
    /// `input` still holds every byte of the request that was received.
    var isRequestKept = true
    /// Bytes of its head.
    var headByteCount: UInt32 = 0
    /// What became of its attempts so far.
    var progress = AttemptProgress()
    /// What a client is told when no further attempt can be made.
    var failure = LocalResponse.serviceUnavailable
    var body = BodyDecoder(.none)
    /// Where trailers of a chunked request are kept; `nil` for any other.
    var trailers: UnsafeMutablePointer<TrailerHold>?
    /// The client takes trailers.
    var acceptsTrailers = false
    /// The route it follows; counts as a use of its table.
    var route: CompiledRoute.Pointer?
    var pool: UnsafeMutablePointer<WorkerPool>?
    /// Where the request belongs in its pool, whatever the load.
    var affinity = ClientAffinity()
    var backendIndex = 0
    var attempted = AttemptedBackends()
    /// Names the trial of a backend that the present attempt is; 0 when it is none.
    var trialTicket: UInt32 = 0
    var attemptBegan = Instant(nanoseconds: 0)
    var upstream: UpstreamConnection.Pointer?
    /// The connection of a second attempt made to be fast.
    var hedge: UpstreamConnection.Pointer?

    /// Requests begun on this connection.
    var requestCount: UInt32 = 0
    /// The client itself would go on after the response.
    var wantsMore = false
    var admission = ClientAdmission()
    var pace = ClientPace()

    /// Its neighbours in the line of its pool.
    var lineNext = WaitingLine.nobody
    var linePrevious = WaitingLine.nobody
    /// It is a client of a TCP listener.
    var isStream = false

    /// The request asks for a WebSocket and was sent on as such.
    var asksWebSocket = false
    /// The directions of a tunnel.
    var tunnel: TunnelProgress = []

    /// The connection that a PROXY header spoke for; freed with this record's connection.
    var proxied: UnsafeMutablePointer<ProxyHeader.Connection>?

    /// It came from the other node, and what its client had sent then must come again within this
    /// time of idling; meant until the first byte, and 0 as a rule.
    var expectedWithinMilliseconds: UInt16 = 0
    /// What the journal was told it is; `nil` when nobody was told.
    var journalKey: ClientKey?
    /// Where its streams are, and what the other node was told of it.
    var shadow = ClientShadow()

    /// The address of the client as text, made when it is asked for: an idle client needs none.
    var addressText: ClientAddressText {
        ClientAddressText(isTrusted ? foundAddress : source.address)
    }

    init(
        socket: consuming FileDescriptor, listener: WorkerListener.Pointer, peer: Endpoint,
        now: Instant
    ) {
        self.socket = socket
        self.listener = listener
        source = peer
        foundAddress = peer.address
        requestBegan = now
    }
}

/// An address as text in place.
struct ClientAddressText {
    /// The longest IPv6 text (RFC 5952) has 39 bytes.
    private var bytes = InlineArray<39, UInt8>(repeating: 0)
    private var count: UInt8 = 0

    init(_ address: IPAddress) {
        withUnsafeMutableBytes(of: &bytes) { room in
            count = UInt8(truncatingIfNeeded: AddressText.write(address, into: room) ?? 0)
        }
    }

    var description: String {
        String(decoding: (0..<Int(count)).map { bytes[$0] }, as: UTF8.self)
    }

    /// The text of the address that `pointer` leads to; valid as long as its memory is.
    @inline(__always)
    static func text(at pointer: UnsafePointer<ClientAddressText>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: pointer, count: Int(pointer.pointee.count))
    }
}
