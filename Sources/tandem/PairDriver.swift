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
    /// Whether the process's memory is locked.
    var isMemoryLocked: Bool
    /// Hears which addresses come and go; `nil` where there is no other node.
    var replication: Mailbox<ReplicationCommand>?
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
    let tracking: PairTracking
    let lateness: TimerLateness
    var drift: ConfigurationDrift
    var advice: HandoverAdvice
    var isConfigurationDrifting = false
    var isPeerActive = false
    var peerBecameActiveAt: Instant?
    var configurationHash: UInt64

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
        advice = HandoverAdvice(heartbeatInterval: setUp.pair.link.heartbeatInterval)
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
        group.onStateChange = { [unowned self] in stateChanged($0) }
        tracking.onVerdict = { [unowned self] in apply($0) }
        // What the trackers say at once must be known before a router starts.
        try tracking.start()
        group.start()
        lateness.observe(loop)
        var sources: [any MetricSource] = group.reports
        sources += [tracking.report, lateness]
        if let link { sources.append(link.counters) }
        publish(.started(sources))
        repeatedly(every: Self.publishInterval) { [unowned self] in
            publishSnapshot()
            considerHandover()
        }
    }

    private func repeatedly(every interval: TimeSpan, _ body: @escaping () -> Void) {
        body()
        loop.schedule(after: interval) { [unowned self] in repeatedly(every: interval, body) }
    }

    // MARK: Commands

    private func handle(_ command: PairCommand) {
        switch command {
        case .switchOver: switchOver()
        case .configurationChanged(let hash):
            configurationHash = hash
            drift.ownHashChanged(to: hash)
            noticeDrift()
        case .tracked(let result): tracking.take(result)
        case .withdrawRoutes: group.withdrawRoutes()
        case .leave: leave()
        }
    }

    private func switchOver() {
        guard let link, let peer = setUp.peer else {
            publish(.switchoverRefused("there is no other node that could take over"))
            return
        }
        guard !group.activeInstances.isEmpty else {
            publish(.switchoverRefused("this node is not active; ask \(peer.name)"))
            return
        }
        guard link.status.isUp, let heard = link.status.lastHeartbeat, heard.isDataPlaneHealthy
        else {
            publish(.switchoverRefused("\(peer.name) does not answer on the pair link or is ill"))
            return
        }
        group.switchOver()
        link.beat()
    }

    private func leave() {
        tracking.stop()
        group.shutDown()
        link?.beat()
        link?.leave()
        publishSnapshot()
        publish(.left)
        loop.stop()
    }

    // MARK: Telling

    private func stateChanged(_ change: SpeakerStateChange) {
        tellReplication(change)
        if change.transition.to == .active {
            drift.becameActive(isPeerActive: isPeerActive)
            // Not at once: this is the middle of a router's wake-up.
            loop.schedule(after: .zero) { [unowned self] in noticeDrift() }
            advice.becameActive(now: Clock.now())
        }
        link?.beat(every: group.heartbeatIntervalWanted)
        link?.beat()
        publishSnapshot()
    }

    /// First of all after the announcement: clients of the other node wait for it.
    private func tellReplication(_ change: SpeakerStateChange) {
        let addresses = change.addresses
        if change.transition.to == .active {
            setUp.replication?.post(.addressesTaken(addresses, at: Clock.now()))
        } else if change.transition.from == .active {
            setUp.replication?.post(.addressesLost(addresses))
        }
    }

    func publishSnapshot() {
        publish(
            .snapshot(
                PairSnapshot(
                    routers: group.statuses, link: link?.status,
                    trackers: tracking.statuses, isHeldByConfiguration: drift.isHeld,
                    peerBecameActiveAt: peerBecameActiveAt, timers: lateness.status,
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
