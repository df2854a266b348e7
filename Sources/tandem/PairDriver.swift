// SPDX-License-Identifier: Apache-2.0
//
// The pair thread: joins the VRRP speakers, the pair link and the trackers. It passes facts on;
// what they mean is decided in VRRPCore and ReplicationCore.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import TLSIO
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

/// What the pair thread needs to know.
struct PairSetUp: Sendable {
    var pair: PairConfiguration
    var node: NodeConfiguration
    /// The other node; `nil` where there is none or more than one: no election, no link.
    var peer: NodeConfiguration?
    var secret: LinkSecret?
    var configurationHash: UInt64
    var descriptors: DescriptorPlan?
    var dataPlane: DataPlane
    /// How long connections of an address that moves may take to end.
    var drain: TimeSpan
    /// Whether the process's memory is locked.
    var isMemoryLocked: Bool
    /// Hears which addresses come and go; `nil` where there is no other node.
    var replication: Mailbox<ReplicationCommand>?
    /// Shows the host's rules that this process runs; `nil` where they do not ask.
    var pulse: FreezeGuard.Pulse?
    var logger: Logger
}

/// Runs on the pair thread.
final class PairDriver {
    /// Priority of the thread among real-time threads: above ordinary work, below the kernel's.
    static let realTimePriority: Int32 = 20
    /// How often the control thread hears of us without a change.
    static let publishInterval = TimeSpan.milliseconds(250)

    let setUp: PairSetUp
    let loop: EventLoop
    let logger: Logger
    let publish: (PairEvent) -> Void
    let group: VirtualRouterGroup
    /// The link to the other node; `nil` where there is none.
    let link: PairLink?
    /// Planned switchovers; `nil` where there is no other node.
    private(set) var handover: HandoverDriver?
    let tracking: PairTracking
    let lateness: TimerLateness
    var drift: ConfigurationDrift
    var isConfigurationDrifting = false
    var isPeerActive = false
    var configurationHash: UInt64
    private var drain: TimeSpan

    /// Starts the thread; events arrive in `events`, commands are taken from `commands`.
    static func start(
        _ setUp: PairSetUp, commands: Mailbox<PairCommand>, events: Mailbox<PairEvent>
    ) throws(Errno) {
        try KernelThread.start(name: "pair") {
            do {
                let loop = try EventLoop()
                let driver = try PairDriver(setUp, loop: loop) { events.post($0) }
                try driver.start()
                try loop.attach(commands) { driver.handle($0) }
                setUp.pulse?.start(on: loop) { [unowned driver] in driver.noticeLife() }
                withExtendedLifetime(driver) { loop.run() }
            } catch {
                events.post(.failed(String(describing: error)))
            }
        }
    }

    private init(
        _ setUp: PairSetUp, loop: EventLoop, publish: @escaping (PairEvent) -> Void
    ) throws {
        self.setUp = setUp
        self.loop = loop
        self.publish = publish
        configurationHash = setUp.configurationHash
        drain = setUp.drain
        logger = setUp.logger.named("pair")
        let isRealTime = Self.becomeRealTime(logger)
        group = try VirtualRouterGroup(
            pair: setUp.pair, node: setUp.node, peer: setUp.peer, plan: setUp.descriptors,
            key: setUp.secret.map(Self.advertisementKey), loop: loop,
            logger: setUp.logger.named("vrrp"))
        let dataPlane = setUp.dataPlane
        tracking = PairTracking(
            track: setUp.pair.track, loop: loop, logger: setUp.logger.named("track"),
            isDataPlaneStalled: { dataPlane.isStalled(now: Clock.now(), limit: $0) })
        lateness = Self.makeLateness(setUp, isRealTime: isRealTime)
        drift = ConfigurationDrift(
            ownHash: setUp.configurationHash,
            mayHold: setUp.pair.track.onDifferentConfiguration == .hold)
        link = Self.makeLink(setUp, loop: loop)
    }

    // MARK: Making

    private static func becomeRealTime(_ logger: Logger) -> Bool {
        do {
            try KernelThread.becomeRealTime(priority: realTimePriority)
            return true
        } catch {
            logger.warning(
                "no real-time priority: a busy core may delay adverts",
                ["error": error.description, "needs": "CAP_SYS_NICE"])
            return false
        }
    }

    private static func advertisementKey(_ secret: LinkSecret) -> AdvertisementKey {
        AdvertisementKey(
            bytes: secret.derivedKey(for: "vrrp advertisement", with: .openSSL),
            hmacSHA256: { HMACSHA256.authenticationCode(for: $1, key: $0) })
    }

    private static func makeLateness(_ setUp: PairSetUp, isRealTime: Bool) -> TimerLateness {
        let routers = setUp.pair.virtualRouters.filter { $0.announce == .lan }
        let shortest = routers.map(\.advertiseInterval).min() ?? .seconds(1)
        // The peer's patience is the limit that matters; its priority decides the rest of a third.
        return TimerLateness(
            advertiseInterval: shortest, activeDownInterval: shortest.multiplied(by: 3),
            isRealTime: isRealTime, isMemoryLocked: setUp.isMemoryLocked)
    }

    private static func makeLink(_ setUp: PairSetUp, loop: EventLoop) -> PairLink? {
        guard setUp.peer != nil else { return nil }
        guard
            let settings = PairLinkSettings(
                pair: setUp.pair, ownName: setUp.node.name, secret: setUp.secret,
                descriptors: setUp.descriptors, seed: RandomBytes.seed())
        else { preconditionFailure("the loader gave a node that is not in its pair") }
        return PairLink(loop: loop, settings: settings, logger: setUp.logger.named("link"))
    }

    private func start() throws {
        link?.owner = self
        do {
            try link?.start()
        } catch {
            throw PairStartError(
                "pair link: cannot listen on \(setUp.node.address):\(setUp.pair.link.port): "
                    + "\(error)")
        }
        startHandover()
        group.onStateChange = { [unowned self] in stateChanged($0) }
        group.onHandoverWanted = { [unowned self] in handOverAsDegraded($0) }
        group.onQuestion = { [unowned self] in link?.beat() }
        tracking.onVerdict = { [unowned self] in apply($0) }
        // Until the control thread says that it knows what the other node knows.
        group.setHold(.synchronizing, isPresent: setUp.replication != nil)
        // What the trackers say at once must be known before a router starts.
        try tracking.start()
        group.start()
        lateness.observe(loop) { [unowned group] in group.ranLate(by: $0) }
        var sources: [any MetricSource] = group.reports
        sources += [tracking.report, lateness]
        if let link { sources.append(link.counters) }
        publish(.started(sources))
        repeatedly(every: Self.publishInterval) { [unowned self] in
            publishSnapshot()
        }
    }

    private func startHandover() {
        guard let link, let peer = setUp.peer else { return }
        let handover = HandoverDriver(
            loop: loop, group: group, link: link, peerName: peer.name,
            replication: setUp.replication, logger: setUp.logger.named("handover"),
            drainSpan: { [unowned self] in drain }, publish: publish)
        handover.onLeavingEnded = { [unowned self] in leave() }
        group.onWillBeLoud = { [unowned handover] _, _ in handover.willBeLoud() }
        self.handover = handover
    }

    private func repeatedly(every interval: TimeSpan, _ body: @escaping () -> Void) {
        body()
        loop.schedule(after: interval) { [unowned self] in repeatedly(every: interval, body) }
    }

    // MARK: Commands

    private func handle(_ command: PairCommand) {
        switch command {
        case .switchOver: switchOver()
        case .drained(let connections): handover?.drained(connections)
        case .cutShort: handover?.cutShort()
        case .handOverAndLeave: handOverAndLeave()
        case .configurationChanged(let hash, let drain):
            configurationHash = hash
            self.drain = drain
            drift.ownHashChanged(to: hash)
            noticeDrift()
        case .synchronized(let isSynchronized):
            group.setHold(.synchronizing, isPresent: !isSynchronized)
        case .tracked(let result): tracking.take(result)
        case .withdrawRoutes: group.withdrawRoutes()
        case .leave: leave()
        }
    }

    private func switchOver() {
        guard let handover else {
            publish(.switchover(.refused("there is no other node that could take over")))
            return
        }
        handover.begin(because: .request)
    }

    private func handOverAndLeave() {
        guard let handover else { return leave() }
        handover.begin(because: .leaving)
    }

    private func leave() {
        tracking.stop()
        group.shutDown()
        link?.beat()
        link?.leave()
        publishSnapshot()
        group.close()
        publish(.left)
        loop.stop()
    }

    // MARK: Telling

    /// Shows workers that the node looked at the clock and is still what it was.
    ///
    /// - Returns: false while it does not know: it ran late and waits for the other node's word.
    private func noticeLife() -> Bool {
        guard group.noticeTime() else { return false }
        setUp.dataPlane.life.show(at: Clock.now())
        return true
    }

    private func stateChanged(_ change: SpeakerStateChange) {
        if change.transition.from == .active, change.transition.cause == .overslept {
            setUp.dataPlane.life.noteDoubt(at: Clock.now())
        }
        tellReplication(change)
        if change.transition.to == .active {
            drift.becameActive(isPeerActive: isPeerActive)
            // Not at once: this is the middle of a router's wake-up.
            loop.schedule(after: .zero) { [unowned self] in noticeDrift() }
        }
        link?.beat(every: group.heartbeatIntervalWanted)
        link?.beat()
        handover?.stateChanged(change)
        publishSnapshot()
    }

    /// First of all after the announcement: clients of the other node wait for it.
    private func tellReplication(_ change: SpeakerStateChange) {
        guard let replication = setUp.replication else {
            if change.transition.to == .active { noteRestored() }
            return
        }
        guard let command = handover?.replicationCommand(for: change) else { return }
        replication.post(command)
    }

    /// Nobody else had the connections, as far as is known here.
    private func noteRestored() {
        setUp.dataPlane.life.noteRestored(at: Clock.now())
    }

    func publishSnapshot() {
        publish(
            .snapshot(
                PairSnapshot(
                    routers: group.statuses, link: link?.status,
                    trackers: tracking.statuses, isHeldByConfiguration: drift.isHeld,
                    handoverPhase: handover?.phase ?? .idle,
                    forwardingRefusal: handover?.forwardingRefusal,
                    movingRefusal: handover?.movingRefusal, timers: lateness.status,
                    takenAt: Clock.now())))
    }
}

/// Why the pair thread could not start, in words for the operator.
struct PairStartError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
