// SPDX-License-Identifier: Apache-2.0
//
// What one worker counts about the attempts of one pool's requests.

/// Counters of one pool on one worker.
final class PoolTallies: Sendable {
    /// Requests that were given to a backend for the first time.
    let requests = Tally()
    /// Retries begun, by their reason.
    let retries = RetryTallies()
    /// Retries that were wanted and not begun, by what forbade them.
    let refusals = RetryRefusalTallies()
    /// Times that a limit was met after there had been room.
    let breakers = BreakerTallies()
    /// Requests that began to wait.
    let queued = Tally()
    /// Time that requests waited which got room in the end.
    let queuedMicroseconds = Tally()
    /// Requests whose time in the queue was over.
    let queueTimeouts = Tally()
    /// Requests whose client left while they waited.
    let queueAborts = Tally()
    /// Requests refused at once because too many waited.
    let shed = Tally()
    let hedges = HedgeTallies()
}

/// Retries by reason.
struct RetryTallies: ~Copyable, Sendable {
    /// No connection came about.
    let connectFailures = Tally()
    /// A connection broke before an answer began.
    let resets = Tally()
    /// The answer was 5xx.
    let badAnswers = Tally()
    /// No answer began in time.
    let timeouts = Tally()
}

/// Retries that were wanted, by what forbade them.
struct RetryRefusalTallies: ~Copyable, Sendable {
    /// As many retries as one request may have.
    let attempts = Tally()
    /// The share of retries in the traffic.
    let budget = Tally()
    /// Retries at a time.
    let breaker = Tally()
    /// The request is not idempotent, or no longer here in full.
    let unsafe = Tally()
    /// No other backend, and it makes no sense to ask the same one again.
    let noBackend = Tally()
}

/// Limits met.
struct BreakerTallies: ~Copyable, Sendable {
    /// `limits.requests`, or what adaptive concurrency makes of it.
    let requests = Tally()
    /// `limits.connections`.
    let connections = Tally()
    /// Limits of the backends themselves.
    let backends = Tally()
    /// `limits.retries`.
    let retries = Tally()
    /// `queue.length`.
    let queue = Tally()
}

/// Second attempts made to be fast.
struct HedgeTallies: ~Copyable, Sendable {
    /// Begun.
    let begun = Tally()
    /// Begun and first to answer.
    let won = Tally()
    /// Not begun because of their share in the traffic.
    let overBudget = Tally()
}
