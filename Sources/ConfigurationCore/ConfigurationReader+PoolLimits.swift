// SPDX-License-Identifier: Apache-2.0
//
// The keys that bound what a pool takes on: limits, queue, retries, hedging, drain.

import WireCore

extension ConfigurationReader {
    /// Key `limits` of a pool.
    mutating func poolLimits(in section: Section) -> PoolLimits {
        PoolLimits(
            requests: limitOrDefault("requests", in: section),
            connections: limitOrDefault("connections", in: section),
            retries: limitOrDefault("retries", in: section))
    }

    /// Key `queue`.
    mutating func queue(in section: Section) -> QueueConfiguration {
        let queue = QueueConfiguration(
            length: integerOrDefault("length", in: section),
            timeout: durationOrDefault("timeout", in: section),
            retryAfter: durationOrDefault("retry_after", in: section))
        if queue.length == 0 {
            warnOfNoEffect(
                "timeout", in: section, because: "with length: 0",
                suggestion: "nothing waits; remove it, or write a length")
        }
        return queue
    }

    /// Key `retries`.
    mutating func retries(in section: Section) -> RetryConfiguration {
        let words = words("on", in: section)
        let defaults = RetryConfiguration()
        let retries = RetryConfiguration(
            attempts: integerOrDefault("attempts", in: section),
            conditions: words.map { words in
                Set(words.compactMap { RetryConfiguration.Condition(rawValue: $0.value) })
            } ?? defaults.conditions,
            perTryTimeout: duration("per_try_timeout", in: section)?.value,
            backoff: durationOrDefault("backoff", in: section),
            backoffMax: durationOrDefault("backoff_max", in: section),
            budgetPercent: limitOrDefault("budget", in: section),
            budgetFloor: integerOrDefault("budget_floor", in: section),
            bodyByteCountMax: sizeOrDefault("body_size", in: section))
        if retries.backoff > retries.backoffMax,
            let field = section.fields["backoff"] ?? section.fields["backoff_max"]
        {
            error(
                field.value.range,
                "backoff \(DurationText.render(retries.backoff)) is longer than backoff_max "
                    + DurationText.render(retries.backoffMax),
                suggestion: "make backoff_max at least as long")
        }
        check(retries, words ?? [], in: section)
        return retries
    }

    private mutating func check(
        _ retries: RetryConfiguration, _ words: [Located<String>], in section: Section
    ) {
        guard retries.attempts > 0 else {
            // per_try_timeout bounds the only attempt too.
            for name in ["on", "backoff", "backoff_max", "budget", "budget_floor", "body_size"] {
                warnOfNoEffect(
                    name, in: section, because: "with attempts: 0",
                    suggestion: "nothing is tried again; remove it, or write attempts: 1")
            }
            return
        }
        let risky: [RetryConfiguration.Condition] = [.gatewayError, .serverError]
        let storm = words.first { word in risky.contains { $0.rawValue == word.value } }
        if retries.budgetPercent == nil, let storm {
            warning(
                storm.range,
                "\(storm.value) without a budget makes a retry storm of every overload",
                suggestion: "write budget: 20, the default")
        }
        if retries.conditions.contains(.serverError),
            let gateway = words.first(where: { $0.value == "gateway_error" })
        {
            warning(
                gateway.range, "server_error already takes 502, 503 and 504",
                suggestion: "remove gateway_error")
        }
    }

    /// Key `hedging`.
    mutating func hedging(in section: Section) -> HedgingConfiguration? {
        HedgingConfiguration(
            after: durationOrAuto("after", in: section)?.value,
            budgetPercent: integerOrDefault("budget", in: section))
    }

    /// Key `adaptive_concurrency`.
    mutating func adaptiveConcurrency(in section: Section) -> AdaptiveConcurrencyConfiguration? {
        AdaptiveConcurrencyConfiguration(
            requestsMin: integerOrDefault("min", in: section),
            interval: durationOrDefault("interval", in: section),
            baselineInterval: durationOrDefault("baseline_interval", in: section))
    }

    /// Key `drain` of a pool.
    mutating func drain(in section: Section) -> DrainConfiguration {
        let drain = DrainConfiguration(
            timeout: durationOrDefault("timeout", in: section),
            tunnelTimeout: durationOrDefault("tunnel_timeout", in: section))
        if drain.timeout == .zero, let field = section.fields["timeout"] {
            warning(
                field.value.range, "with timeout: 0s a drain cuts every request at once",
                suggestion: "give requests time to finish; the default is 30s")
        }
        return drain
    }
}
