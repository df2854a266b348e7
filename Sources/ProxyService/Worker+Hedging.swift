// SPDX-License-Identifier: Apache-2.0
//
// Second attempts made to be fast: when an answer is late, the same request goes to another backend
// too; the first good head wins and the other connection is closed. Only for requests that do no
// harm twice (RFC 9110 §9.2.2) and have no body, within a share of the traffic of its own.
//
// The record of the client describes the first attempt, that of the second connection the second
// one; whoever is left is the first attempt from then on.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension WorkerPool {
    /// How long a first attempt may take; `nil` when that is not known, or nobody wants to know.
    var hedgeSpan: TimeSpan? {
        guard let hedging = rules.hedging else { return nil }
        return hedging.after ?? hedgeDelay.span
    }
}

extension Worker {
    // MARK: When

    /// Sets the time at which the attempt that begins is worth a second one.
    @inline(__always)
    mutating func expectHedge(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        if pool.pointee.rules.hedging != nil { armHedge(client, pool) }
    }

    private mutating func armHedge(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) {
        client.pointee.progress.mayHedge = false
        guard client.pointee.progress.retryCount == 0, client.pointee.method.isIdempotent,
            hasNoBody(client), client.pointee.trialTicket == 0, !isTied(client, pool)
        else { return }
        pool.pointee.hedgeBudget.requestBegan(now: now)
        guard let span = pool.pointee.hedgeSpan else { return }
        client.pointee.progress.mayHedge = true
        arm(client, after: span)
    }

    /// True when a request consists of its head alone.
    ///
    /// A body that was sent before is complete too: bytes behind the head tell of it.
    private func hasNoBody(_ client: ClientConnection.Pointer) -> Bool {
        client.pointee.body.isComplete
            && client.pointee.input.start &- client.pointee.input.mark
                == Int(client.pointee.headByteCount)
    }

    /// True when only one backend knows this client: another one is fast and of no use.
    private func isTied(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Bool {
        pool.pointee.affinity != nil && client.pointee.affinity.tie == .tied
    }

    /// Learns how long answers take.
    @inline(__always)
    func learnHedgeDelay(_ client: ClientConnection.Pointer) {
        guard let pool = client.pointee.pool, pool.pointee.rules.hedging != nil else { return }
        pool.pointee.hedgeDelay.learn(now - client.pointee.attemptBegan)
    }

    /// The answer is late: another backend gets the request too, if it may.
    mutating func hedge(
        _ client: ClientConnection.Pointer, _ first: UpstreamConnection.Pointer
    ) {
        client.pointee.progress.mayHedge = false
        arm(client, after: timeouts.bodyIdle)
        let isUnanswered =
            (first.pointee.phase == .awaitingHead || first.pointee.phase == .connecting)
            && !first.pointee.responseBegan
        guard isUnanswered, client.pointee.hedge == nil, client.pointee.isRequestKept,
            !client.pointee.progress.sawInterim, !buffers.isTight, hasNoBody(client),
            client.pointee.trialTicket == 0,
            let pool = client.pointee.pool, !pool.pointee.isRetired, !pool.pointee.isWaitedFor,
            parseAgain(client), !request.requestsUpgrade
        else { return }
        // The first attempt may still be connecting.
        client.pointee.acceptsTrailers =
            request.acceptsTrailers && client.pointee.minorVersion > 0
        guard pool.pointee.hedgeBudget.take(now: now) else {
            pool.pointee.count { $0.hedges.overBudget.add() }
            return
        }
        if !beginHedge(client, pool) { pool.pointee.hedgeBudget.giveBack(now: now) }
    }

    /// Begins a second attempt; false when there is nobody, or no room, for it.
    private mutating func beginHedge(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Bool {
        let choice = pool.pointee.choose(now: now, excluding: client.pointee.attempted)
        guard case .chosen(let index) = choice else { return false }
        let backend = pool.pointee.backends[index]
        guard backend.pointee.takePlace(poolMax: pool.pointee.requestsMax) == .taken else {
            return false
        }
        let ready = takeIdle(backend, for: client.pointee.method) ?? takeOffered(backend)
        guard let upstream = ready ?? openHedge(backend) else {
            backend.pointee.requestEnds()
            noteRoom(in: backend.pointee.pool)
            return false
        }
        client.pointee.attempted.insert(index)
        client.pointee.hedge = upstream
        upstream.pointee.client = client
        upstream.pointee.isHedge = true
        upstream.pointee.attemptIndex = index
        upstream.pointee.attemptBegan = now
        backend.pointee.count { $0.requests.add() }
        pool.pointee.count { $0.hedges.begun.add() }
        client.pointee.record?.pointee.attemptCount &+= 1
        if ready != nil {
            sendHedge(client, upstream)
        } else {
            arm(upstream, after: timeouts.connect)
        }
        return true
    }

    private mutating func openHedge(
        _ backend: WorkerBackend.Pointer
    ) -> UpstreamConnection.Pointer? {
        guard clients.count &+ upstreams.count < setup.connectionMax else { return nil }
        return (try? openConnection(to: backend)) ?? nil
    }

    // MARK: Its life

    /// The connection of a second attempt is up.
    mutating func hedgeConnected(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            preconditionFailure("a second attempt for nobody")
        }
        guard parseAgain(client) else {
            attemptOfTwoIsLost(client, upstream, .ours)
            return
        }
        sendHedge(client, upstream)
    }

    /// Sends the request that `request` describes.
    private mutating func sendHedge(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        upstream.pointee.phase = .awaitingHead
        upstream.pointee.requestBegan = true
        upstream.pointee.responseBegan = false
        upstream.pointee.sendFailed = false
        upstream.pointee.headProgress = HeadProgress()
        guard let headCount = writeUpstreamHead(client, upstream) else {
            attemptOfTwoIsLost(client, upstream, .ours)
            return
        }
        let progress = relayHead(
            headCount, to: upstream.pointee.socket, output: &upstream.pointee.output,
            readiness: &upstream.pointee.readiness)
        if case .failed = progress {
            attemptOfTwoIsLost(client, upstream, .reset)
            return
        }
        arm(upstream, after: headSpan(of: client))
    }

    /// Something changed for the connection of a second attempt.
    mutating func driveHedge(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        if case .failed = flush(upstream) {
            // It may have answered before it closed.
            upstream.pointee.sendFailed = true
            upstream.pointee.readiness.insert(.readable)
            buffers.giveBack(&upstream.pointee.output)
        }
        readResponseHead(upstream, client)
    }

    // MARK: Who wins

    /// A final head has come to one of two attempts; true when it is the answer.
    ///
    /// A bad one loses as long as the other may do better.
    mutating func settleHedge(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        headByteCount: Int
    ) -> Bool {
        guard response.status < 500 else {
            lose(upstream, client, headByteCount: headByteCount)
            return false
        }
        if upstream.pointee.isHedge {
            client.pointee.pool?.pointee.count { $0.hedges.won.add() }
            cancelFirst(client)
        } else {
            cancelHedge(client)
        }
        return true
    }

    /// One of two attempts was answered badly.
    private mutating func lose(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        headByteCount: Int
    ) {
        let isHedge = upstream.pointee.isHedge
        if isHedge { swapAttempts(client, upstream) }
        bookAnswer(upstream, client)
        endAttempt(client)
        if isHedge { swapAttempts(client, upstream) }
        detach(upstream, from: client)
        drop(
            upstream, headByteCount: headByteCount,
            mayKeep: !upstream.pointee.sendFailed && !upstream.pointee.output.isAttached)
    }

    /// One of two attempts got no answer, or a broken one: the other goes on.
    mutating func attemptOfTwoIsLost(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ failure: AttemptFailure
    ) {
        let isHedge = upstream.pointee.isHedge
        if isHedge { swapAttempts(client, upstream) }
        attemptFailed(client, failure)
        if isHedge { swapAttempts(client, upstream) }
        detach(upstream, from: client)
        close(upstream)
    }

    /// The second attempt has answered: the first one is worth nothing any more.
    private mutating func cancelFirst(_ client: ClientConnection.Pointer) {
        guard let first = client.pointee.upstream else { return }
        // That it took so long is all that is known of it.
        client.pointee.pool?.pointee.balancer.finished(
            index: client.pointee.backendIndex, latency: now - client.pointee.attemptBegan,
            failed: false, now: now)
        endAttempt(client)
        detach(first, from: client)
        close(first)
    }

    /// The first attempt has answered, or the request is over; nothing if there is no second one.
    mutating func cancelHedge(_ client: ClientConnection.Pointer) {
        guard let hedge = client.pointee.hedge else { return }
        swapAttempts(client, hedge)
        endAttempt(client)
        swapAttempts(client, hedge)
        detach(hedge, from: client)
        close(hedge)
    }

    /// Separates one of two attempts from the client; the other is the first attempt then.
    private mutating func detach(
        _ upstream: UpstreamConnection.Pointer, from client: ClientConnection.Pointer
    ) {
        upstream.pointee.client = nil
        guard !upstream.pointee.isHedge else {
            upstream.pointee.isHedge = false
            client.pointee.hedge = nil
            return
        }
        client.pointee.upstream = nil
        guard let hedge = client.pointee.hedge else { return }
        client.pointee.hedge = nil
        hedge.pointee.isHedge = false
        swapAttempts(client, hedge)
        client.pointee.upstream = hedge
        client.pointee.requestEnded = !hedge.pointee.output.isAttached
        noteHedgeIsLeft(client, hedge)
    }

    /// Makes the second attempt the one that the client's record describes, or the first one again.
    private mutating func swapAttempts(
        _ client: ClientConnection.Pointer, _ hedge: UpstreamConnection.Pointer
    ) {
        swap(&client.pointee.backendIndex, &hedge.pointee.attemptIndex)
        swap(&client.pointee.attemptBegan, &hedge.pointee.attemptBegan)
    }

    /// The access log tells of the backend that answers.
    private mutating func noteHedgeIsLeft(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard let record = client.pointee.record, let pool = client.pointee.pool else { return }
        let backend = pool.pointee.backends[client.pointee.backendIndex]
        AccessRecord.setNames(
            of: record, pool: pool.pointee.nameText, backend: backend.pointee.nameText)
        record.pointee.chosen = client.pointee.attemptBegan
        record.pointee.isReused = upstream.pointee.isReused
        if upstream.pointee.phase == .connecting {
            record.pointee.connected = AccessRecord.never
            record.pointee.phase = .connecting
        } else {
            record.pointee.connected = client.pointee.attemptBegan
            record.pointee.phase = .head
        }
    }
}
