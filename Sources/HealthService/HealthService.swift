// SPDX-License-Identifier: Apache-2.0
//
// Active health checks of all pools, on the loop of the control thread. It decides nothing about
// traffic: verdicts go to whoever was named at the start.

internal import BalancerCore
public import ConfigurationCore
public import EventLoop
internal import LinuxIO
public import Telemetry
internal import WireCore

/// Checks the backends of every pool that asks for it; lives on one loop.
///
/// Backends are taken for healthy until their checks say otherwise, so a restart never empties a
/// pool. The verdict handler is called on the loop, at every change, and for each backend that is
/// down when a configuration is applied; it must not mind hearing the same twice.
public final class HealthService {
    /// Probes that may run at once, each with one descriptor; more wait in line.
    public static let probesAtOnceMax = 256

    /// What the checks count.
    public let metrics = HealthMetrics()
    private let loop: EventLoop
    private let logger: Logger
    private let announce: (BackendVerdict) -> Void
    private let slots: ProbeSlots
    private var generator: SeededGenerator
    private var pools: [PoolConfiguration] = []
    private var monitors: [BackendIdentity: BackendMonitor] = [:]

    /// Prepares the service; `apply` begins the checks.
    ///
    /// - Parameters:
    ///   - loop: where everything happens.
    ///   - logger: hears each change once.
    ///   - seed: for the jitter of the schedule; differs from node to node.
    ///   - probesAtOnceMax: lowers the number of probes that may run at once.
    ///   - announce: hears each verdict.
    public init(
        on loop: EventLoop, logger: Logger, seed: UInt64,
        probesAtOnceMax: Int = HealthService.probesAtOnceMax,
        announce: @escaping (BackendVerdict) -> Void
    ) {
        self.loop = loop
        self.logger = logger
        self.announce = announce
        generator = SeededGenerator(seed: seed)
        slots = ProbeSlots(capacity: max(1, probesAtOnceMax), on: loop)
    }

    /// Checks these pools from now on.
    ///
    /// A backend whose address and probe stayed the same keeps its verdict and its counts; a
    /// changed interval or threshold holds from the next check on. One that changed starts anew.
    public func apply(_ pools: [PoolConfiguration]) {
        self.pools = pools
        let old = monitors
        monitors = [:]
        var identities: [BackendIdentity] = []
        var present = Set<BackendIdentity>()
        for pool in pools {
            for backend in pool.backends {
                let identity = BackendIdentity(pool: pool.name, backend: backend.name)
                present.insert(identity)
                guard let check = pool.healthCheck, let address = backend.address else { continue }
                identities.append(identity)
                let target = ProbeTarget(
                    address: address, probe: check.probe,
                    proxyHeader: pool.sendsProxyHeader)
                keepOrBegin(identity, target, check, old: old[identity])
            }
        }
        metrics.keep(only: identities)
        retire(old, present: present)
    }

    /// Ends all checks; a running probe is dropped without a result.
    public func stop() {
        for monitor in monitors.values { monitor.stop() }
        monitors = [:]
        pools = []
    }

    /// How every backend is, in the order of the configuration.
    public func snapshot() -> [BackendHealth] {
        pools.flatMap { pool in
            pool.backends.compactMap { backend in
                guard let address = backend.address else { return nil }
                let identity = BackendIdentity(pool: pool.name, backend: backend.name)
                let machine = monitors[identity]?.machine
                return BackendHealth(
                    pool: pool.name, backend: backend.name, address: address,
                    isChecked: machine != nil, verdict: machine?.verdict ?? .unverified,
                    changedAt: machine?.changedAt ?? loop.now,
                    lastCheckedAt: machine?.lastProbeEndedAt,
                    lastFailure: machine?.lastFailure,
                    lastLatency: machine?.lastProbeLatency ?? .zero,
                    consecutivePasses: machine?.consecutivePasses ?? 0,
                    consecutiveFailures: machine?.consecutiveFailures ?? 0)
            }
        }
    }

    private func keepOrBegin(
        _ identity: BackendIdentity, _ target: ProbeTarget, _ check: HealthCheckConfiguration,
        old: BackendMonitor?
    ) {
        let plan = HealthCheckPlan(
            interval: check.interval, timeout: check.timeout, fall: check.fall, rise: check.rise)
        if let old, old.target == target {
            old.replacePlan(plan)
            monitors[identity] = old
            if !old.machine.verdict.isServing {
                say(identity, isServing: false, "still down after the reload")
            }
            return
        }
        let monitor = BackendMonitor(
            identity, target: target, plan: plan,
            generator: SeededGenerator(seed: generator.next()), loop: loop, slots: slots,
            counters: metrics.counters(for: identity), logger: logger, announce: announce)
        monitors[identity] = monitor
        monitor.start()
    }

    /// Stops what is no longer checked; a backend that stays in its pool may serve again.
    private func retire(_ old: [BackendIdentity: BackendMonitor], present: Set<BackendIdentity>) {
        for (identity, monitor) in old where monitors[identity] !== monitor {
            monitor.stop()
            if present.contains(identity), !monitor.machine.verdict.isServing {
                say(identity, isServing: true, "its check changed, not verified yet")
            }
        }
    }

    private func say(_ identity: BackendIdentity, isServing: Bool, _ reason: String) {
        announce(
            BackendVerdict(
                pool: identity.pool, backend: identity.backend, isServing: isServing,
                reason: reason))
    }
}
