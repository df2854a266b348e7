// SPDX-License-Identifier: Apache-2.0
//
// A request on its way to the backend, and the end of an exchange.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Sends the head, and the body as far as it has come, to a connection that is up.
    mutating func sendRequest(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        isHeadParsed: Bool
    ) {
        guard isHeadParsed || parseAgain(client) else {
            giveUp(client, upstream, .serviceUnavailable, .ours)
            return
        }
        upstream.pointee.phase = .awaitingHead
        noteConnected(client, upstream)
        upstream.pointee.requestBegan = false
        upstream.pointee.responseBegan = false
        upstream.pointee.sendFailed = false
        upstream.pointee.headProgress = HeadProgress()
        client.pointee.requestEnded = false
        awaitTrailers(client)
        client.pointee.acceptsTrailers =
            request.acceptsTrailers && client.pointee.minorVersion > 0
        sentByteCount = 0
        guard let headCount = writeUpstreamHead(client, upstream) else {
            // Our own limits contradict each other: the client's fault or not, it must not trap.
            giveUp(client, upstream, .internalServerError, .ours)
            return
        }
        let progress = relayRequest(headCount: headCount, client, upstream)
        upstream.pointee.requestBegan = true
        upstream.pointee.requestByteCount = UInt32(clamping: sentByteCount)
        arm(upstream, after: headSpan(of: client))
        if !client.pointee.body.isComplete {
            beginReceiving(client)
            beginExpecting(client)
        }
        switch progress {
        case .moved:
            if client.pointee.body.isComplete {
                client.pointee.requestEnded = true
            } else {
                _ = pumpRequest(client, upstream)
            }
        case .blocked, .held:
            break
        case .failed:
            upstream.pointee.requestBegan = false
            _ = sendingFailed(client, upstream)
        case .malformed(let fault):
            requestIsMalformed(client, upstream, fault)
        }
    }

    /// One step of the request towards the backend.
    private mutating func relayRequest(
        headCount: Int, _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> RelayProgress {
        guard let hold = client.pointee.trailers else {
            var noTrailers = TrailerHold(isWanted: false)
            return relay(
                headCount: headCount, from: &client.pointee.input, body: &client.pointee.body,
                trailers: &noTrailers, isChunked: false, framesChunks: false,
                to: upstream.pointee.socket, output: &upstream.pointee.output,
                readiness: &upstream.pointee.readiness)
        }
        return relay(
            headCount: headCount, from: &client.pointee.input, body: &client.pointee.body,
            trailers: &hold.pointee, isChunked: true, framesChunks: true,
            to: upstream.pointee.socket, output: &upstream.pointee.output,
            readiness: &upstream.pointee.readiness)
    }

    mutating func writeUpstreamHead(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Int? {
        let message = client.pointee.input.message
        let hostText = upstream.pointee.backend.pointee.hostText
        let scratch = headScratch
        return Self.withPeerText(client) { peer in
            var rewrite = RequestRewrite(
                clientAddress: peer, scheme: .http, fallbackHost: hostText)
            identify(client, &rewrite)
            // RFC 9110 §10.1.1: the backend decides whether it wants the body; its 100 is relayed.
            rewrite.forwardsExpect = true
            rewrite.forwardsUpgrade = forwardsUpgrade(client)
            if upstream.pointee.phase != .mirroring {
                if client.pointee.acceptsTrailers { rewrite.offersTrailers = true }
                if let hold = client.pointee.trailers, hold.pointee.isWanted {
                    rewrite.forwardsTrailers = true
                }
            }
            followRoute(of: client, &rewrite)
            hideSticky(client, &rewrite)
            // A copy has its connection for itself, and so has a client that a header names.
            rewrite.closesConnection =
                upstream.pointee.phase == .mirroring
                || !upstream.pointee.backend.pointee.mayShareConnections
            return request.writeUpstreamHead(from: message, rewrite: rewrite, into: scratch)
        }
    }

    /// Something changed for a client whose request is with a backend.
    mutating func driveExchange(_ client: ClientConnection.Pointer) {
        guard let upstream = client.pointee.upstream else {
            preconditionFailure("an exchange without an upstream connection")
        }
        guard !client.pointee.readiness.contains(.broken) else {
            clientIsGone(client)
            return
        }
        guard upstream.pointee.phase != .connecting else { return }
        if !client.pointee.requestEnded {
            guard pumpRequest(client, upstream) else { return }
        }
        switch upstream.pointee.phase {
        case .relayingBody: pumpResponse(upstream, client)
        case .awaitingHead: if case .failed = flush(client) { clientIsGone(client) }
        case .connecting, .idle, .tunnelling, .mirroring, .dropping: break
        }
    }

    /// Something changed for an upstream connection with a request on it.
    mutating func driveUpstream(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            preconditionFailure("an exchange without a client")
        }
        guard !upstream.pointee.isHedge else {
            driveHedge(upstream, client)
            return
        }
        if !client.pointee.requestEnded {
            guard pumpRequest(client, upstream) else { return }
        }
        if upstream.pointee.phase == .awaitingHead {
            readResponseHead(upstream, client)
        } else if upstream.pointee.phase == .relayingBody {
            pumpResponse(upstream, client)
        }
    }

    /// Moves the request towards the backend; false when the exchange is over or was changed.
    mutating func pumpRequest(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        guard !upstream.pointee.sendFailed else { return true }
        upstream.pointee.requestByteCount = .max
        if upstream.pointee.output.isAttached || !client.pointee.input.isEmpty {
            // The backend held it up, not the client.
            beginReceiving(client)
        }
        switch flush(upstream) {
        case .done: break
        case .blocked: return true
        case .failed: return sendingFailed(client, upstream)
        }
        var budget = Self.bytesPerTurnMax
        while true {
            if client.pointee.body.isComplete {
                client.pointee.requestEnded = true
                armAnswer(upstream, client)
                return true
            }
            if !client.pointee.input.isEmpty {
                let progress = relayRequest(headCount: 0, client, upstream)
                armAnswer(upstream, client)
                switch progress {
                case .moved: continue
                case .blocked, .held: return true
                case .failed: return sendingFailed(client, upstream)
                case .malformed(let fault):
                    requestIsMalformed(client, upstream, fault)
                    return false
                }
            }
            guard client.pointee.readiness.contains(.readable) else { return true }
            guard budget > 0 else {
                enqueue(client)
                return true
            }
            switch receiveBody(client) {
            case .bytes(let count): budget &-= count
            case .nothing: return true
            case .ended, .failed:
                clientIsGone(client)
                return false
            }
        }
    }

    /// The backend has to answer, or to go on with its answer.
    @inline(__always)
    private mutating func armAnswer(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        let isAnswering = upstream.pointee.phase == .relayingBody
        arm(upstream, after: isAnswering ? timeouts.streamIdle : headSpan(of: client))
    }

    /// How long the head of an answer may take.
    @inline(__always)
    func headSpan(of client: ClientConnection.Pointer) -> TimeSpan {
        client.pointee.pool?.pointee.rules.perTryTimeout ?? timeouts.responseHead
    }

    /// Reads body bytes of a request behind those kept, or over them when there is no room left.
    private mutating func receiveBody(_ client: ClientConnection.Pointer) -> ReadProgress {
        let remaining = client.pointee.body.remainingByteCount ?? BufferPool.largeWorthByteCount
        if !client.pointee.input.isAttached {
            client.pointee.input = buffers.takeSmall()
            client.pointee.isRequestKept = false
        } else if UInt64(client.pointee.input.room) < min(remaining, 4_096),
            !keepsMore(client)
        {
            // The request can no longer be repeated: a part of it is with one backend only.
            client.pointee.isRequestKept = false
            client.pointee.input.mark = client.pointee.input.start
            client.pointee.input.rewindIfEmpty()
        }
        if !client.pointee.isRequestKept, client.pointee.input.isEmpty {
            client.pointee.input.rewindIfEmpty()
            buffers.prepareForBody(
                &client.pointee.input, isLong: remaining > BufferPool.largeWorthByteCount)
        }
        let progress = receive(
            into: &client.pointee.input, from: client.pointee.socket,
            &client.pointee.readiness)
        if case .bytes(let count) = progress {
            client.pointee.listener.pointee.count { $0.bytesReceived.add(UInt64(count)) }
            client.pointee.shadow.noteReceived(count)
            noteReceived(client, count)
            noteBodyBytes(client, count)
        } else if client.pointee.input.isEmpty, !client.pointee.isRequestKept {
            buffers.giveBack(&client.pointee.input)
        }
        return progress
    }

    /// The backend takes no more of the request, but may have answered before it closed.
    private mutating func sendingFailed(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        upstream.pointee.sendFailed = true
        upstream.pointee.readiness.insert(.readable)
        buffers.giveBack(&upstream.pointee.output)
        enqueue(upstream)
        return true
    }

    /// A body that breaks a rule ends the request on both sides (RFC 9112 §7.1).
    private mutating func requestIsMalformed(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ fault: MessageFault
    ) {
        let isAnswered = upstream.pointee.phase == .relayingBody
        part(client, upstream)
        close(upstream)
        endAttempt(client)
        noteCause(client, .refused)
        if isAnswered {
            noteRequestFault(fault)
            releasePool(client)
            reset(client)
        } else {
            refuse(client, fault)
        }
    }

    /// The client went away before its response was complete.
    mutating func clientIsGone(_ client: ClientConnection.Pointer) {
        client.pointee.listener.pointee.count { $0.clientAborts.add() }
        noteCause(client, .clientAborted)
        abandon(client, byReset: false)
    }

    // MARK: The end of an exchange

    /// The response is complete and written.
    mutating func finishExchange(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        endExchange(upstream, client)
        nextRequest(client)
    }

    /// All of the answer is in `output` and waits there: the connection to the backend is free
    /// now, while what belongs to it is at hand.
    mutating func finishExchangeEarly(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        endExchange(upstream, client)
        client.pointee.phase = .finishing
        client.pointee.mustLinger = false
        arm(client, after: timeouts.bodyIdle)
    }

    private mutating func endExchange(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        part(client, upstream)
        endAttempt(client)
        releasePool(client)
        let mayReuse =
            upstream.pointee.keepsAlive && client.pointee.requestEnded
            && !upstream.pointee.sendFailed && upstream.pointee.input.isEmpty
            && upstream.pointee.backend.pointee.mayShareConnections
            && !upstream.pointee.tunnel.isMovable
        if mayReuse { park(upstream) } else { close(upstream) }
    }

    /// Puts a connection into the pool of its backend.
    mutating func park(_ upstream: UpstreamConnection.Pointer) {
        let backend = upstream.pointee.backend
        buffers.giveBack(&upstream.pointee.input)
        if upstream.pointee.readiness.contains(.readable),
            !upstream.pointee.readiness.contains(.peerEnded),
            SocketTransfer.isQuiet(upstream.pointee.socket)
        {
            upstream.pointee.readiness.remove(.readable)
        }
        // RFC 9112 §9.6: the backend is about to close, or sent bytes that nobody asked for.
        guard upstream.pointee.readiness.isDisjoint(with: [.readable, .peerEnded, .broken]),
            !backend.pointee.isRetired, backend.pointee.mayKeepIdle, !isDraining,
            backend.pointee.idle.hasRoom
        else {
            close(upstream)
            return
        }
        upstream.pointee.phase = .idle
        upstream.pointee.isReused = true
        upstream.pointee.idleTurn = turnNumber
        upstream.pointee.idleSince = now
        backend.pointee.idle.push(upstream)
        idleUpstreamCount &+= 1
        backend.pointee.count { $0.idleConnections.add() }
        armIdle(upstream)
    }

    /// An idle connection that is closed by the backend, or speaks unasked, leaves the pool.
    mutating func checkIdle(_ upstream: UpstreamConnection.Pointer) {
        guard
            !upstream.pointee.readiness.isDisjoint(with: [.readable, .peerEnded, .broken])
        else { return }
        if upstream.pointee.readiness.contains(.peerEnded) {
            noteIdleEnd(upstream, after: now - upstream.pointee.idleSince)
        }
        close(upstream)
    }

    /// Forgets an upstream connection; its socket is closed with its record.
    mutating func close(_ upstream: UpstreamConnection.Pointer) {
        let backend = upstream.pointee.backend
        if upstream.pointee.phase == .idle {
            backend.pointee.idle.remove(upstream)
            leaveIdle(upstream)
            guard reclaim(upstream) else {
                forget(upstream)
                return
            }
        }
        if upstream.pointee.phase == .mirroring { endMirror(upstream) }
        if let key = upstream.pointee.tunnel.journalKey { noteTunnelClosed(key) }
        timers.disarm(clients.capacity &+ upstreams.slot(of: upstream))
        buffers.giveBack(&upstream.pointee.input)
        buffers.giveBack(&upstream.pointee.output)
        buffers.giveBack(&upstream.pointee.trailers.memory)
        upstreams.remove(upstream)
        backend.pointee.connectionCount &-= 1
        backend.pointee.connectionEnds()
        noteRoom(in: backend.pointee.pool)
        if backend.pointee.isUnused { discard(backend) }
    }
}
