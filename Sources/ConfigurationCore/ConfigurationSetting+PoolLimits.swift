// SPDX-License-Identifier: Apache-2.0
//
// The settings that bound what a pool takes on.

import WireCore

extension PoolConfiguration {
    /// Keys below the pool with their values.
    var limitValues: [(String, String)] {
        [
            ("limits", limits.text), ("queue", queue.text), ("retries", retries.text),
            ("hedging", hedging?.text ?? "off"),
            ("adaptive_concurrency", adaptiveConcurrency?.text ?? "off"), ("drain", drain.text),
        ]
    }
}

extension PoolLimits {
    /// The limits in one line.
    var text: String {
        [("requests", requests), ("connections", connections), ("retries", retries)]
            .map { "\($0) \($1.map { String($0) } ?? "off")" }.joined(separator: ", ")
    }
}

extension QueueConfiguration {
    /// The settings in one line.
    var text: String {
        "length \(length), timeout \(DurationText.render(timeout)), "
            + "retry_after \(DurationText.render(retryAfter))"
    }
}

extension RetryConfiguration {
    /// The settings in one line.
    var text: String {
        let words = Condition.allCases.filter(conditions.contains).map(\.rawValue)
        return [
            "attempts \(attempts)", "on \(words.joined(separator: "|"))",
            "per_try_timeout \(perTryTimeout.map(DurationText.render) ?? "response_head")",
            "backoff \(DurationText.render(backoff)) to \(DurationText.render(backoffMax))",
            "budget \(budgetPercent.map { String($0) } ?? "off")", "budget_floor \(budgetFloor)",
            "body_size \(SizeText.render(bodyByteCountMax))",
        ].joined(separator: ", ")
    }
}

extension HedgingConfiguration {
    /// The settings in one line.
    var text: String {
        "after \(after.map(DurationText.render) ?? "auto"), budget \(budgetPercent)"
    }
}

extension AdaptiveConcurrencyConfiguration {
    /// The settings in one line.
    var text: String {
        "min \(requestsMin), interval \(DurationText.render(interval)), "
            + "baseline_interval \(DurationText.render(baselineInterval))"
    }
}

extension DrainConfiguration {
    /// The settings in one line.
    var text: String {
        "timeout \(DurationText.render(timeout)), "
            + "tunnel_timeout \(DurationText.render(tunnelTimeout))"
    }
}
