// SPDX-License-Identifier: Apache-2.0
//
// From a request to a backend that takes it: choosing, connecting, and what happens when an
// attempt fails before the backend began to answer.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

/// How the beginning of a connection went.
enum ConnectOutcome {
    /// It is under way.
    case begun
    /// The backend, or the way to it, is at fault.
    case refused
    /// We have no descriptor, port or memory for it.
    case shortage
}

extension Errno {
    /// The process or the system has no descriptor left.
    var isDescriptorShortage: Bool { self == .tooManyFiles || self == .tooManyFilesInSystem }

    /// Something of our own ran out: descriptors, memory, local ports (connect(2)).
    var isShortage: Bool {
        let codes = [
            Errno.outOfMemory, .noBufferSpace, .noSpace, .addressNotAvailable, .wouldBlock,
        ]
        return isDescriptorShortage || codes.contains(self)
    }
}

extension Worker {
    /// Sends the request of a client to a backend that was not tried before.
    ///
    /// - Parameters:
    ///   - client: its request is in `input`, its pool is set.
    ///   - isHeadParsed: `request` still describes this client's request.
    mutating func attempt(_ client: ClientConnection.Pointer, isHeadParsed: Bool) {
        guard let pool = client.pointee.pool else { preconditionFailure("request without pool") }
        guard !buffers.isOverLimit || !client.pointee.attempted.isEmpty else {
            shed(client)
            return
        }
        while client.pointee.attempted.count < Self.attemptsMax {
            let choice = choose(client, pool)
            guard let index = choice.index else { break }
            let isRetry = !client.pointee.attempted.isEmpty
            client.pointee.attempted.insert(index)
            client.pointee.backendIndex = index
            client.pointee.attemptBegan = now
            noteChosen(client)
            let backend = pool.pointee.backends[index]
            backend.pointee.requestBegins()
            backend.pointee.count {
                $0.requests.add()
                if isRetry { $0.retries.add() }
            }
            if let upstream = takeIdle(backend, for: client.pointee.method)
                ?? takeOffered(backend)
            {
                join(client, upstream)
                sendRequest(client, upstream, isHeadParsed: isHeadParsed)
                return
            }
            switch connect(client, to: backend) {
            case .begun: return
            case .refused: attemptFailed(client, .refused)
            case .shortage:
                answerShortage(client)
                return
            }
        }
        answer(client, client.pointee.failure)
    }

    private func join(_ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer) {
        client.pointee.upstream = upstream
        upstream.pointee.client = client
    }

    /// An idle connection that is believed to be alive.
    ///
    /// A request that must not be sent twice looks first whether the backend has closed the
    /// connection meanwhile; others find out by sending and are sent again (RFC 9110 §9.2.2).
    private mutating func takeIdle(
        _ backend: WorkerBackend.Pointer, for method: RequestMethod
    ) -> UpstreamConnection.Pointer? {
        while let upstream = backend.pointee.idle.popNewest() {
            leaveIdle(upstream)
            guard reclaim(upstream) else {
                forget(upstream)
                continue
            }
            // Connections that have been through a wait since they were put here are known to
            // have been quiet then.
            let isKnown =
                !upstream.pointee.mustLook && !isBatchFull
                && upstream.pointee.idleTurn != turnNumber
            if isKnown && method.isIdempotent || SocketTransfer.isQuiet(upstream.pointee.socket) {
                return upstream
            }
            close(upstream)
        }
        return nil
    }

    /// Books that a connection is no longer in the pool of its backend.
    @inline(__always)
    mutating func leaveIdle(_ upstream: UpstreamConnection.Pointer) {
        upstream.pointee.phase = .awaitingHead
        idleUpstreamCount &-= 1
        upstream.pointee.backend.pointee.count { $0.idleConnections.subtract() }
    }

    /// Begins a connection for the request of a client.
    mutating func connect(
        _ client: ClientConnection.Pointer, to backend: WorkerBackend.Pointer
    ) -> ConnectOutcome {
        guard makeRoomForUpstream() else {
            count { $0.limits.upstreams.add() }
            return .shortage
        }
        while true {
            do throws(Errno) {
                let upstream = try openConnection(to: backend)
                join(client, upstream)
                arm(upstream, after: timeouts.connect)
                return .begun
            } catch {
                if error.isShortage {
                    if error.isDescriptorShortage, evictIdleUpstream() { continue }
                    count { $0.limits.descriptors.add() }
                    return .shortage
                }
                client.pointee.failure = .badGateway
                backend.pointee.count { $0.connectFailures.add() }
                return .refused
            }
        }
    }

    /// We ran out of something: no other backend would help, and none is to blame.
    private mutating func answerShortage(_ client: ClientConnection.Pointer) {
        endAttempt(client)
        noteCause(client, .exhausted)
        answer(client, .serviceUnavailable)
    }

    mutating func openConnection(
        to backend: WorkerBackend.Pointer
    ) throws(Errno) -> UpstreamConnection.Pointer {
        try register(StreamSocket.connect(to: backend.pointee.endpoint), backend)
    }

    /// Makes a connected, or connecting, socket one of this worker's upstream connections.
    mutating func register(
        _ socket: consuming FileDescriptor, _ backend: WorkerBackend.Pointer
    ) throws(Errno) -> UpstreamConnection.Pointer {
        let upstream = upstreams.insert(UpstreamConnection(socket: socket, backend: backend))
        backend.pointee.connectionCount &+= 1
        backend.pointee.connectionBegins()
        let slot = upstreams.slot(of: upstream)
        timers.prepare(clients.capacity &+ slot)
        let token = EventToken(
            .upstream, slot: slot, generation: upstreams.generation(of: upstream))
        do throws(Errno) {
            try epoll.add(
                upstream.pointee.socket, [.readable, .writable, .peerClosed, .edgeTriggered],
                token: token.rawValue)
        } catch {
            close(upstream)
            throw error
        }
        return upstream
    }

    /// Idle connections give way when descriptors are short.
    private mutating func makeRoomForUpstream() -> Bool {
        if clients.count &+ upstreams.count < setup.connectionMax { return true }
        return evictIdleUpstream()
    }

    /// The backend accepted, refused, or is still thinking.
    mutating func checkConnecting(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            preconditionFailure("connecting for nobody")
        }
        guard !upstream.pointee.readiness.isDisjoint(with: [.writable, .broken]) else { return }
        guard StreamSocket.pendingError(upstream.pointee.socket) == nil else {
            connectFailed(client, upstream, .badGateway)
            return
        }
        guard introduce(client, to: upstream) else {
            connectFailed(client, upstream, .badGateway)
            return
        }
        upstream.pointee.backend.pointee.count { $0.connections.add() }
        guard client.pointee.phase != .opening else {
            streamConnected(client, upstream)
            return
        }
        sendRequest(client, upstream, isHeadParsed: false)
    }

    /// The backend did not accept in time or refused: another one may.
    mutating func connectFailed(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ failure: LocalResponse
    ) {
        upstream.pointee.backend.pointee.count { $0.connectFailures.add() }
        client.pointee.failure = failure
        part(client, upstream)
        close(upstream)
        attemptFailed(client, failure == .gatewayTimeout ? .connectTimeout : .refused)
        if client.pointee.phase == .opening {
            attemptStream(client)
        } else {
            attempt(client, isHeadParsed: false)
        }
    }

    /// Books an attempt that got no answer.
    mutating func attemptFailed(
        _ client: ClientConnection.Pointer, _ failure: AttemptFailure = .reset
    ) {
        guard let pool = client.pointee.pool else { return }
        judge(client, failure)
        pool.pointee.backends[client.pointee.backendIndex].pointee.requestEnds()
    }

    /// Separates a client from its upstream connection; neither is closed.
    func part(_ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer) {
        client.pointee.upstream = nil
        upstream.pointee.client = nil
    }

    /// The connection ended before the first byte of a response.
    ///
    /// On a connection that served before, that is most likely the backend's idle timeout meeting
    /// our request half-way: the request is sent again, to the same backend on a fresh connection.
    /// A fresh connection that breaks says something about the backend: another one is tried. Each
    /// happens at most once, and only when the request is still here in full and either does no
    /// harm twice (RFC 9110 §9.2.2) or was certainly not seen.
    mutating func upstreamLost(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        hasEnded: Bool
    ) {
        if upstream.pointee.isReused, !upstream.pointee.responseBegan {
            noteIdleEnd(upstream, after: client.pointee.attemptBegan - upstream.pointee.idleSince)
        }
        guard !upstream.pointee.responseBegan, client.pointee.isRequestKept,
            client.pointee.method.isIdempotent || isUnseen(upstream, hasEnded: hasEnded)
        else {
            giveUp(client, upstream, .badGateway)
            return
        }
        if upstream.pointee.isReused, !client.pointee.wasReplayed {
            replay(client, upstream)
        } else if !client.pointee.wasRetried {
            client.pointee.wasRetried = true
            client.pointee.failure = .badGateway
            part(client, upstream)
            close(upstream)
            attemptFailed(client)
            attempt(client, isHeadParsed: false)
        } else {
            giveUp(client, upstream, .badGateway)
        }
    }

    /// True when the backend's program cannot have got a byte of the request.
    ///
    /// Nothing was written; or the backend had ended the connection before its kernel
    /// acknowledged a byte. The end itself carries the newest acknowledgement, so what is not
    /// covered by it was not there when the program closed. A reset proves nothing: it may follow
    /// bytes that were read, and its acknowledgement is not looked at.
    private func isUnseen(_ upstream: UpstreamConnection.Pointer, hasEnded: Bool) -> Bool {
        if !upstream.pointee.requestBegan { return true }
        guard hasEnded, upstream.pointee.requestByteCount < .max else { return false }
        let open = SocketTransfer.unacknowledgedByteCount(upstream.pointee.socket)
        return open >= Int(upstream.pointee.requestByteCount)
    }

    /// Sends a request again to the backend whose connection was just closing.
    private mutating func replay(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        let backend = upstream.pointee.backend
        part(client, upstream)
        close(upstream)
        client.pointee.wasReplayed = true
        noteReplayed(client)
        backend.pointee.count { $0.replays.add() }
        switch connect(client, to: backend) {
        case .begun: break
        case .refused:
            attemptFailed(client, .refused)
            attempt(client, isHeadParsed: false)
        case .shortage: answerShortage(client)
        }
    }

    /// Ends an attempt that no other one follows, and answers the client ourselves.
    mutating func giveUp(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ response: LocalResponse, _ failure: AttemptFailure = .reset
    ) {
        part(client, upstream)
        close(upstream)
        attemptFailed(client, failure)
        answer(client, response)
    }

    /// The client is gone or is cut off: nothing is said about the backend.
    mutating func abandon(_ client: ClientConnection.Pointer, byReset: Bool) {
        if let upstream = client.pointee.upstream {
            if byReset { cutTunnel(client, upstream) }
            part(client, upstream)
            close(upstream)
            endAttempt(client)
        }
        releasePool(client)
        if byReset { reset(client) } else { close(client) }
    }

    /// The backend no longer works on the request of this client.
    func endAttempt(_ client: ClientConnection.Pointer) {
        guard let pool = client.pointee.pool else { return }
        endTrial(client, .abandoned)
        let backend = pool.pointee.backends[client.pointee.backendIndex]
        if client.pointee.phase == .tunnelling {
            backend.pointee.tunnelEnds()
        } else {
            backend.pointee.requestEnds()
        }
    }

    /// The request of this client no longer refers to its pool.
    mutating func releasePool(_ client: ClientConnection.Pointer) {
        releaseRoute(client)
        guard let pool = client.pointee.pool else { return }
        client.pointee.pool = nil
        endUse(of: pool)
    }
}
