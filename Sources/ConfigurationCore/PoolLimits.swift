// SPDX-License-Identifier: Apache-2.0
//
// What a pool takes on and what happens beyond it: limits, queue, retries, hedging, drain.

public import WireCore

/// Key `limits` of a pool: circuit breakers; what is beyond them waits in the queue.
public struct PoolLimits: Hashable, Sendable {
    /// Key `requests`: requests in flight, tunnels not counted; default 1,024; `nil` (`off`) any.
    public var requests: Int?
    /// Key `connections`: connections to all backends, tunnels included; `nil` (the default) any.
    public var connections: Int?
    /// Key `retries`: retries in flight; default 64; `nil` (`off`) any.
    public var retries: Int?

    /// Makes limits; each has its default.
    public init(requests: Int? = 1_024, connections: Int? = nil, retries: Int? = 64) {
        self.requests = requests
        self.connections = connections
        self.retries = retries
    }
}

/// Key `queue` of a pool: requests that wait until a backend has room.
public struct QueueConfiguration: Hashable, Sendable {
    /// Key `length`: requests that may wait; more are answered 503 at once; default 1,024; 0
    /// never lets one wait.
    public var length: Int
    /// Key `timeout`: how long one waits before it is answered 503; default 5 s, 10 ms to 10 min.
    public var timeout: TimeSpan
    /// Key `retry_after`: the seconds that such an answer asks clients to wait; default 1 s, 1 s to
    /// 1 h.
    public var retryAfter: TimeSpan

    /// Makes the settings; each has its default.
    public init(
        length: Int = 1_024, timeout: TimeSpan = .seconds(5), retryAfter: TimeSpan = .seconds(1)
    ) {
        self.length = length
        self.timeout = timeout
        self.retryAfter = retryAfter
    }
}

/// Key `retries` of a pool.
public struct RetryConfiguration: Hashable, Sendable {
    /// Key `on`: what may be tried again, as long as it is safe.
    public enum Condition: String, Hashable, Sendable, CaseIterable {
        /// `connect_failure`: no connection came about, so any method may go elsewhere.
        case connectFailure = "connect_failure"
        /// `reset`: the connection broke before an answer began; idempotent methods only, or when
        /// the backend cannot have seen the request.
        case reset
        /// `gateway_error`: 502, 503 or 504; idempotent methods only.
        case gatewayError = "gateway_error"
        /// `server_error`: any 5xx; idempotent methods only.
        case serverError = "server_error"
        /// `timeout`: `per_try_timeout` passed; idempotent methods only.
        case timeout
    }

    /// Key `attempts`: retries of one request; default 1, 0 to 3.
    public var attempts: Int
    /// Key `on`; default connect_failure, reset, timeout.
    public var conditions: Set<Condition>
    /// Key `per_try_timeout`: an answer must begin within; `nil` (the default) is
    /// `timeouts.response_head`.
    public var perTryTimeout: TimeSpan?
    /// Key `backoff`: a retry after the first one, or to a backend that was tried, waits between 0
    /// and this, doubling; default 25 ms.
    public var backoff: TimeSpan
    /// Key `backoff_max`; default 250 ms.
    public var backoffMax: TimeSpan
    /// Key `budget`: retries as a share of requests over 10 s, in percent; default 20, 0 to 100;
    /// `nil` (`off`) sets no budget.
    public var budgetPercent: Int?
    /// Key `budget_floor`: retries a second that are always allowed; default 10, 0 to 10,000.
    public var budgetFloor: Int
    /// Key `body_size`: a request body up to so many bytes is kept for a retry; default 64 KiB, 0
    /// to 64 KiB.
    public var bodyByteCountMax: Int

    /// Makes the settings; each has its default.
    public init(
        attempts: Int = 1, conditions: Set<Condition> = [.connectFailure, .reset, .timeout],
        perTryTimeout: TimeSpan? = nil, backoff: TimeSpan = .milliseconds(25),
        backoffMax: TimeSpan = .milliseconds(250), budgetPercent: Int? = 20,
        budgetFloor: Int = 10, bodyByteCountMax: Int = 64 << 10
    ) {
        self.attempts = attempts
        self.conditions = conditions
        self.perTryTimeout = perTryTimeout
        self.backoff = backoff
        self.backoffMax = backoffMax
        self.budgetPercent = budgetPercent
        self.budgetFloor = budgetFloor
        self.bodyByteCountMax = bodyByteCountMax
    }
}

/// Key `hedging` of a pool: a second attempt when the first is slow; idempotent requests without
/// body only.
public struct HedgingConfiguration: Hashable, Sendable {
    /// Key `after`: how long the first attempt has before; `nil` (written `auto`, the default) is
    /// the latency that all but `budget` percent of requests stay below.
    public var after: TimeSpan?
    /// Key `budget`: second attempts as a share of requests, in percent; default 5, 1 to 100.
    public var budgetPercent: Int

    /// Makes the settings; each has its default.
    public init(after: TimeSpan? = nil, budgetPercent: Int = 5) {
        self.after = after
        self.budgetPercent = budgetPercent
    }
}

/// Key `adaptive_concurrency` of a pool: `limits.requests` follows the latency (gradient).
public struct AdaptiveConcurrencyConfiguration: Hashable, Sendable {
    /// Key `min`: the limit never falls below; default 10, 1 to 1,000,000.
    public var requestsMin: Int
    /// Key `interval`: how often the limit is recomputed; default 100 ms, 50 ms to 10 s.
    public var interval: TimeSpan
    /// Key `baseline_interval`: how often the best latency is measured anew; default 60 s.
    public var baselineInterval: TimeSpan

    /// Makes the settings; each has its default.
    public init(
        requestsMin: Int = 10, interval: TimeSpan = .milliseconds(100),
        baselineInterval: TimeSpan = .seconds(60)
    ) {
        self.requestsMin = requestsMin
        self.interval = interval
        self.baselineInterval = baselineInterval
    }
}

/// Key `drain` of a pool: what becomes of the work of a backend that is drained.
public struct DrainConfiguration: Hashable, Sendable {
    /// Key `timeout`: requests in flight are cut after so long; default 30 s, 0 s to 1 d.
    public var timeout: TimeSpan
    /// Key `tunnel_timeout`: tunnels are cut after so long; default 300 s, 0 s to 7 d.
    public var tunnelTimeout: TimeSpan

    /// Makes the settings; each has its default.
    public init(timeout: TimeSpan = .seconds(30), tunnelTimeout: TimeSpan = .seconds(300)) {
        self.timeout = timeout
        self.tunnelTimeout = tunnelTimeout
    }
}
