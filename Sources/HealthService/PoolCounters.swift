// SPDX-License-Identifier: Apache-2.0
//
// What governors count and what they last decided, for any thread that asks.

import BalancerCore
internal import Synchronization
import Telemetry
import WireCore

/// The numbers of one pool's governor.
final class PoolCounters: Sendable {
    /// The numbers of one backend.
    final class BackendCounters: Sendable {
        /// The word of the standing in force.
        let standing = Gauge()
        /// 1 while it is ejected or on trial.
        let isEjected = Gauge()
        let ejections = LabelledCounters()
        let checkLies = Counter()
        let flaps = Counter()
        let drains = LabelledCounters()
        let drainNanoseconds = Gauge()
        let forcedCloses = Counter()
    }

    let pool: String
    private let isCascading = Gauge()
    private let isPanicking = Gauge()
    private let ejections = Counter()
    private let events = LabelledCounters()
    private let refusals = LabelledCounters()
    private let table = Mutex<(order: [String], backends: [String: BackendCounters])>(([], [:]))

    init(pool: String) {
        self.pool = pool
    }

    /// Forgets backends that are gone; the others go on counting, in this order.
    func keep(_ names: [String]) {
        table.withLock { table in
            var backends: [String: BackendCounters] = [:]
            backends.reserveCapacity(names.count)
            for name in names { backends[name] = table.backends[name] ?? BackendCounters() }
            table = (names, backends)
        }
    }

    func backend(_ name: String) -> BackendCounters? {
        table.withLock { $0.backends[name] }
    }

    /// Notes what a backend may be given from now on.
    func note(_ standing: BackendStanding, of name: String) {
        guard let counters = backend(name) else { return }
        let before = BackendStanding(rawValue: UInt32(truncatingIfNeeded: counters.standing.value))
        if before.admission == .serving, standing.admission == .unhealthy { counters.flaps.add() }
        if standing.admission == .serving { counters.isEjected.set(0) }
        counters.standing.set(Int64(standing.rawValue))
    }

    /// Counts an event.
    func count(_ event: GovernorEvent) {
        switch event {
        case .cascadeBegan:
            isCascading.set(1)
            events["cascade"].add()
        case .cascadeEnded: isCascading.set(0)
        case .panicBegan:
            isPanicking.set(1)
            events["panic"].add()
        case .panicEnded: isPanicking.set(0)
        case .failedOpen:
            // The guard is what lets them serve.
            isCascading.set(1)
            events["failed_open"].add()
        case .ejectionRefused(_, _, let refusal): refusals[refusal.token].add()
        case .wentDown, .cameUp, .ejected, .ejectedByPeer, .checkLies, .trialBegan, .returned,
            .drainBegan,
            .drainForced, .drainEnded, .slowStartBegan, .slowStartEnded, .madeReady, .weightSet,
            .healthForced:
            if let counters = event.backend.flatMap({ backend($0) }) { count(event, in: counters) }
        }
    }

    private func count(_ event: GovernorEvent, in counters: BackendCounters) {
        switch event {
        case .ejected(_, let cause, _, _):
            counters.isEjected.set(1)
            ejections.add()
            counters.ejections[cause.token].add()
        case .ejectedByPeer: counters.isEjected.set(1)
        case .returned, .madeReady: counters.isEjected.set(0)
        case .checkLies: counters.checkLies.add()
        case .drainForced(_, let exchanges, let tunnels):
            counters.forcedCloses.add(UInt64(max(0, exchanges)) + UInt64(max(0, tunnels)))
        case .drainEnded(_, let after, _, let isComplete):
            counters.drains[isComplete ? "complete" : "given_up"].add()
            counters.drainNanoseconds.set(Int64(clamping: after.nanoseconds))
        default: break
        }
    }

    /// Writes the present values.
    func collect(into text: inout MetricsText) {
        let pool = pool
        text.add(
            "tandem_pool_cascade_active", .gauge,
            help: "1 while bad verdicts are taken to have a shared cause.",
            labels: ["pool": pool], Double(isCascading.value))
        text.add(
            "tandem_pool_panic_active", .gauge,
            help: "1 while too few backends are healthy, so that all are used.",
            labels: ["pool": pool], Double(isPanicking.value))
        text.add(
            "tandem_pool_ejections_total", .counter,
            help: "Times that traffic took a backend out.", labels: ["pool": pool],
            Double(ejections.value))
        for (event, count) in events.all {
            text.add(
                "tandem_pool_emergencies_total", .counter,
                help: "Times that a pool stopped trusting its verdicts.",
                labels: ["pool": pool, "kind": event], Double(count))
        }
        for (reason, count) in refusals.all {
            text.add(
                "tandem_pool_ejections_refused_total", .counter,
                help: "Ejections that traffic asked for and the pool could not afford.",
                labels: ["pool": pool, "reason": reason], Double(count))
        }
        let present = table.withLock { $0 }
        for name in present.order {
            if let counters = present.backends[name] { write(counters, of: name, into: &text) }
        }
    }

    private func write(
        _ counters: BackendCounters, of name: String, into text: inout MetricsText
    ) {
        let standing = BackendStanding(
            rawValue: UInt32(truncatingIfNeeded: counters.standing.value))
        let pool = pool
        func gauge(_ family: String, _ help: String, _ value: Double) {
            text.add(
                family, .gauge, help: help, labels: ["pool": pool, "backend": name], value)
        }
        func counter(_ family: String, _ help: String, _ count: Counter) {
            text.add(
                family, .counter, help: help, labels: ["pool": pool, "backend": name],
                Double(count.value))
        }
        gauge(
            "tandem_backend_up", "1 while checks, traffic and operator let the backend serve.",
            standing.admission == .serving ? 1 : 0)
        gauge(
            "tandem_backend_ejected", "1 while its traffic keeps the backend out.",
            Double(counters.isEjected.value))
        gauge(
            "tandem_backend_drained", "1 while the operator keeps the backend out.",
            standing.admission == .draining || standing.admission == .maintenance ? 1 : 0)
        gauge("tandem_backend_weight", "The weight in force.", Double(standing.weight))
        gauge(
            "tandem_backend_slow_start_ratio", "The share of its weight that it has by now.",
            Double(standing.rampPercent) / 100)
        counter(
            "tandem_backend_flaps_total", "Times that checks or traffic took the backend out.",
            counters.flaps)
        counter(
            "tandem_backend_check_lies_total",
            "Times that the check passed while the traffic failed.", counters.checkLies)
        writeLabelled(counters, of: name, into: &text)
    }

    private func writeLabelled(
        _ counters: BackendCounters, of name: String, into text: inout MetricsText
    ) {
        for (cause, count) in counters.ejections.all {
            text.add(
                "tandem_backend_ejections_total", .counter,
                help: "Times that its traffic took the backend out, by what it showed.",
                labels: ["pool": pool, "backend": name, "cause": cause], Double(count))
        }
        let drains = counters.drains.all
        for (outcome, count) in drains {
            text.add(
                "tandem_backend_drains_total", .counter, help: "Drains that ended.",
                labels: ["pool": pool, "backend": name, "outcome": outcome], Double(count))
        }
        guard !drains.isEmpty else { return }
        text.add(
            "tandem_backend_drain_duration_seconds", .gauge,
            help: "How long the last drain took.",
            labels: ["pool": pool, "backend": name],
            Double(counters.drainNanoseconds.value) / 1e9)
        text.add(
            "tandem_backend_drain_forced_closes_total", .counter,
            help: "Requests and tunnels that outlived their drain and were cut.",
            labels: ["pool": pool, "backend": name], Double(counters.forcedCloses.value))
    }
}

extension EjectionCause {
    /// The stable word for metrics.
    var token: String {
        switch self {
        case .serverErrors: "server_errors"
        case .gatewayErrors: "gateway_errors"
        case .refusedConnections: "refused_connections"
        case .localErrors: "local_errors"
        case .lowSuccessRate: "success_rate"
        case .highFailureRate: "failure_percentage"
        case .failedTrial: "failed_trial"
        }
    }
}

extension EjectionRefusal {
    /// The stable word for metrics.
    var token: String {
        switch self {
        case .lastBackend: "last_backend"
        case .limit: "limit"
        case .cascade: "cascade"
        }
    }
}
