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
    /// Connections kept between probes, each with one descriptor; other probes connect anew.
    public static let keptConnectionsMax = 1_024

    /// What the checks count.
    public let metrics = HealthMetrics()
    private let loop: EventLoop
    private let logger: Logger
    private let announce: (BackendVerdict) -> Void
    private let slots: ProbeSlots
    private let kept = KeptConnections(capacity: HealthService.keptConnectionsMax)
    private var generator: SeededGenerator
    private var order: [String] = []
    private var supervisors: [String: PoolSupervisor] = [:]

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
        let old = supervisors
        supervisors = [:]
        order = pools.map(\.name)
        for pool in pools {
            let supervisor = old[pool.name] ?? makeSupervisor(pool)
            supervisors[pool.name] = supervisor
            supervisor.apply(pool)
        }
        for (name, supervisor) in old where supervisors[name] == nil { supervisor.stop() }
        metrics.keep(only: present.flatMap(\.checkIdentities))
    }

    /// Ends all checks; a running probe is dropped without a result.
    public func stop() {
        for supervisor in supervisors.values { supervisor.stop() }
        supervisors = [:]
        order = []
    }

    /// How every backend is, in the order of the configuration.
    public func snapshot() -> [BackendHealth] {
        present.flatMap { $0.snapshot() }
    }

    private var present: [PoolSupervisor] { order.compactMap { supervisors[$0] } }

    private func makeSupervisor(_ pool: PoolConfiguration) -> PoolSupervisor {
        PoolSupervisor(
            pool, loop: loop, slots: slots, kept: kept, metrics: metrics, logger: logger,
            generator: SeededGenerator(seed: generator.next()), announce: announce)
    }
}
