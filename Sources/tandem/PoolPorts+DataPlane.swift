// SPDX-License-Identifier: Apache-2.0
//
// The way between those who decide about backends and those who use them.

internal import BalancerCore
internal import EventLoop
internal import HealthService
internal import ProxyService
internal import Telemetry

extension PoolPorts {
    /// Leads to a data plane.
    init(_ dataPlane: DataPlane, logger: Logger) {
        self.init()
        setStandings = { pool, changes in
            _ = dataPlane.setStandings(
                pool: pool, changes.map { (backend: $0.backend, standing: $0.standing) })
        }
        closeIdle = { pool, backends in
            guard !dataPlane.closeIdle(pool: pool, backends: backends) else { return }
            logger.warning("[pool \(pool)] idle connections not closed: a worker is stuck")
        }
        forceClose = { pool, backends, tunnelsToo in
            guard
                !dataPlane.forceClose(pool: pool, backends: backends, tunnelsToo: tunnelsToo)
            else { return }
            logger.warning("[pool \(pool)] requests not cut: a worker is stuck")
        }
        tallies = { pool in
            dataPlane.traffic(pool: pool).map { backend, traffic in
                NamedTally(
                    backend: backend,
                    tally: BackendTally(
                        requests: traffic.requests,
                        failures: traffic.serverErrors &+ traffic.localFailures))
            }
        }
        work = { pool, backend in
            let inFlight = dataPlane.inFlight(pool: pool, backend: backend)
            return BackendWork(exchanges: inFlight.requests, tunnels: inFlight.tunnels)
        }
    }
}

extension TrafficFinding {
    /// What a worker found.
    init(_ finding: TrafficEvent.Finding) {
        switch finding {
        case .failedInARow(let cause): self = .failedInARow(cause)
        case .trialBegan: self = .trialBegan
        case .trialEnded(let outcome): self = .trialEnded(outcome)
        }
    }
}
