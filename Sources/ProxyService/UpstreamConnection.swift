// SPDX-License-Identifier: Apache-2.0
//
// The record of one connection to a backend and of the response in progress on it.

internal import HTTPCore
internal import LinuxIO
internal import WireCore

/// Where an upstream connection is in its life.
enum UpstreamPhase: UInt8 {
    /// Waiting for the backend to accept.
    case connecting
    /// A request is being sent or was sent; no final response head has come.
    case awaitingHead
    /// A response body is passing.
    case relayingBody
    /// In the pool.
    case idle
    /// Bytes pass unread.
    case tunnelling
    /// A copy of a request is on its way, or its answer is being thrown away; there is no client.
    case mirroring
    /// The rest of an answer that nobody gets is read; there is no client.
    case dropping
}

/// One connection to a backend.
struct UpstreamConnection: ~Copyable {
    typealias Pointer = UnsafeMutablePointer<UpstreamConnection>

    let socket: FileDescriptor
    let backend: WorkerBackend.Pointer
    var client: ClientConnection.Pointer?
    /// Bytes from the backend.
    var input = ByteBuffer()
    /// Bytes for the backend that the kernel did not take yet.
    var output = ByteBuffer()
    var phase = UpstreamPhase.connecting
    var readiness: Readiness = []
    /// Listed to be looked at again in this turn.
    var isQueued = false
    /// It served a request before the present one.
    var isReused = false
    /// A byte of the present request was written to it.
    var requestBegan = false
    /// Bytes of the present request handed to the kernel, the largest number when its body went
    /// on later: whether the backend saw any of them can no longer be told then.
    var requestByteCount = UInt32.max
    /// A byte of the present response was read from it.
    var responseBegan = false
    /// The backend takes no more of the request; its answer may still come.
    var sendFailed = false
    /// The backend lets the connection live after this response.
    var keepsAlive = false
    /// The response body is chunked as it arrives.
    var isBodyChunked = false
    /// The response body goes to the client in chunks.
    var framesChunks = false
    var headProgress = HeadProgress()
    var body = BodyDecoder(.none)
    var trailers = TrailerHold(isWanted: false)
    /// It must be looked at before it is used again: its last answer had no body, and a backend
    /// that sent one nevertheless would have it taken for the next answer.
    var mustLook = false
    /// The turn in which it was put into the pool.
    var idleTurn: UInt32 = 0
    var idleSince = Instant(nanoseconds: 0)
    /// It is the second attempt of its client's request.
    var isHedge = false
    /// The backend's index in the pool, and when the attempt began; for a second attempt.
    var attemptIndex = 0
    var attemptBegan = Instant(nanoseconds: 0)
    /// The route whose request it copies; counts as a use of its table.
    var mirrored: CompiledRoute.Pointer?
    /// Bytes of an answer thrown away.
    var forgottenByteCount: UInt32 = 0
    /// What the other node is told of it when it is a tunnel's side.
    var tunnel = TunnelShadow()
    /// Other workers may take it.
    var offer = DescriptorExchange.Offer.none
    var idleNewer: Pointer?
    var idleOlder: Pointer?

    init(socket: consuming FileDescriptor, backend: WorkerBackend.Pointer) {
        self.socket = socket
        self.backend = backend
    }

    /// Ends the record of a connection that another worker has.
    consuming func relinquishSocket() {
        socket.relinquish()
    }
}
