// SPDX-License-Identifier: Apache-2.0
//
// Who of each pool may be chosen, on the loop of the control thread: active checks, and governors
// that weigh them against traffic and the operator's wishes. It carries no traffic: what follows
// goes to the data plane through ports.

public import BalancerCore
public import ConfigurationCore
public import EventLoop
internal import LinuxIO
public import Telemetry
internal import WireCore

/// Watches the backends of every pool; lives on one loop.
///
/// Backends are taken for healthy until their checks say otherwise, so a restart never empties a
/// pool. Standings are told at every change, and all of them when a configuration is applied: the
/// ports must not mind hearing the same twice.
public final class HealthService {
    /// Probes that may run at once, each with one descriptor; more wait in line.
    public static let probesAtOnceMax = 256
    /// Connections kept between probes, each with one descriptor; other probes connect anew.
    public static let keptConnectionsMax = 512

    /// What checks and governors count.
    public let metrics = HealthMetrics()
    private let loop: EventLoop
    private let logger: Logger
    private var ports: PoolPorts
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
    ///   - ports: the way to the data plane.
    public init(
        on loop: EventLoop, logger: Logger, seed: UInt64,
        probesAtOnceMax: Int = HealthService.probesAtOnceMax, ports: PoolPorts
    ) {
        self.loop = loop
        self.logger = logger
        self.ports = ports
        generator = SeededGenerator(seed: seed)
        slots = ProbeSlots(capacity: max(1, probesAtOnceMax), on: loop)
    }

    /// Watches these pools from now on.
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
        metrics.keep(
            only: present.flatMap(\.checkIdentities), pools: present.map(\.driver.counters))
    }

    /// Ends all checks; a running probe is dropped without a result.
    public func stop() {
        for supervisor in supervisors.values { supervisor.stop() }
        supervisors = [:]
        order = []
    }

    // MARK: What happened

    /// Takes in what traffic showed about a backend.
    public func traffic(pool: String, backend: String, _ finding: TrafficFinding) {
        supervisors[pool]?.driver.traffic(backend, finding)
    }

    /// Takes a backend out for good reasons, or lets checks and traffic decide again.
    ///
    /// - Returns: false when there is no such backend.
    public func setAdminState(pool: String, backend: String, _ state: AdminState) -> Bool {
        supervisors[pool]?.driver.setAdminState(backend, state) ?? false
    }

    /// Gives a backend another weight, 0 to 256; `nil` gives it that of the configuration again.
    ///
    /// - Returns: false when there is no such backend.
    public func setWeight(pool: String, backend: String, _ weight: Int?) -> Bool {
        supervisors[pool]?.driver.setWeight(backend, weight) ?? false
    }

    /// Overrules checks and traffic once, see `ForcedHealth`; `nil` lets them decide again.
    ///
    /// - Returns: false when there is no such backend.
    public func setForcedHealth(pool: String, backend: String, _ health: ForcedHealth?) -> Bool {
        supervisors[pool]?.driver.setForcedHealth(backend, health) ?? false
    }

    /// Keeps the health that a backend was said to have, also after its pool was applied; `nil`
    /// lets checks and traffic decide again, but a backend that is up by order stays so.
    ///
    /// - Returns: false when there is no such backend.
    public func holdHealth(pool: String, backend: String, _ health: ForcedHealth?) -> Bool {
        supervisors[pool]?.driver.holdHealth(backend, health) ?? false
    }

    // MARK: The other node

    /// Tells what is found out from now on.
    func setPeerPort(_ tell: @escaping (BackendWord) -> Void) {
        ports.tellPeer = tell
        for supervisor in supervisors.values { supervisor.driver.ports.tellPeer = tell }
    }

    /// Takes in what the peer found out; false when this node has no such backend.
    func hear(_ word: PeerWord) -> Bool {
        supervisors[word.pool]?.hear(word) ?? false
    }

    // MARK: Pictures

    /// True when nothing that checks found waits to be weighed.
    var isSettled: Bool { supervisors.values.allSatisfy(\.driver.isSettled) }

    /// How every backend is, in the order of the configuration.
    public func snapshot() -> [BackendHealth] {
        present.flatMap { $0.snapshot() }
    }

    /// How every pool is, in the order of the configuration.
    public func poolSnapshot() -> [PoolHealth] {
        present.map { PoolHealth(pool: $0.pool.name, status: $0.driver.status) }
    }

    private var present: [PoolSupervisor] { order.compactMap { supervisors[$0] } }

    private func makeSupervisor(_ pool: PoolConfiguration) -> PoolSupervisor {
        PoolSupervisor(
            pool, loop: loop, slots: slots, kept: kept, metrics: metrics, ports: ports,
            logger: logger, generator: SeededGenerator(seed: generator.next()))
    }
}
