// SPDX-License-Identifier: Apache-2.0
//
// From a request to a backend that takes it: choosing, and the ends of attempts. Room and limits
// are in Worker+Breaker, waiting in Worker+Queue, connections in Worker+Connect, what follows a
// failure in Worker+Retry.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

/// What is remembered of the attempts of one request.
struct AttemptProgress {
    /// Retries begun.
    var retryCount: UInt8 = 0
    /// It was sent again on a fresh connection once; it is not a second time.
    var wasReplayed = false
    /// It is in the line of its pool.
    var isInLine = false
    /// It counts for `limits.retries`.
    var holdsRetry = false
    /// A second attempt may begin when the first one takes too long.
    var mayHedge = false
    /// An interim response was passed on: the client has seen bytes of an answer.
    var sawInterim = false
    /// When it began to wait for room first; 0 when it never did.
    var waitBegan = Instant(nanoseconds: 0)
}

extension Worker {
    /// Sends the request of a client to a backend that was not tried before, now or when there is
    /// room.
    ///
    /// - Parameters:
    ///   - client: its request is in `input`, its pool is set.
    ///   - isHeadParsed: `request` still describes this client's request.
    mutating func attempt(_ client: ClientConnection.Pointer, isHeadParsed: Bool) {
        let pool = poolInForce(client)
        if client.pointee.attempted.isEmpty, client.pointee.progress.retryCount == 0 {
            guard !buffers.isOverLimit else {
                shed(client)
                return
            }
            pool.pointee.requestBegan(now: now)
            // Who waits was here first.
            guard !pool.pointee.isWaitedFor else {
                wait(client, pool)
                return
            }
        }
        if !begin(client, pool, isHeadParsed: isHeadParsed) { wait(client, pool) }
    }

    /// Begins an attempt; false when there is no room for one.
    mutating func begin(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>,
        isHeadParsed: Bool
    ) -> Bool {
        switch claim(client, pool) {
        case .noRoom:
            return false
        case .nobody:
            answerWithoutBackend(client)
            return true
        case .granted:
            break
        }
        leaveLine(client)
        let earlier = client.pointee.attempted
        let backend = beginAttempt(client, pool)
        backend.pointee.count { $0.requests.add() }
        expectHedge(client, pool)
        if tunnelSource(of: client, pool) == nil,
            let upstream = takeIdle(backend, for: client.pointee.method) ?? takeOffered(backend)
        {
            join(client, upstream)
            sendRequest(client, upstream, isHeadParsed: isHeadParsed)
            return true
        }
        switch connect(client, to: backend) {
        case .begun: break
        case .refused: connectRefused(client, .refused)
        case .shortage: answerShortage(client)
        case .noRoom:
            endAttempt(client)
            client.pointee.attempted = earlier
            wait(client, pool)
        }
        return true
    }

    /// Notes which backend was chosen; `claim` has counted the request for it.
    @inline(__always)
    mutating func beginAttempt(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> WorkerBackend.Pointer {
        let index = client.pointee.backendIndex
        client.pointee.attempted.insert(index)
        client.pointee.attemptBegan = now
        noteChosen(client)
        let backend = pool.pointee.backends[index]
        if client.pointee.progress.retryCount > 0 { backend.pointee.count { $0.retries.add() } }
        return backend
    }

    /// Nobody may be given the request.
    private mutating func answerWithoutBackend(_ client: ClientConnection.Pointer) {
        if client.pointee.isStream {
            refuseStream(client, .serverAborted)
        } else {
            leaveLine(client)
            answer(client, client.pointee.failure)
        }
    }

    /// The pool that the client's request is for; after a reload the one that replaced it, as long
    /// as nothing of the request is with a backend.
    @inline(__always)
    mutating func poolInForce(
        _ client: ClientConnection.Pointer
    ) -> UnsafeMutablePointer<WorkerPool> {
        guard let pool = client.pointee.pool else { preconditionFailure("request without pool") }
        return pool.pointee.isRetired ? followReload(client, from: pool) : pool
    }

    // MARK: The end of an attempt

    /// Books an attempt that got no answer.
    mutating func attemptFailed(
        _ client: ClientConnection.Pointer, _ failure: AttemptFailure = .reset
    ) {
        guard let pool = client.pointee.pool else { return }
        judge(client, failure)
        let backend = pool.pointee.backends[client.pointee.backendIndex]
        backend.pointee.requestEnds()
        noteRoom(in: backend.pointee.pool)
    }

    /// The backend no longer works on the request of this client.
    mutating func endAttempt(_ client: ClientConnection.Pointer) {
        guard let pool = client.pointee.pool else { return }
        endTrial(client, .abandoned)
        let backend = pool.pointee.backends[client.pointee.backendIndex]
        if client.pointee.phase == .tunnelling {
            backend.pointee.tunnelEnds()
        } else {
            backend.pointee.requestEnds()
        }
        noteRoom(in: backend.pointee.pool)
    }

    /// Separates a client from its upstream connection; neither is closed.
    func part(_ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer) {
        client.pointee.upstream = nil
        upstream.pointee.client = nil
    }

    /// Ends an attempt that no other one follows, and answers the client ourselves.
    mutating func giveUp(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ response: LocalResponse, _ failure: AttemptFailure = .reset
    ) {
        guard client.pointee.hedge == nil else {
            attemptOfTwoIsLost(client, upstream, failure)
            return
        }
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

    /// The request of this client no longer refers to its pool.
    mutating func releasePool(_ client: ClientConnection.Pointer) {
        leaveLine(client)
        if client.pointee.hedge != nil { cancelHedge(client) }
        releaseRoute(client)
        guard let pool = client.pointee.pool else { return }
        if client.pointee.progress.holdsRetry { endRetry(client) }
        client.pointee.pool = nil
        endUse(of: pool)
    }
}
