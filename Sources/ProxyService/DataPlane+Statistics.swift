// SPDX-License-Identifier: Apache-2.0
//
// Reading the workers' counters, as values and as metrics.

internal import EventLoop
internal import HTTPCore
internal import Synchronization
public import Telemetry
internal import WireCore

extension DataPlane {
    /// The numbers of this moment; cheap enough for every scrape, not for every request.
    public func statistics() -> DataPlaneStatistics {
        let snapshot = currentSnapshot
        let rows = workerTallies
        let pools = snapshot.pools.map { statistics(of: $0) }
        return DataPlaneStatistics(
            listeners: snapshot.listeners.map { Self.statistics(of: $0.shared) },
            backends: pools.flatMap(\.backends), pools: pools.map(\.pool),
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
        for backend in numbers.backends { collect(backend, into: &text) }
        for pool in numbers.pools { collect(pool, into: &text) }
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
        collectCarryOver(into: &text)
        collectShadows(into: &text)
        text.add(
            "tandem_buffer_bytes", .gauge, help: "Bytes of buffers in use.",
            Double(numbers.bufferByteCount))
        text.add(
            "tandem_reload_stall_max_seconds", .gauge,
            help: "Longest time a change of configuration has kept a worker from its clients.",
            numbers.longestAdoption.secondsAsDouble)
        text.add(
            "tandem_traffic_reports_dropped_total", .counter,
            help: "Findings about backends that the control thread was too busy to take.",
            Double(reports.droppedCount))
        text.add(
            "tandem_worker_orders_dropped_total", .counter,
            help: "Orders that a worker was too busy to take.",
            Double(mailboxes.reduce(0) { $0 &+ $1.droppedCount }))
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
}
