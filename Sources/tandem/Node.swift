// SPDX-License-Identifier: Apache-2.0
//
// The control thread of a running node: starts the parts, reloads, hands over and leaves. Touches
// no client connection.

internal import AdminService
internal import ConfigurationCore
internal import ConfigurationService
internal import EventLoop
internal import HealthService
internal import LinuxIO
internal import NFTablesIO
internal import NameService
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPService
internal import WireCore

/// One running node.
final class Node {
    /// Where the configuration comes from, also at a reload.
    struct Source {
        let path: String
        let selection: ConfigurationLoader.Node
    }

    /// How often a drain is looked at.
    private static let drainLookInterval = TimeSpan.milliseconds(10)
    /// How often systemd is told that the node moves; the unit's WatchdogSec is ten times that.
    private static let watchdogInterval = TimeSpan.seconds(1)

    let loop: EventLoop
    let logger: Logger
    let registry = AdminRegistry()
    let startedAt = Clock.now()
    let source: Source
    var loaded: LoadedConfiguration
    /// Which backends there are.
    var roster: BackendRoster
    private(set) var dataPlane: DataPlane?
    private(set) var health: HealthService?
    var names: NameService?
    /// True while answers that could not be put in force wait to be tried again.
    var isLearningAgain = false
    private(set) var pair: PairSnapshot?
    private(set) var metricSources: [any MetricSource] = []
    var reloads = ReloadCounters()
    private(set) var descriptorOrder: DescriptorOrderSelfTest.Verdict?
    private(set) var farewell: FarewellFilter?
    var freezeGuard: FreezeGuard?
    private var admin: AdminServer?
    var pairCommands: Mailbox<PairCommand>?
    var pairEvents: Mailbox<PairEvent>?
    var startSpeaking: (() throws -> Void)?
    private var watchdogFedAt = Instant(nanoseconds: 0)
    var isLeaving = false
    var isDraining = false
    private var exitCode = ExitCode.done
    var switchover = Switchover()
    var switchoverTotals = SwitchoverTotals()
    /// Nobody waits for connections any more.
    var isHurried = false
    var handoverDrain: HandoverDrain?
    var controlTracking: ControlTracking?
    /// What the other node says of backends; `nil` where there is none.
    var peerState: PeerState?
    private(set) var isMemoryLocked = false
    private(set) var replicationReport: ReplicationReport?
    var synchronization = SynchronizationWatch(startedAt: .distantFuture)

    init(_ loaded: LoadedConfiguration, source: Source, loop: EventLoop, logger: Logger) {
        self.loaded = loaded
        roster = BackendRoster(loaded.configuration.pools)
        self.source = source
        self.loop = loop
        self.logger = logger
    }

    /// One word for what this node is.
    var role: String {
        pair?.role ?? (loaded.configuration.pair == nil ? "single" : "initialize")
    }

    var name: String { loaded.localNode?.name ?? FileSystem.hostName() }

    // MARK: Starting

    /// Runs until the node has left.
    func run() -> ExitCode {
        do {
            try start()
        } catch {
            logger.error("cannot start: \(error)")
            return .failed
        }
        loop.run()
        dataPlane?.stop()
        admin?.stop()
        health?.stop()
        names?.stop()
        controlTracking?.stop()
        farewell?.remove()
        logger.info("stopped")
        return exitCode
    }

    private func start() throws {
        let limit = ProcessLimits.raiseDescriptorLimit()
        RulesContext.reserveDescriptors()
        let plan = DescriptorPlan(descriptorLimit: limit)
        lockMemory()
        if let pair = loaded.configuration.pair, let own = loaded.localNode {
            try checkHost(pair, own)
        }
        let wires = try makeReplicationWires()
        let replication = wires?.commands
        let dataPlane = try DataPlane(
            configuration: effectiveConfiguration, nodeName: name,
            logger: logger.named("proxy"), descriptorLimit: plan?.ordinaryCount ?? limit,
            listenerNumbers: plan?.clientListeners ?? 0..<0,
            journal: wires?.journal, pairSecret: loaded.secret,
            shadowChannelLost: { replication?.post(.shadowChannelLost(worker: $0)) })
        try dataPlane.start()
        self.dataPlane = dataPlane
        try startHealth(dataPlane)
        startNames()
        try startAdmin()
        metricSources.append(dataPlane)
        metricSources.append(dataPlane.accessLogMetrics)
        if let pair = loaded.configuration.pair, let own = loaded.localNode {
            try startPair(pair, own: own, plan: plan, dataPlane: dataPlane, wires: wires)
        } else {
            feedWatchdogWithoutPair()
            becomeReady()
        }
    }

    private func lockMemory() {
        do {
            try ProcessLimits.lockMemory()
            isMemoryLocked = true
        } catch {
            logger.warning(
                "memory is not locked: swapping may delay a takeover",
                ["error": error.description, "needs": "CAP_IPC_LOCK"])
        }
    }

    private func startHealth(_ dataPlane: DataPlane) throws {
        let logger = logger.named("health")
        let health = HealthService(
            on: loop, logger: logger, seed: RandomBytes.seed(),
            ports: PoolPorts(dataPlane, on: loop, logger: logger))
        try dataPlane.watchTraffic(on: loop) { event in
            health.traffic(
                pool: event.pool, backend: event.backend, TrafficFinding(event.finding))
        }
        health.apply(roster.pools)
        metricSources.append(health.metrics)
        self.health = health
        guard loaded.peerNode != nil, loaded.configuration.pair != nil else { return }
        try startPeerState(
            StateBoards(
                node: name, dataPlane: dataPlane, isAuthenticated: loaded.secret != nil))
    }

    private func startAdmin() throws {
        registerAdmin()
        let server = AdminServer(loop: loop, registry: registry, logger: logger.named("admin"))
        let settings = loaded.configuration.admin
        do {
            if let path = settings.socket { try server.listen(socketPath: path) }
        } catch {
            throw PairStartError("admin.socket \(settings.socket ?? ""): \(error)")
        }
        do {
            if let endpoint = settings.http { try server.listen(http: endpoint) }
        } catch {
            throw PairStartError("admin.http \(settings.http?.description ?? ""): \(error)")
        }
        admin = server
    }

    /// What the other threads tell the replication thread by; `nil` where there is no other node.
    private func makeReplicationWires() throws(Errno) -> ReplicationWires? {
        guard loaded.peerNode != nil, let pair = loaded.configuration.pair else { return nil }
        let addresses = pair.virtualRouters.filter { $0.announce == .lan }.flatMap(\.addresses)
        return ReplicationWires(
            addresses: addresses, journal: try ConnectionJournal(watching: addresses),
            commands: try Mailbox())
    }

    /// The replication thread listens, or there is none: adverts may begin.
    func replicationStarted(_ report: ReplicationReport?) {
        if let report { metricSources.append(report) }
        replicationReport = report
        synchronization = SynchronizationWatch(startedAt: Clock.now())
        guard let start = startSpeaking.take(), !isLeaving else { return }
        do {
            try start()
        } catch {
            pairFailed("\(error)")
        }
    }

    func pairFailed(_ reason: String) {
        logger.error("cannot start the pair: \(reason)")
        exitCode = .failed
        loop.stop()
    }

    /// Tells systemd that both the control and the pair thread move (sd_notify(3), WATCHDOG=1).
    private func feedWatchdog() {
        let now = Clock.now()
        guard now >= watchdogFedAt + Self.watchdogInterval else { return }
        watchdogFedAt = now
        ServiceManager.notify("WATCHDOG=1")
    }

    private func feedWatchdogWithoutPair() {
        feedWatchdog()
        loop.schedule(after: Self.watchdogInterval) { [unowned self] in feedWatchdogWithoutPair() }
    }

    private func becomeReady() {
        ServiceManager.notify("READY=1\nSTATUS=serving as \(name)")
        logger.info(
            "ready",
            [
                "node": name, "version": Tandem.version, "config": loaded.hash.description,
                "workers": String(dataPlane?.workerCount ?? 0),
            ])
    }

    /// Adds something to the metrics page.
    func addMetricSource(_ source: any MetricSource) {
        metricSources.append(source)
    }

    // MARK: Events

    func handle(_ signal: Signal) {
        switch signal {
        case .hangUp: logger.info("reload: \(reload().text.prefix { $0 != "\n" })")
        case .terminate, .interrupt: leave()
        case .user1, .child: return
        }
    }

    func handle(_ event: PairEvent) {
        switch event {
        case .started(let sources):
            metricSources += sources
            startControlTracking()
            becomeReady()
        case .replicating(let report):
            replicationStarted(report)
        case .failed(let reason):
            pairFailed(reason)
        case .snapshot(let snapshot):
            pair = snapshot
            feedWatchdog()
            watchSynchronization()
        case .switchover(let news):
            handle(news)
        case .left:
            pairLeft()
        }
    }

    // MARK: Leaving

    func drain() {
        guard !isDraining else { return }
        isDraining = true
        let span = isHurried ? .zero : loaded.configuration.timeouts.drain
        dataPlane?.beginDrain(deadline: Clock.now() + span)
        lookWhetherDrained()
    }

    private func lookWhetherDrained() {
        guard dataPlane?.isDrained == false else { return drained() }
        loop.schedule(after: Self.drainLookInterval) { [unowned self] in lookWhetherDrained() }
    }

    // MARK: The host

    /// Says in plain words what on this host would break the virtual addresses.
    private func checkHost(_ pair: PairConfiguration, _ own: NodeConfiguration) throws {
        for name in VirtualMACDevice.removeLeftovers() {
            logger.log(.info, "removed \(name), which a process that died left behind")
        }
        let findings = HostCheck.run(pair: pair, node: own)
        for finding in findings {
            switch finding.severity {
            case .error: logger.log(.error, finding.description)
            case .warning: logger.log(.warning, finding.description)
            case .note: logger.log(.info, finding.description)
            }
        }
        if findings.contains(where: { $0.severity == .error }) {
            throw PairStartError("this host cannot hold the virtual addresses: see the lines above")
        }
        let order = DescriptorOrderCommand.proveOrder(logger: logger)
        descriptorOrder = order
        guard loaded.peerNode != nil else { return }
        farewell = FarewellFilter.install(
            for: pair.virtualRouters.filter { $0.announce == .lan }.flatMap(\.addresses),
            order: order, logger: logger)
    }
}
