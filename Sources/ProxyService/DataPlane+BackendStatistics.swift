// SPDX-License-Identifier: Apache-2.0
//
// The numbers of pools and backends, as values and as metrics.

internal import BalancerCore
internal import LinuxIO
internal import Synchronization
internal import Telemetry
internal import WireCore

extension DataPlane {
    /// The numbers of a pool and of its backends.
    func statistics(of plan: PoolPlan) -> (pool: PoolStatistics, backends: [BackendStatistics]) {
        let began = samples.began
        let span = began.map { (Clock.now() - $0).secondsAsDouble } ?? 0
        let backends = plan.backends.map { statistics(of: $0, span: span) }
        let shared = plan.shared
        let limit = shared.adaptive.limit.load(ordering: .relaxed)
        var pool = PoolStatistics(
            name: shared.name, requestsInFlight: shared.requestsInFlight.load(ordering: .relaxed),
            connections: shared.connections.load(ordering: .relaxed),
            retriesInFlight: shared.retriesInFlight.load(ordering: .relaxed),
            waiting: shared.waiting.load(ordering: .relaxed),
            adaptiveLimit: limit == .max ? nil : limit)
        let serving = backends.filter { $0.isUp }
        pool.inFlightSpread = LoadSpread(
            serving.map {
                (Double($0.requestsInFlight), Double($0.standing.effectiveWeight) / 100)
            })
        pool.requestRateSpread = LoadSpread(
            serving.map { ($0.requestRate, Double($0.standing.effectiveWeight) / 100) })
        return (pool, backends)
    }

    private func statistics(of backend: SharedBackend, span: Double) -> BackendStatistics {
        var sum = BackendStatistics(
            pool: backend.identity.pool, name: backend.identity.name,
            address: backend.identity.address, standing: backend.standing,
            requestsInFlight: backend.requestsInFlight.load(ordering: .relaxed),
            tunnelsInFlight: backend.tunnelsInFlight.load(ordering: .relaxed),
            openConnections: backend.connections.load(ordering: .relaxed))
        for row in backend.tallies { sum.add(row) }
        sum.failureKinds = backend.failureKinds
        sum.recentLatencies = sum.latencies
        if span > 0, let earlier = samples.sample(of: backend) {
            sum.recentLatencies = sum.latencies.since(earlier.latencies)
            let requests = sum.requests > earlier.requests ? sum.requests - earlier.requests : 0
            sum.requestRate = Double(requests) / span
        } else if span > 0 {
            // It is newer than the time that counts as lately.
            sum.requestRate = Double(sum.requests) / span
        }
        return sum
    }
}

extension BackendStatistics {
    fileprivate mutating func add(_ row: BackendTallies) {
        idleConnections &+= row.idleConnections.value
        requests &+= row.requests.value
        connections &+= row.connections.value
        connectFailures &+= row.connectFailures.value
        retries &+= row.retries.value
        replays &+= row.replays.value
        failures &+= row.failures.value
        cutRequests &+= row.cutRequests.value
        cutTunnels &+= row.cutTunnels.value
        responses += row.statuses.classes
        latencySum = latencySum + .microseconds(row.latencyMicroseconds.value)
        latencyCount &+= row.latencyCount.value
        row.latencies.collect(into: &latencies)
    }
}

extension SharedBackend {
    fileprivate var failureKinds: [LabelledCount] {
        func sum(_ kind: String, _ tally: (borrowing FailureTallies) -> UInt64) -> LabelledCount {
            LabelledCount(
                label: kind, count: tallies.reduce(0) { $0 &+ tally($1.localFailures) })
        }
        return [
            sum("refused") { $0.refused.value },
            sum("connect_timeout") { $0.connectTimeouts.value },
            sum("reset") { $0.resets.value },
            sum("timeout") { $0.timeouts.value },
            sum("malformed") { $0.malformed.value },
            sum("truncated") { $0.truncated.value },
        ]
    }
}

// MARK: Metrics

extension DataPlane {
    func collect(_ backend: BackendStatistics, into text: inout MetricsText) {
        func add(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: Double) {
            text.add(
                name, kind, help: help,
                labels: ["pool": backend.pool, "backend": backend.name], value)
        }
        add(
            "tandem_backend_serving", .gauge, "1 while the backend may be given requests.",
            backend.isUp ? 1 : 0)
        add(
            "tandem_backend_requests_in_flight", .gauge, "Requests waiting for the backend.",
            Double(backend.requestsInFlight))
        add(
            "tandem_backend_tunnels_in_flight", .gauge, "Those of them that are tunnels.",
            Double(backend.tunnelsInFlight))
        add(
            "tandem_backend_open_connections", .gauge, "Connections open, idle ones included.",
            Double(backend.openConnections))
        add(
            "tandem_backend_idle_connections", .gauge, "Connections kept for reuse.",
            Double(backend.idleConnections))
        add(
            "tandem_backend_requests_total", .counter, "Requests sent, retries included.",
            Double(backend.requests))
        add(
            "tandem_backend_connections_total", .counter, "Connections accepted by the backend.",
            Double(backend.connections))
        add(
            "tandem_backend_connect_failures_total", .counter,
            "Connections refused or not accepted in time.", Double(backend.connectFailures))
        add(
            "tandem_backend_retries_total", .counter,
            "Requests received after another backend failed them.", Double(backend.retries))
        add(
            "tandem_backend_replays_total", .counter,
            "Requests sent again because a reused connection was closing.",
            Double(backend.replays))
        add(
            "tandem_backend_failures_total", .counter,
            "Requests that got no response, or a broken one.", Double(backend.failures))
        collectByKind(backend, into: &text)
        text.addHistogram(
            "tandem_backend_response_seconds",
            help: "Time from the choice of the backend to its response head.",
            labels: ["pool": backend.pool, "backend": backend.name],
            bounds: backend.latencies.cumulative, sum: backend.latencySum.secondsAsDouble,
            count: max(backend.latencyCount, backend.latencies.total))
    }

    private func collectByKind(_ backend: BackendStatistics, into text: inout MetricsText) {
        for (label, count) in backend.responses.labelled {
            text.add(
                "tandem_backend_responses_total", .counter, help: "Responses begun, by class.",
                labels: ["pool": backend.pool, "backend": backend.name, "class": label],
                Double(count))
        }
        for failure in backend.failureKinds {
            text.add(
                "tandem_backend_errors_total", .counter,
                help: "Attempts without a whole response, by kind.",
                labels: ["pool": backend.pool, "backend": backend.name, "kind": failure.label],
                Double(failure.count))
        }
        for (kind, count) in [("request", backend.cutRequests), ("tunnel", backend.cutTunnels)] {
            text.add(
                "tandem_backend_cut_total", .counter,
                help: "Requests and tunnels cut because the backend was taken out.",
                labels: ["pool": backend.pool, "backend": backend.name, "kind": kind],
                Double(count))
        }
    }

    func collect(_ pool: PoolStatistics, into text: inout MetricsText) {
        func add(_ name: String, _ help: String, _ value: Double) {
            text.add(name, .gauge, help: help, labels: ["pool": pool.name], value)
        }
        add(
            "tandem_pool_requests_in_flight", "Requests at the pool's backends, without tunnels.",
            Double(pool.requestsInFlight))
        add(
            "tandem_pool_open_connections", "Connections to the pool's backends.",
            Double(pool.connections))
        add(
            "tandem_pool_retries_in_flight", "Retries at the pool's backends.",
            Double(pool.retriesInFlight))
        add("tandem_pool_queued_requests", "Requests that wait for room.", Double(pool.waiting))
        if let limit = pool.adaptiveLimit {
            add(
                "tandem_pool_adaptive_request_limit",
                "Requests that may be in flight as latency has it.", Double(limit))
        }
        add(
            "tandem_pool_in_flight_per_weight_mean",
            "Requests in flight for the weight: mean over serving backends.",
            pool.inFlightSpread.mean)
        add(
            "tandem_pool_in_flight_per_weight_stddev",
            "Requests in flight for the weight: standard deviation over serving backends.",
            pool.inFlightSpread.deviation)
        add(
            "tandem_pool_request_rate_per_weight_mean",
            "Requests a second for the weight, lately: mean over serving backends.",
            pool.requestRateSpread.mean)
        add(
            "tandem_pool_request_rate_per_weight_stddev",
            "Requests a second for the weight, lately: standard deviation over serving backends.",
            pool.requestRateSpread.deviation)
    }
}
