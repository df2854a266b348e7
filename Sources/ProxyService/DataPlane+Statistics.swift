// SPDX-License-Identifier: Apache-2.0
//
// Reading the workers' counters, as values and as metrics.

internal import BalancerCore
internal import HTTPCore
internal import Synchronization
public import Telemetry
internal import WireCore

extension DataPlane {
    /// The numbers of this moment; cheap enough for every scrape, not for every request.
    public func statistics() -> DataPlaneStatistics {
        let snapshot = currentSnapshot
        let rows = workerTallies
        return DataPlaneStatistics(
            listeners: snapshot.listeners.map { Self.statistics(of: $0.shared) },
            backends: snapshot.pools.flatMap { $0.backends.map { Self.statistics(of: $0) } },
            pools: snapshot.pools.map { Self.statistics(of: $0.shared) },
            requestFaults: Self.faults(rows.map(\.requestFaults)),
            responseFaults: Self.faults(rows.map(\.responseFaults)),
            limits: Self.limits(rows),
            openConnections: openConnectionCount, workerCount: rows.count,
            bufferByteCount: rows.reduce(0) {
                $0 + $1.bufferByteCount.load(ordering: .relaxed)
            },
            longestAdoption: TimeSpan(
                nanoseconds: rows.reduce(0) {
                    max($0, $1.longestAdoptionNanoseconds.load(ordering: .relaxed))
                }))
    }

    private static func statistics(of listener: SharedListener) -> ListenerStatistics {
        var sum = ListenerStatistics(name: listener.identity.name, bind: listener.identity.bind)
        for row in listener.tallies {
            sum.connectionsAccepted &+= row.connectionsAccepted.value
            sum.connectionsOpen &+= row.connectionsOpen.value
            sum.requests &+= row.requests.value
            sum.responses += row.statuses.classes
            sum.bytesReceived &+= row.bytesReceived.value
            sum.bytesSent &+= row.bytesSent.value
            sum.truncatedResponses &+= row.truncatedResponses.value
            sum.clientAborts &+= row.clientAborts.value
            sum.clientTimeouts &+= row.clientTimeouts.value
            sum.proxyHeaderFailures &+= row.proxyHeaderFailures.value
            sum.refusedStreams &+= row.refusedStreams.value
            sum.tunnels &+= row.tunnels.value
            sum.tunnelsOpen &+= row.tunnelsOpen.value
            sum.tunnelTimeouts &+= row.tunnelTimeouts.value
        }
        return sum
    }

    private static func statistics(of pool: SharedPool) -> PoolStatistics {
        let limit = pool.adaptiveLimit.load(ordering: .relaxed)
        return PoolStatistics(
            name: pool.name, requestsInFlight: pool.requestsInFlight.load(ordering: .relaxed),
            connections: pool.connections.load(ordering: .relaxed),
            retriesInFlight: pool.retriesInFlight.load(ordering: .relaxed),
            waiting: pool.waiting.load(ordering: .relaxed),
            adaptiveLimit: limit == .max ? nil : limit)
    }

    private static func statistics(of backend: SharedBackend) -> BackendStatistics {
        var sum = BackendStatistics(
            pool: backend.identity.pool, name: backend.identity.name,
            address: backend.identity.address, standing: backend.standing,
            requestsInFlight: backend.requestsInFlight.load(ordering: .relaxed),
            tunnelsInFlight: backend.tunnelsInFlight.load(ordering: .relaxed),
            openConnections: backend.connections.load(ordering: .relaxed))
        for row in backend.tallies {
            sum.idleConnections &+= row.idleConnections.value
            sum.requests &+= row.requests.value
            sum.connections &+= row.connections.value
            sum.connectFailures &+= row.connectFailures.value
            sum.retries &+= row.retries.value
            sum.replays &+= row.replays.value
            sum.failures &+= row.failures.value
            sum.cutRequests &+= row.cutRequests.value
            sum.cutTunnels &+= row.cutTunnels.value
            sum.responses += row.statuses.classes
            sum.latencySum = sum.latencySum + .microseconds(row.latencyMicroseconds.value)
            sum.latencyCount &+= row.latencyCount.value
        }
        return sum
    }

    private static func faults(_ rows: [FaultTallies]) -> [FaultCount] {
        MessageFault.allCases.compactMap { fault in
            let count = rows.reduce(0) { $0 &+ $1.value(of: fault) }
            return count == 0 ? nil : FaultCount(reason: "\(fault.token)", count: count)
        }
    }

    private static func limits(_ rows: [WorkerTallies]) -> [LimitCount] {
        func sum(_ limit: String, _ tally: (LimitTallies) -> UInt64) -> LimitCount {
            LimitCount(limit: limit, count: rows.reduce(0) { $0 &+ tally($1.limits) })
        }
        return [
            sum("connections") { $0.connections.value },
            sum("listener_connections") { $0.listenerConnections.value },
            sum("client_connections") { $0.clientAddresses.value },
            sum("connection_requests") { $0.connectionRequests.value },
            sum("descriptors") { $0.descriptors.value },
            sum("upstream_connections") { $0.upstreams.value },
            sum("idle_upstream_connections") { $0.idleUpstreams.value },
            sum("buffer_memory") { $0.memory.value },
            sum("body_size") { $0.bodies.value },
            sum("body_rate") { $0.bodyRate.value },
            sum("drain_deadline") { $0.drainCuts.value },
        ]
    }
}

extension DataPlane: MetricSource {
    /// Writes the numbers of this moment in Prometheus form.
    public func collect(into text: inout MetricsText) {
        let numbers = statistics()
        for listener in numbers.listeners { Self.collect(listener, into: &text) }
        for backend in numbers.backends { Self.collect(backend, into: &text) }
        for fault in numbers.requestFaults {
            text.add(
                "\(MessageFault.requestCounterName)", .counter,
                help: "Requests refused because they break a rule.",
                labels: ["reason": fault.reason], Double(fault.count))
        }
        for fault in numbers.responseFaults {
            text.add(
                "\(MessageFault.responseCounterName)", .counter,
                help: "Responses of backends refused because they break a rule.",
                labels: ["reason": fault.reason], Double(fault.count))
        }
        for limit in numbers.limits {
            text.add(
                "tandem_limit_hits_total", .counter, help: "How often a limit was reached.",
                labels: ["limit": limit.limit], Double(limit.count))
        }
        collectRoutes(into: &text)
        collectAttempts(into: &text)
        text.add(
            "tandem_buffer_bytes", .gauge, help: "Bytes of buffers in use.",
            Double(numbers.bufferByteCount))
        text.add(
            "tandem_reload_stall_max_seconds", .gauge,
            help: "Longest time a change of configuration has kept a worker from its clients.",
            numbers.longestAdoption.secondsAsDouble)
        text.add(
            "tandem_workers", .gauge, help: "Threads of the data plane.",
            Double(numbers.workerCount))
    }

    private static func collect(_ listener: ListenerStatistics, into text: inout MetricsText) {
        func add(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: UInt64) {
            text.add(name, kind, help: help, labels: ["listener": listener.name], Double(value))
        }
        add(
            "tandem_listener_connections_total", .counter, "Client connections accepted.",
            listener.connectionsAccepted)
        add(
            "tandem_listener_connections_open", .gauge, "Client connections open.",
            listener.connectionsOpen)
        add(
            "tandem_listener_requests_total", .counter, "Requests begun.", listener.requests)
        add(
            "tandem_listener_received_bytes_total", .counter, "Bytes received from clients.",
            listener.bytesReceived)
        add(
            "tandem_listener_sent_bytes_total", .counter, "Bytes sent to clients.",
            listener.bytesSent)
        add(
            "tandem_listener_truncated_responses_total", .counter,
            "Responses cut short because the backend broke off.", listener.truncatedResponses)
        add(
            "tandem_listener_client_aborts_total", .counter,
            "Clients that left before their response was complete.", listener.clientAborts)
        add(
            "tandem_listener_client_timeouts_total", .counter, "Clients cut off for slowness.",
            listener.clientTimeouts)
        collectTunnels(listener, into: &text)
        for (label, count) in listener.responses.labelled {
            text.add(
                "tandem_listener_responses_total", .counter, help: "Responses begun, by class.",
                labels: ["listener": listener.name, "class": label], Double(count))
        }
    }

    private static func collect(_ backend: BackendStatistics, into text: inout MetricsText) {
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
        add(
            "tandem_backend_response_seconds_sum", .counter,
            "Time from the choice of the backend to its response head.",
            backend.latencySum.secondsAsDouble)
        add(
            "tandem_backend_response_seconds_count", .counter,
            "Responses in that sum.", Double(backend.latencyCount))
        for (label, count) in backend.responses.labelled {
            text.add(
                "tandem_backend_responses_total", .counter, help: "Responses begun, by class.",
                labels: ["pool": backend.pool, "backend": backend.name, "class": label],
                Double(count))
        }
    }
}
