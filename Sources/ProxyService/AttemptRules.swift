// SPDX-License-Identifier: Apache-2.0
//
// What a pool's configuration says about attempts, laid out for the data path: plain numbers in one
// place, nothing to look up.

internal import ConfigurationCore
internal import WireCore

/// Why a request may be sent again.
struct RetryConditions: OptionSet {
    let rawValue: UInt8

    static let connectFailure = RetryConditions(rawValue: 1)
    static let reset = RetryConditions(rawValue: 2)
    static let gatewayError = RetryConditions(rawValue: 4)
    static let serverError = RetryConditions(rawValue: 8)
    static let timeout = RetryConditions(rawValue: 16)
    /// Answers that may be dropped for a better one.
    static let answers: RetryConditions = [.gatewayError, .serverError]

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    init(_ conditions: Set<RetryConfiguration.Condition>) {
        self = []
        for condition in conditions {
            switch condition {
            case .connectFailure: insert(.connectFailure)
            case .reset: insert(.reset)
            case .gatewayError: insert(.gatewayError)
            case .serverError: insert(.serverError)
            case .timeout: insert(.timeout)
            }
        }
    }

    /// True when an answer with this status may be dropped and the request be sent again.
    func contains(status: UInt16) -> Bool {
        contains(.serverError) || contains(.gatewayError) && 502...504 ~= status
    }
}

/// How a pool treats the requests that it is given.
struct AttemptRules {
    /// `limits.requests`; `Int.max` for any number.
    let requestsMax: Int
    /// `limits.connections`; `Int.max` for any number.
    let connectionsMax: Int
    /// `limits.retries`; `Int.max` for any number.
    let retriesMax: Int
    /// Retries of one request.
    let retryCountMax: UInt8
    let conditions: RetryConditions
    /// `nil` waits as long as `timeouts.response_head`.
    let perTryTimeout: TimeSpan?
    let backoff: TimeSpan
    let backoffMax: TimeSpan
    let budgetPercent: Int?
    let budgetFloor: Int
    /// Bytes of a request body that are kept for a retry.
    let bodyByteCountMax: Int
    /// Requests that may wait.
    let queueLength: Int
    let queueTimeout: TimeSpan
    /// What those who found no room are told.
    let retryAfterSeconds: UInt32
    let hedging: HedgingConfiguration?

    init(_ pool: PoolConfiguration) {
        requestsMax = pool.limits.requests ?? .max
        connectionsMax = pool.limits.connections ?? .max
        retriesMax = pool.limits.retries ?? .max
        retryCountMax = UInt8(clamping: pool.retries.attempts)
        conditions = RetryConditions(pool.retries.conditions)
        perTryTimeout = pool.retries.perTryTimeout
        backoff = pool.retries.backoff
        backoffMax = pool.retries.backoffMax
        budgetPercent = pool.retries.budgetPercent
        budgetFloor = pool.retries.budgetFloor
        bodyByteCountMax = pool.retries.bodyByteCountMax
        queueLength = pool.queue.length
        queueTimeout = pool.queue.timeout
        // RFC 9110 §10.2.3: whole seconds; 0 would invite an instant retry.
        let seconds = (pool.queue.retryAfter.milliseconds + 999) / 1_000
        retryAfterSeconds = UInt32(clamping: max(1, seconds))
        hedging = pool.hedging
    }
}
