// SPDX-License-Identifier: Apache-2.0
//
// What the checks count, for any thread that asks.

import BalancerCore
internal import Synchronization
public import Telemetry
internal import WireCore

/// The counters of all checked backends.
public final class HealthMetrics: MetricSource {
    /// The counters of one check of one backend.
    final class CheckCounters: Sendable {
        /// One bit of the present: 1 unless the check fails.
        let isPassing = Gauge()
        let passed = Counter()
        let notMade = Counter()
        let becameUp = Counter()
        let becameDown = Counter()
        /// All probes that ended, and how long they took together.
        let probeCount = Counter()
        let probeNanoseconds = Counter()
        let lastNanoseconds = Gauge()
        private let failures = LabelledCounters()

        /// The counter of a reason.
        func failed(_ reason: ProbeFailure) -> Counter { failures[reason.token] }

        func probeTook(_ latency: TimeSpan) {
            probeCount.add()
            probeNanoseconds.add(latency.nanoseconds)
            lastNanoseconds.set(Int64(clamping: latency.nanoseconds))
        }

        var results: [(result: String, count: UInt64)] {
            [("passed", passed.value), ("not_made", notMade.value)] + failures.all
        }
    }

    /// Names one check of one backend.
    struct CheckIdentity: Hashable {
        let backend: BackendIdentity
        let kind: CheckKind
    }

    private struct Table {
        var order: [CheckIdentity] = []
        var counters: [CheckIdentity: CheckCounters] = [:]
        var pools: [PoolCounters] = []
    }

    private let table = Mutex(Table())

    init() {}

    /// The counters of a check; they go on counting when it is named again after a reload.
    func counters(for identity: CheckIdentity) -> CheckCounters {
        table.withLock { table in
            if let known = table.counters[identity] { return known }
            let counters = CheckCounters()
            table.order.append(identity)
            table.counters[identity] = counters
            return counters
        }
    }

    /// Forgets checks that are no longer made, and brings the rest into this order.
    func keep(only identities: [CheckIdentity], pools: [PoolCounters]) {
        table.withLock { table in
            table.pools = pools
            let known = table.counters
            table.order = identities.filter { known[$0] != nil }
            table.counters = [:]
            for identity in table.order { table.counters[identity] = known[identity] }
        }
    }

    /// Writes the counters of every checked backend.
    public func collect(into text: inout MetricsText) {
        let present = table.withLock { $0 }
        for identity in present.order {
            guard let counters = present.counters[identity] else { continue }
            Self.write(counters, of: identity, into: &text)
        }
        for pool in present.pools { pool.collect(into: &text) }
    }

    private static func write(
        _ counters: CheckCounters, of identity: CheckIdentity, into text: inout MetricsText
    ) {
        let pool = identity.backend.pool
        let backend = identity.backend.backend
        let check = identity.kind.description
        text.add(
            "tandem_health_check_passing", .gauge, help: "1 unless the check fails.",
            labels: ["pool": pool, "backend": backend, "check": check],
            Double(counters.isPassing.value))
        for (result, count) in counters.results {
            text.add(
                "tandem_health_checks_total", .counter, help: "Checks by result.",
                labels: ["pool": pool, "backend": backend, "check": check, "result": result],
                Double(count))
        }
        for (verdict, counter) in [("up", counters.becameUp), ("down", counters.becameDown)] {
            text.add(
                "tandem_health_transitions_total", .counter,
                help: "Changes of what the checks say.",
                labels: ["pool": pool, "backend": backend, "check": check, "to": verdict],
                Double(counter.value))
        }
        text.add(
            "tandem_health_check_last_duration_seconds", .gauge,
            help: "How long the last check took.",
            labels: ["pool": pool, "backend": backend, "check": check],
            Double(counters.lastNanoseconds.value) / 1e9)
        text.add(
            "tandem_health_check_duration_seconds_total", .counter,
            help: "How long all checks took together.",
            labels: ["pool": pool, "backend": backend, "check": check],
            Double(counters.probeNanoseconds.value) / 1e9)
    }
}
