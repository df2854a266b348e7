// SPDX-License-Identifier: Apache-2.0
//
// What every test of the service needs: a loop, the service on it, the orders it gave.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import HealthService

/// A service with a loop of its own.
final class HealthBench {
    /// Collects what the service orders, and answers what it asks.
    final class Orders {
        var standings: [(pool: String, change: StandingChange)] = []
        /// How many changes came together, for each order.
        var batches: [Int] = []
        var idleClosed: [String] = []
        var cut: [String] = []
        var cutWithTunnels: [String] = []
        var tallies: [NamedTally] = []
        var work: [String: BackendWork] = [:]
    }

    let loop: EventLoop
    let service: HealthService
    let orders: Orders

    init(probesAtOnceMax: Int = 256) throws {
        let orders = Orders()
        let loop = try EventLoop()
        self.orders = orders
        self.loop = loop
        var ports = PoolPorts()
        ports.setStandings = { pool, changes in
            orders.batches.append(changes.count)
            orders.standings += changes.map { (pool, $0) }
        }
        ports.closeIdle = { _, backends in orders.idleClosed += backends }
        ports.forceClose = { _, backends, tunnelsToo in
            if tunnelsToo { orders.cutWithTunnels += backends } else { orders.cut += backends }
        }
        ports.tallies = { _ in orders.tallies }
        ports.work = { _, backend in orders.work[backend] ?? BackendWork() }
        service = HealthService(
            on: loop, logger: Logger("health", sink: nil), seed: 7,
            probesAtOnceMax: probesAtOnceMax, ports: ports)
    }

    deinit {
        loop.close()
    }

    /// Every admission a backend was given, repetitions left out.
    func admissions(_ backend: String = "be1") -> [BackendStanding.Admission] {
        var seen: [BackendStanding.Admission] = []
        for (_, change) in orders.standings where change.backend == backend {
            if seen.last != change.standing.admission { seen.append(change.standing.admission) }
        }
        return seen
    }

    /// The first backend as the service sees it.
    var first: BackendHealth { service.snapshot()[0] }

    /// Runs the loop until `condition` holds; fails the test after half a minute.
    func poll(
        for what: String, at location: SourceLocation = #_sourceLocation, _ condition: () -> Bool
    ) {
        let isMet = loop.run(until: Clock.now() + .seconds(30)) {
            service.isSettled && condition()
        }
        #expect(isMet, "waited in vain for \(what)", sourceLocation: location)
    }

    /// A pool `web` without a guard, with backends `be1` and so on, checked every ten milliseconds.
    static func pool(
        _ endpoints: [Endpoint],
        probe: HealthCheckConfiguration.Probe = .http(HTTPProbe(path: "/healthz", host: nil)),
        fall: Int = 2, rise: Int = 2, timeoutMilliseconds: UInt64 = 2_000
    ) -> PoolConfiguration {
        var pool = PoolConfiguration(
            name: "web", balance: .leastTime,
            backends: endpoints.enumerated().map { number, endpoint in
                BackendConfiguration(name: "be\(number + 1)", address: endpoint, weight: 1)
            },
            healthCheck: HealthCheckConfiguration(
                probe: probe, interval: .milliseconds(10),
                timeout: .milliseconds(timeoutMilliseconds), fall: fall, rise: rise))
        // Without the guard checks have the last word even about the last backend.
        pool.cascadeGuard = nil
        pool.outlierDetection = nil
        return pool
    }
}
