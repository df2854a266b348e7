// SPDX-License-Identifier: Apache-2.0
//
// The way between those who decide about backends and those who use them.

internal import BalancerCore
internal import EventLoop
internal import HealthService
internal import ProxyService
internal import Telemetry
internal import WireCore

extension PoolPorts {
    /// Time until a worker whose mailbox was full is asked once more.
    private static let askAgainDelay = TimeSpan.milliseconds(100)

    /// Leads to a data plane.
    init(_ dataPlane: DataPlane, on loop: EventLoop, logger: Logger) {
        self.init()
        setStandings = { pool, changes in
            _ = dataPlane.setStandings(
                pool: pool, changes.map { (backend: $0.backend, standing: $0.standing) })
        }
        closeIdle = { pool, backends in
            Self.askTwice(on: loop) {
                dataPlane.closeIdle(pool: pool, backends: backends)
            } otherwise: {
                logger.warning("[pool \(pool)] idle connections not closed: a worker is stuck")
            }
        }
        forceClose = { pool, backends, tunnelsToo in
            Self.askTwice(on: loop) {
                dataPlane.forceClose(pool: pool, backends: backends, tunnelsToo: tunnelsToo)
            } otherwise: {
                logger.warning("[pool \(pool)] requests not cut: a worker is stuck")
            }
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

    /// Asks once more when a mailbox was full: most workers catch up in that time.
    private static func askTwice(
        on loop: EventLoop, _ ask: @escaping () -> Bool, otherwise complain: @escaping () -> Void
    ) {
        guard !ask() else { return }
        loop.schedule(after: askAgainDelay) {
            if !ask() { complain() }
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
