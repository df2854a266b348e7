// SPDX-License-Identifier: Apache-2.0
//
// One pool on the loop: the checks of its backends, and what follows from them.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import WireCore

/// Watches the backends of one pool.
final class PoolSupervisor {
    /// The checks of one backend.
    private struct Checks {
        var liveness: BackendMonitor?
        var readiness: BackendMonitor?

        subscript(kind: CheckKind) -> BackendMonitor? {
            get {
                switch kind {
                case .liveness: liveness
                case .readiness: readiness
                }
            }
            set {
                switch kind {
                case .liveness: liveness = newValue
                case .readiness: readiness = newValue
                }
            }
        }
    }

    private(set) var pool: PoolConfiguration
    private let loop: EventLoop
    private let slots: ProbeSlots
    private let kept: KeptConnections
    private let metrics: HealthMetrics
    private let logger: Logger
    private let ports: PoolPorts
    let driver: GovernorDriver
    private var generator: SeededGenerator
    private var checks: [String: Checks] = [:]

    init(
        _ pool: PoolConfiguration, loop: EventLoop, slots: ProbeSlots, kept: KeptConnections,
        metrics: HealthMetrics, ports: PoolPorts, logger: Logger, generator: SeededGenerator
    ) {
        self.pool = pool
        self.loop = loop
        self.slots = slots
        self.kept = kept
        self.metrics = metrics
        self.logger = logger
        self.ports = ports
        var generator = generator
        driver = GovernorDriver(
            pool, loop: loop, ports: ports, logger: logger, seed: generator.next())
        self.generator = generator
    }

    /// Names the checks that are made; for metrics.
    var checkIdentities: [HealthMetrics.CheckIdentity] {
        pool.backends.flatMap { backend in
            CheckKind.allCases.compactMap { kind in
                checks[backend.name]?[kind] == nil ? nil : identity(backend.name, kind)
            }
        }
    }

    /// Checks the backends of this configuration from now on.
    func apply(_ pool: PoolConfiguration) {
        self.pool = pool
        driver.apply(pool)
        let old = checks
        checks = [:]
        checks.reserveCapacity(pool.backends.count)
        for backend in pool.backends {
            var mine = Checks()
            let known = old[backend.name] ?? Checks()
            for kind in CheckKind.allCases {
                guard let check = self.check(kind), let address = backend.address else { continue }
                let target = ProbeTarget(check, of: pool, at: address)
                mine[kind] = keepOrBegin(backend.name, kind, target, check, old: known[kind])
            }
            checks[backend.name] = mine
        }
        retire(old)
        driver.reportNews()
    }

    /// Ends all checks.
    func stop() {
        for checks in checks.values {
            for kind in CheckKind.allCases { checks[kind]?.stop() }
        }
        checks = [:]
        driver.stop()
    }

    /// Takes in what the peer found out; false when this pool has no such backend.
    func hear(_ word: PeerWord) -> Bool {
        // Without a check of its own this node would never learn that it is over.
        if case .check(let kind, _) = word.report, checks[word.backend]?[kind] == nil {
            return false
        }
        return driver.hear(word)
    }

    /// How every backend is, in the order of the configuration.
    func snapshot() -> [BackendHealth] {
        pool.backends.compactMap { backend in
            guard let address = backend.address else { return nil }
            let checks = checks[backend.name]
            return BackendHealth(
                pool: pool.name, backend: backend.name, address: address,
                governed: driver.status(of: backend.name),
                liveness: checks?.liveness.map { CheckHealth($0.machine) },
                readiness: checks?.readiness.map { CheckHealth($0.machine) })
        }
    }

    private func check(_ kind: CheckKind) -> HealthCheckConfiguration? {
        switch kind {
        case .liveness: pool.healthCheck
        case .readiness: pool.readinessCheck
        }
    }

    private func identity(_ backend: String, _ kind: CheckKind) -> HealthMetrics.CheckIdentity {
        HealthMetrics.CheckIdentity(
            backend: BackendIdentity(pool: pool.name, backend: backend), kind: kind)
    }

    private func keepOrBegin(
        _ backend: String, _ kind: CheckKind, _ target: ProbeTarget,
        _ check: HealthCheckConfiguration, old: BackendMonitor?
    ) -> BackendMonitor {
        let plan = HealthCheckPlan(check)
        if let old, old.target == target {
            old.replacePlan(plan)
            return old
        }
        let name = "[pool \(pool.name)] backend \(backend)"
        let monitor = BackendMonitor(
            kind == .liveness ? name : name + " readiness", target: target, plan: plan,
            generator: SeededGenerator(seed: generator.next()),
            around: BackendMonitor.Surroundings(
                loop: loop, slots: slots, kept: kept,
                counters: metrics.counters(for: identity(backend, kind)), logger: logger,
                announce: { [weak self] in self?.driver.checkChanged(backend, kind, $0) },
                passedAgain: { [weak self] in self?.driver.checkPassedAgain(backend, kind) }))
        monitor.start()
        return monitor
    }

    /// Stops what is no longer checked; what it said does not count any more.
    private func retire(_ old: [String: Checks]) {
        for (backend, checks) in old {
            for kind in CheckKind.allCases {
                guard let monitor = checks[kind], self.checks[backend]?[kind] !== monitor else {
                    continue
                }
                monitor.stop()
                if monitor.machine.verdict != .unverified || driver.failsAtPeer(backend, kind) {
                    driver.checkForgotten(backend, kind)
                }
            }
        }
    }
}

extension HealthCheckPlan {
    /// The plan of a configured check.
    init(_ check: HealthCheckConfiguration) {
        self.init(
            interval: check.interval, timeout: check.timeout, fall: check.fall, rise: check.rise,
            jitterPercent: check.jitterPercent, transitionInterval: check.fastInterval,
            downInterval: check.downInterval)
    }
}
