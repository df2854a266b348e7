// SPDX-License-Identifier: Apache-2.0
//
// What the checks count, for any thread that asks.

import BalancerCore
internal import Synchronization
public import Telemetry

/// The counters of all checked backends.
public final class HealthMetrics: MetricSource {
    /// The counters of one backend.
    final class BackendCounters: Sendable {
        /// One bit of the present: 1 while the backend may serve.
        let up = Gauge()
        let passed = Counter()
        let refused = Counter()
        let timedOut = Counter()
        let closed = Counter()
        let status = Counter()
        let malformed = Counter()
        let tooLong = Counter()
        let system = Counter()
        let notMade = Counter()
        let becameUp = Counter()
        let becameDown = Counter()
        let latencyNanoseconds = Gauge()

        /// The counter of a reason.
        func failed(_ reason: ProbeFailure) -> Counter {
            switch reason {
            case .connectionRefused: refused
            case .timedOut: timedOut
            case .connectionClosed: closed
            case .unexpectedStatus: status
            case .malformedResponse: malformed
            case .responseTooLong: tooLong
            case .system: system
            }
        }

        var results: KeyValuePairs<String, Counter> {
            [
                "passed": passed, "connection_refused": refused, "timed_out": timedOut,
                "connection_closed": closed, "unexpected_status": status,
                "malformed_response": malformed, "response_too_long": tooLong,
                "system_error": system, "not_made": notMade,
            ]
        }
    }

    private struct Table {
        var order: [BackendIdentity] = []
        var counters: [BackendIdentity: BackendCounters] = [:]
    }

    private let table = Mutex(Table())

    init() {}

    /// The counters of a backend; they go on counting when it is named again after a reload.
    func counters(for identity: BackendIdentity) -> BackendCounters {
        table.withLock { table in
            if let known = table.counters[identity] { return known }
            let counters = BackendCounters()
            table.order.append(identity)
            table.counters[identity] = counters
            return counters
        }
    }

    /// Forgets backends that are no longer checked, and brings the rest into this order.
    func keep(only identities: [BackendIdentity]) {
        table.withLock { table in
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
            let pool = identity.pool
            let backend = identity.backend
            text.add(
                "tandem_backend_up", .gauge,
                help: "1 while the checks let the backend serve.",
                labels: ["pool": pool, "backend": backend], Double(counters.up.value))
            for (result, counter) in counters.results {
                text.add(
                    "tandem_health_checks_total", .counter, help: "Checks by result.",
                    labels: ["pool": pool, "backend": backend, "result": result],
                    Double(counter.value))
            }
            for (verdict, counter) in [("up", counters.becameUp), ("down", counters.becameDown)] {
                text.add(
                    "tandem_health_transitions_total", .counter,
                    help: "Changes of what the checks say.",
                    labels: ["pool": pool, "backend": backend, "to": verdict],
                    Double(counter.value))
            }
            text.add(
                "tandem_health_check_duration_seconds", .gauge,
                help: "How long the last check took.",
                labels: ["pool": pool, "backend": backend],
                Double(counters.latencyNanoseconds.value) / 1e9)
        }
    }
}
