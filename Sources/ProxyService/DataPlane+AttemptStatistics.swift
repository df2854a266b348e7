// SPDX-License-Identifier: Apache-2.0
//
// What the workers counted about attempts, summed up and as metrics.

internal import ConfigurationCore
internal import Synchronization
internal import Telemetry
internal import WireCore

extension DataPlane {
    /// What became of the requests of the pools in force, in file order.
    public func attemptStatistics() -> [AttemptStatistics] {
        currentSnapshot.pools.map { plan in
            var numbers = Self.sum(plan.shared.tallies, name: plan.name)
            let shared = plan.shared
            let limit = min(
                plan.configuration.limits.requests ?? .max,
                shared.adaptive.limit.load(ordering: .relaxed))
            numbers.requestLimit = limit == .max ? nil : limit
            return numbers
        }
    }

    private static func sum(_ rows: [PoolTallies], name: String) -> AttemptStatistics {
        func sum(_ tally: (PoolTallies) -> UInt64) -> UInt64 {
            rows.reduce(0) { $0 &+ tally($1) }
        }
        var numbers = AttemptStatistics(name: name)
        numbers.requests = sum { $0.requests.value }
        numbers.retries = [
            LabelledCount(
                label: "connect_failure", count: sum { $0.retries.connectFailures.value }),
            LabelledCount(label: "reset", count: sum { $0.retries.resets.value }),
            LabelledCount(label: "bad_answer", count: sum { $0.retries.badAnswers.value }),
            LabelledCount(label: "timeout", count: sum { $0.retries.timeouts.value }),
        ]
        numbers.refusedRetries = [
            LabelledCount(label: "attempts", count: sum { $0.refusals.attempts.value }),
            LabelledCount(label: "budget", count: sum { $0.refusals.budget.value }),
            LabelledCount(label: "breaker", count: sum { $0.refusals.breaker.value }),
            LabelledCount(label: "unsafe", count: sum { $0.refusals.unsafe.value }),
            LabelledCount(label: "no_backend", count: sum { $0.refusals.noBackend.value }),
        ]
        numbers.breakers = [
            LabelledCount(label: "requests", count: sum { $0.breakers.requests.value }),
            LabelledCount(label: "connections", count: sum { $0.breakers.connections.value }),
            LabelledCount(label: "backends", count: sum { $0.breakers.backends.value }),
            LabelledCount(label: "retries", count: sum { $0.breakers.retries.value }),
            LabelledCount(label: "queue", count: sum { $0.breakers.queue.value }),
        ]
        numbers.queued = sum { $0.queued.value }
        numbers.queuedTime = .microseconds(sum { $0.queuedMicroseconds.value })
        numbers.queueTimeouts = sum { $0.queueTimeouts.value }
        numbers.queueAborts = sum { $0.queueAborts.value }
        numbers.shed = sum { $0.shed.value }
        numbers.hedges = sum { $0.hedges.begun.value }
        numbers.hedgesWon = sum { $0.hedges.won.value }
        numbers.hedgesOverBudget = sum { $0.hedges.overBudget.value }
        return numbers
    }

    // MARK: Metrics

    func collectAttempts(into text: inout MetricsText) {
        for pool in attemptStatistics() {
            if let limit = pool.requestLimit {
                text.add(
                    "tandem_pool_requests_limit", .gauge,
                    help: "Requests that may be in flight in the pool.",
                    labels: ["pool": pool.name], Double(limit))
            }
            Self.collectRetries(pool, into: &text)
            Self.collectQueue(pool, into: &text)
        }
    }

    private static func collectRetries(_ pool: AttemptStatistics, into text: inout MetricsText) {
        func add(_ name: String, _ help: String, _ key: String, _ counts: [LabelledCount]) {
            for entry in counts {
                text.add(
                    name, .counter, help: help, labels: ["pool": pool.name, key: entry.label],
                    Double(entry.count))
            }
        }
        text.add(
            "tandem_pool_requests_total", .counter, help: "Requests given to the pool.",
            labels: ["pool": pool.name], Double(pool.requests))
        add(
            "tandem_pool_retries_total", "Requests sent again, by reason.", "reason",
            pool.retries)
        add(
            "tandem_pool_retries_refused_total",
            "Requests that were to be sent again and were not, by what forbade it.", "reason",
            pool.refusedRetries)
        text.add(
            "tandem_pool_retry_ratio", .gauge, help: "Retries for each request since the start.",
            labels: ["pool": pool.name], pool.retryRatio)
        add(
            "tandem_pool_breaker_opens_total", "How often requests met a limit, by limit.",
            "breaker", pool.breakers)
    }

    private static func collectQueue(_ pool: AttemptStatistics, into text: inout MetricsText) {
        func add(_ name: String, _ help: String, _ value: Double) {
            text.add(name, .counter, help: help, labels: ["pool": pool.name], value)
        }
        add(
            "tandem_pool_queued_total", "Requests that waited for room.", Double(pool.queued))
        add(
            "tandem_pool_queue_seconds_total", "Time that requests waited which got room.",
            pool.queuedTime.secondsAsDouble)
        add(
            "tandem_pool_queue_timeouts_total", "Requests that waited in vain.",
            Double(pool.queueTimeouts))
        add(
            "tandem_pool_queue_aborts_total", "Requests whose client left while they waited.",
            Double(pool.queueAborts))
        add(
            "tandem_pool_shed_total", "Requests refused at once because too many waited.",
            Double(pool.shed))
        add(
            "tandem_pool_hedges_total", "Second attempts made to be fast.", Double(pool.hedges))
        add(
            "tandem_pool_hedges_won_total", "Second attempts that answered first.",
            Double(pool.hedgesWon))
        add(
            "tandem_pool_hedges_over_budget_total",
            "Second attempts not made because of their share in the traffic.",
            Double(pool.hedgesOverBudget))
    }
}
