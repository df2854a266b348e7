// SPDX-License-Identifier: Apache-2.0
//
// The tables of the runtime socket: what HAProxy's columns mean for this node.

internal import AdminService
internal import BalancerCore
internal import ConfigurationCore
internal import ConfigurationService
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import Telemetry
internal import WireCore

extension Node {
    /// Registers the commands that show tables.
    func registerStatCommands() {
        registry.add(
            "show stat",
            help: "[IID TYPE SID] [json]: numbers of listeners, backends and pools"
        ) { [unowned self] words in
            // As in HAProxy, words that ask for nothing known ask for everything.
            let filter = StatFilter(words.prefix(3)) ?? StatFilter()
            let rows = statRows().filter(filter.admits)
            return words.contains("json") ? StatTable.json(rows).rendered() : StatTable.csv(rows)
        }
    }

    // MARK: show stat

    private func statRows() -> [StatRow] {
        guard let statistics = dataPlane?.statistics() else { return [] }
        var rows: [StatRow] = []
        for (index, listener) in statistics.listeners.enumerated() {
            rows.append(statRow(listener, number: index + 1))
        }
        let backends = Dictionary(grouping: backendRows(statistics), by: \.pool)
        let pools = Dictionary(
            statistics.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (index, pool) in roster.pools.enumerated() {
            let number = statistics.listeners.count + index + 1
            let own = backends[pool.name] ?? []
            for (place, row) in own.enumerated() {
                rows.append(statRow(row, pool, numbers: (number, place + 1)))
            }
            rows.append(statRow(pool, own, pools[pool.name], number: number))
        }
        return rows
    }

    private func statRow(_ listener: ListenerStatistics, number: Int) -> StatRow {
        var row = StatRow(
            .frontend, proxy: listener.name, service: "FRONTEND", numbers: (number, 0))
        row.set(.status, "OPEN")
        row.set(.address, "\(listener.bind)")
        row.set(.sessions, listener.connectionsOpen)
        row.set(.sessionsTotal, listener.connectionsAccepted)
        row.set(.connectionsTotal, listener.connectionsAccepted)
        row.set(.requestsTotal, listener.requests)
        row.set(.bytesIn, listener.bytesReceived)
        row.set(.bytesOut, listener.bytesSent)
        row.set(.clientAborts, listener.clientAborts)
        row.set(.serverAborts, listener.truncatedResponses)
        row.set(.deniedRequests, listener.refusedStreams)
        row.set(listener.responses)
        let isTCP = loaded.configuration.listeners.contains {
            if case .tcp = $0.service { return $0.name == listener.name }
            return false
        }
        row.set(.mode, isTCP ? "tcp" : "http")
        return row
    }

    private func statRow(
        _ backend: BackendRow, _ pool: PoolConfiguration, numbers: (proxy: Int, service: Int)
    ) -> StatRow {
        var row = StatRow(.server, proxy: pool.name, service: backend.name, numbers: numbers)
        row.set(backend)
        row.set(.status, backend.statusWord)
        row.set(.address, backend.address)
        row.set(.reason, backend.reason)
        let standing = backend.standing
        row.set(.throttle, standing.rampPercent)
        row.set(.weight, standing.effectiveWeight / 100)
        row.set(.userWeight, standing.weight)
        let written = roster[BackendRoster.Name(pool: pool.name, backend: backend.name)]
        let isBackup = (written?.priority ?? 0) > 0
        row.set(.active, isBackup ? 0 : 1)
        row.set(.backup, isBackup ? 1 : 0)
        if let zone = written?.zone { row.set(.zone, zone) }
        if let most = written?.maxRequests { row.set(.sessionLimit, most) }
        if let until = backend.health.ejectedUntil {
            row.set(.ejectedUntil, (until - Clock.now()).milliseconds / 1_000)
        }
        row.set(.lastChange, secondsSinceChange(backend))
        row.set(.checksDown, backend.health.governed?.flapsTotal ?? 0)
        if let traffic = backend.traffic {
            row.set(.requestRate, UInt64(max(0, min(traffic.requestRate.rounded(), 1e18))))
            let latencies =
                traffic.recentLatencies.isEmpty ? traffic.latencies : traffic.recentLatencies
            let columns = [(StatField.latency50, 500), (.latency95, 950), (.latency99, 990)]
            for (field, perMille) in columns {
                guard let latency = latencies.quantile(perMille: perMille) else { continue }
                row.set(field, latency.microseconds)
            }
        }
        if backend.health.isChecked, let check = pool.healthCheck {
            row.set(.checkStatus, backend.checkStatus)
            row.set(.checkDuration, backend.health.lastLatency.milliseconds)
            row.set(.checkRise, check.rise)
            row.set(.checkFall, check.fall)
            row.set(
                .checkHealth,
                min(
                    backend.health.consecutivePasses, check.rise + check.fall - 1))
            row.set(.lastCheck, backend.health.lastFailure.map { "\($0)" } ?? "")
        }
        return row
    }

    private func statRow(
        _ pool: PoolConfiguration, _ backends: [BackendRow], _ numbers: PoolStatistics?,
        number: Int
    ) -> StatRow {
        var row = StatRow(.backend, proxy: pool.name, service: "BACKEND", numbers: (number, 0))
        let up = backends.filter { $0.health.state == .up }
        var total = BackendTotals()
        for backend in backends { total.add(backend) }
        row.set(total)
        row.set(.status, up.isEmpty ? "DOWN" : "UP")
        row.set(.weight, up.reduce(0) { $0 + Int($1.standing.weight) })
        let priorities = up.map { backend in
            roster[BackendRoster.Name(pool: pool.name, backend: backend.name)]?.priority ?? 0
        }
        row.set(.active, priorities.filter { $0 == 0 }.count)
        row.set(.backup, priorities.filter { $0 > 0 }.count)
        row.set(.queued, numbers?.waiting ?? 0)
        row.set(.queueLimit, pool.queue.length)
        if let most = pool.limits.requests { row.set(.sessionLimit, most) }
        row.set(.algorithm, pool.balance.rawValue)
        if let sticky = pool.sticky { row.set(.cookie, sticky.cookie) }
        return row
    }

    /// Seconds since the last change of a backend's state.
    func secondsSinceChange(_ backend: BackendRow) -> UInt64 {
        (Clock.now() - (backend.health.since ?? startedAt)).milliseconds / 1_000
    }
}

/// The sums of a pool's backends.
private struct BackendTotals {
    var inFlight = 0
    var idle: UInt64 = 0
    var requests: UInt64 = 0
    var connections: UInt64 = 0
    var connectFailures: UInt64 = 0
    var failures: UInt64 = 0
    var retries: UInt64 = 0
    var responses: [UInt64] = [0, 0, 0, 0, 0]
    var latencySum = TimeSpan.zero
    var latencyCount: UInt64 = 0

    mutating func add(_ row: BackendRow) {
        guard let traffic = row.traffic else { return }
        inFlight += traffic.requestsInFlight
        idle &+= traffic.idleConnections
        requests &+= traffic.requests
        connections &+= traffic.connections
        connectFailures &+= traffic.connectFailures
        failures &+= traffic.failures
        retries &+= traffic.retries
        for (index, entry) in traffic.responses.labelled.enumerated() {
            responses[index] &+= entry.count
        }
        latencySum = latencySum + traffic.latencySum
        latencyCount &+= traffic.latencyCount
    }
}

extension StatRow {
    fileprivate mutating func set(_ responses: ResponseClassCounts) {
        set(.responses1xx, responses.informational)
        set(.responses2xx, responses.success)
        set(.responses3xx, responses.redirection)
        set(.responses4xx, responses.clientError)
        set(.responses5xx, responses.serverError)
        set(.responsesOther, 0)
    }

    fileprivate mutating func set(_ total: BackendTotals) {
        set(.sessions, total.inFlight)
        set(.sessionsTotal, total.requests)
        set(.chosen, total.requests)
        set(.connects, total.connections)
        set(.connectErrors, total.connectFailures)
        set(.responseErrors, total.failures)
        set(.retries, total.retries)
        set(.redispatches, total.retries)
        set(.idleConnections, total.idle)
        set(.responses1xx, total.responses[0])
        set(.responses2xx, total.responses[1])
        set(.responses3xx, total.responses[2])
        set(.responses4xx, total.responses[3])
        set(.responses5xx, total.responses[4])
        set(.responsesOther, 0)
        set(.mode, "http")
        if total.latencyCount > 0 {
            set(.responseTime, total.latencySum.milliseconds / total.latencyCount)
        }
    }

    fileprivate mutating func set(_ backend: BackendRow) {
        var total = BackendTotals()
        total.add(backend)
        set(total)
    }
}
