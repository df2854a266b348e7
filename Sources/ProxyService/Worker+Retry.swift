// SPDX-License-Identifier: Apache-2.0
//
// What follows a failed attempt: another one, or the answer. A request goes out again only when it
// is still here in full, the client has not seen a byte of an answer, and a second time does no
// harm or the first was certainly not seen; and only as far as the pool's budget and limits go, so
// that a backend that fails does not turn into a storm.
//
// A replay is no retry: a connection that idled was closed by the backend just as the request came,
// which says nothing about the backend. It goes to the same backend on a fresh connection, once,
// outside of budget and limits, and is counted on its own (`replays`).

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Synchronization
internal import Telemetry
internal import WireCore

/// Why a request might be sent again.
enum RetryReason {
    /// No connection came about.
    case connectFailure
    /// The backend did not accept in time.
    case connectTimeout
    /// The connection broke before an answer began.
    case reset
    /// The answer is one that may be dropped.
    case badAnswer
    /// No answer began in time.
    case timeout

    /// What the configuration must allow; `nil` when that depends on the answer and was checked.
    var condition: RetryConditions? {
        switch self {
        case .connectFailure, .connectTimeout: .connectFailure
        case .reset: .reset
        case .badAnswer: nil
        case .timeout: .timeout
        }
    }

    /// A backend that was too slow is not asked once more while it may still work on the request.
    var mayRepeatHere: Bool { self != .connectTimeout && self != .timeout }
}

extension Worker {
    /// The longest `Retry-After` that a retry waits for; a longer one is the client's to know.
    static let retryAfterMax = TimeSpan.seconds(1)

    // MARK: Lost connections

    /// The connection ended before the first byte of a response.
    ///
    /// On a connection that served before, that is most likely the backend's idle timeout meeting
    /// our request half-way: the request is sent again, to the same backend on a fresh connection.
    /// A fresh connection that breaks says something about the backend: another one is tried.
    mutating func upstreamLost(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        hasEnded: Bool
    ) {
        if upstream.pointee.isReused, !upstream.pointee.responseBegan {
            noteIdleEnd(upstream, after: client.pointee.attemptBegan - upstream.pointee.idleSince)
        }
        guard !upstream.pointee.responseBegan, client.pointee.hedge == nil else {
            giveUp(client, upstream, .badGateway)
            return
        }
        let isSafe =
            isRepeatable(client)
            && (client.pointee.method.isIdempotent || isUnseen(upstream, hasEnded: hasEnded))
        if isSafe, upstream.pointee.isReused, !client.pointee.progress.wasReplayed {
            replay(client, upstream)
            return
        }
        attemptIsLost(
            client, upstream, .reset, .reset, isSafe: isSafe, response: .badGateway)
    }

    /// True when the backend's program cannot have got a byte of the request.
    ///
    /// Nothing was written; or the backend had ended the connection before its kernel
    /// acknowledged a byte. The end itself carries the newest acknowledgement, so what is not
    /// covered by it was not there when the program closed. A reset proves nothing: it may follow
    /// bytes that were read, and its acknowledgement is not looked at.
    private mutating func isUnseen(_ upstream: UpstreamConnection.Pointer, hasEnded: Bool) -> Bool {
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
        client.pointee.progress.wasReplayed = true
        noteReplayed(client)
        backend.pointee.count { $0.replays.add() }
        switch connect(client, to: backend) {
        case .begun: break
        case .refused: connectRefused(client, .refused)
        case .shortage: answerShortage(client)
        case .noRoom:
            // Somebody else has the place of the connection that was closing. Nothing is held
            // against the backend: it may be the one that has room later.
            endAttempt(client)
            client.pointee.attempted = AttemptedBackends()
            wait(client, poolInForce(client))
        }
    }

    /// No answer began in time.
    mutating func answerIsLate(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard client.pointee.hedge == nil else {
            attemptOfTwoIsLost(client, upstream, .timeout)
            return
        }
        let isSafe =
            !upstream.pointee.responseBegan && client.pointee.method.isIdempotent
            && isRepeatable(client)
        attemptIsLost(
            client, upstream, .timeout, .timeout, isSafe: isSafe, response: .gatewayTimeout)
    }

    private mutating func attemptIsLost(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ reason: RetryReason, _ failure: AttemptFailure, isSafe: Bool, response: LocalResponse
    ) {
        part(client, upstream)
        close(upstream)
        attemptFailed(client, failure)
        client.pointee.failure = response
        if triesAgain(client, reason, isSafe: isSafe) { return }
        answer(client, response)
    }

    // MARK: Answers that are dropped

    /// Sends the request again instead of passing on the answer whose head is in `response`; false
    /// when the answer goes to the client.
    mutating func retriesInstead(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        headByteCount: Int
    ) -> Bool {
        guard let pool = client.pointee.pool,
            pool.pointee.rules.conditions.contains(status: response.status)
        else { return false }
        let isSafe =
            client.pointee.method.isIdempotent && isRepeatable(client)
            && !client.pointee.progress.sawInterim
        let admitted = admitRetry(
            client, .badAnswer, isSafe: isSafe,
            retryAfter: retryAfter(in: upstream.pointee.input.message))
        guard let delay = admitted else { return false }
        bookAnswer(upstream, client)
        part(client, upstream)
        endAttempt(client)
        drop(
            upstream, headByteCount: headByteCount,
            mayKeep: client.pointee.requestEnded && !upstream.pointee.sendFailed)
        client.pointee.failure = .badGateway
        goOn(client, after: delay)
        return true
    }

    /// Makes room for more of a body that may have to be sent again; false when it is too long.
    mutating func keepsMore(_ client: ClientConnection.Pointer) -> Bool {
        guard client.pointee.isRequestKept, client.pointee.method.isIdempotent,
            !client.pointee.input.isLarge, !buffers.isTight,
            let rules = client.pointee.pool?.pointee.rules, rules.retryCountMax > 0
        else { return false }
        let sent =
            client.pointee.input.start &- client.pointee.input.mark
            &- Int(client.pointee.headByteCount)
        let rest =
            client.pointee.body.remainingByteCount ?? UInt64(client.pointee.input.unreadCount)
        guard UInt64(max(0, sent)) + min(rest, 1 << 32) <= UInt64(rules.bodyByteCountMax) else {
            return false
        }
        buffers.enlarge(&client.pointee.input)
        return true
    }

    // MARK: Whether, where and when

    /// Begins a retry, now or after a pause; false when the failure is the client's answer.
    mutating func triesAgain(
        _ client: ClientConnection.Pointer, _ reason: RetryReason, isSafe: Bool
    ) -> Bool {
        guard let delay = admitRetry(client, reason, isSafe: isSafe) else { return false }
        goOn(client, after: delay)
        return true
    }

    /// True when every byte of the request that was sent on is still here.
    private mutating func isRepeatable(_ client: ClientConnection.Pointer) -> Bool {
        guard client.pointee.isRequestKept, let pool = client.pointee.pool else { return false }
        let sent =
            client.pointee.input.start &- client.pointee.input.mark
            &- Int(client.pointee.headByteCount)
        return sent <= pool.pointee.rules.bodyByteCountMax
    }

    /// Decides about a retry and counts it for all limits; returns how long it has to wait.
    private mutating func admitRetry(
        _ client: ClientConnection.Pointer, _ reason: RetryReason, isSafe: Bool,
        retryAfter: TimeSpan = .zero
    ) -> TimeSpan? {
        guard let pool = client.pointee.pool, pool.pointee.rules.retryCountMax > 0 else {
            return nil
        }
        if let condition = reason.condition, !pool.pointee.rules.conditions.contains(condition) {
            return nil
        }
        guard isSafe else {
            pool.pointee.count { $0.refusals.unsafe.add() }
            return nil
        }
        guard client.pointee.progress.retryCount < pool.pointee.rules.retryCountMax else {
            pool.pointee.count { $0.refusals.attempts.add() }
            return nil
        }
        guard let delay = retryDelay(client, reason, retryAfter) else {
            pool.pointee.count { $0.refusals.noBackend.add() }
            return nil
        }
        guard takeRetry(client, pool) else { return nil }
        client.pointee.progress.retryCount &+= 1
        pool.pointee.count { tallies in
            switch reason {
            case .connectFailure, .connectTimeout: tallies.retries.connectFailures.add()
            case .reset: tallies.retries.resets.add()
            case .badAnswer: tallies.retries.badAnswers.add()
            case .timeout: tallies.retries.timeouts.add()
            }
        }
        return delay
    }

    /// How long a retry waits; `nil` when there is nobody to send it to.
    ///
    /// The first one goes elsewhere at once. Later ones, and those that must go where the request
    /// was before, are spread over time; the latter wait for as long as the backend asks.
    ///
    /// The attempt that failed may still be counted, by its index in the client's pool: whether a
    /// reload has replaced that pool is looked at when the next one begins.
    private mutating func retryDelay(
        _ client: ClientConnection.Pointer, _ reason: RetryReason, _ retryAfter: TimeSpan
    ) -> TimeSpan? {
        guard let pool = client.pointee.pool else { return nil }
        let number = client.pointee.progress.retryCount &+ 1
        let backoff = RetryBackoff(
            base: pool.pointee.rules.backoff, longest: pool.pointee.rules.backoffMax)
        let jitter = backoff.wait(beforeRetry: Int(number), using: &generator)
        switch pool.pointee.choose(now: now, excluding: client.pointee.attempted) {
        case .chosen: return number == 1 ? .zero : jitter
        case .allAtLimit where reason == .connectFailure || reason == .connectTimeout:
            // Nothing was sent yet: waiting in the line costs nobody anything.
            return number == 1 ? .zero : jitter
        case .allAtLimit, .noneAvailable: break
        }
        guard reason.mayRepeatHere, retryAfter <= Self.retryAfterMax else { return nil }
        client.pointee.attempted = AttemptedBackends()
        if case .noneAvailable = pool.pointee.choose(now: now) { return nil }
        return max(jitter, retryAfter)
    }

    /// Takes a place among the retries of the pool and one from its budget.
    private mutating func takeRetry(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Bool {
        let isCounted = client.pointee.progress.holdsRetry
        if !isCounted {
            let limit = pool.pointee.rules.retriesMax
            let hasRoom = pool.pointee.shared._withUnsafeGuaranteedRef {
                $0.retriesInFlight.addOne(upTo: limit)
            }
            guard hasRoom else {
                pool.pointee.count { $0.refusals.breaker.add() }
                pool.pointee.opens(.retries)
                return false
            }
            pool.pointee.openBreakers.remove(.retries)
            client.pointee.progress.holdsRetry = true
        }
        guard pool.pointee.retryBudget.take(now: now) else {
            if !isCounted { endRetry(client) }
            pool.pointee.count { $0.refusals.budget.add() }
            return false
        }
        return true
    }

    /// The request is no retry in flight any more.
    mutating func endRetry(_ client: ClientConnection.Pointer) {
        guard let pool = client.pointee.pool else { return }
        client.pointee.progress.holdsRetry = false
        pool.pointee.shared._withUnsafeGuaranteedRef { shared in
            _ = shared.retriesInFlight.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    // MARK: Going on

    private mutating func goOn(_ client: ClientConnection.Pointer, after delay: TimeSpan) {
        guard delay == .zero else {
            client.pointee.phase = .pausing
            arm(client, after: delay)
            return
        }
        attemptAgain(client)
    }

    /// The pause before a retry is over.
    mutating func pauseIsOver(_ client: ClientConnection.Pointer) {
        wake(client)
        attemptAgain(client)
    }

    private mutating func attemptAgain(_ client: ClientConnection.Pointer) {
        if client.pointee.isStream {
            attemptStream(client)
        } else {
            attempt(client, isHeadParsed: false)
        }
    }
}
