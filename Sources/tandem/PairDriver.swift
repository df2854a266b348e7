// SPDX-License-Identifier: Apache-2.0
//
// The pair thread: joins the VRRP speakers, the pair link and the watch over the workers. It
// passes facts on; what they mean is decided in VRRPCore and ReplicationCore.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

/// What the pair thread needs to know.
struct PairSetUp: Sendable {
    var pair: PairConfiguration
    var node: NodeConfiguration
    var peer: NodeConfiguration
    var secret: LinkSecret?
    var configurationHash: UInt64
    var descriptors: DescriptorPlan?
    var dataPlane: DataPlane
    /// Hears which addresses come and go.
    var replication: Mailbox<ReplicationCommand>
    var logger: Logger
}

/// Runs on the pair thread.
final class PairDriver {
    /// Priority of the thread among real-time threads: above ordinary work, below the kernel's.
    static let realTimePriority: Int32 = 20
    /// How often the control thread hears of us without a change.
    static let publishInterval = TimeSpan.milliseconds(250)
    /// How often the workers are looked at.
    static let watchInterval = TimeSpan.milliseconds(100)
    /// A worker that made no turn for so long serves nobody.
    static let stallLimit = TimeSpan.seconds(3)
    /// Looks in a row that must find a stall: after this process itself was frozen, the workers
    /// need a moment too.
    static let stallLooksMin = 3

    private let setUp: PairSetUp
    private let loop: EventLoop
    private let logger: Logger
    private let publish: (PairEvent) -> Void
    private let isRealTime: Bool
    private let group: VirtualRouterGroup
    private let link: PairLink
    private var stallLooks = 0
    private var peerRoles: [UInt8: VirtualRouterRole] = [:]
    private var peerBecameActiveAt: Instant?
    private var isDataPlaneIll = false
    private var configurationHash: UInt64
    private var isConfigurationDrifting = false

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
        isRealTime = Self.becomeRealTime(logger)
        group = try VirtualRouterGroup(
            pair: setUp.pair, node: setUp.node, peer: setUp.peer, plan: setUp.descriptors,
            loop: loop, logger: setUp.logger.named("vrrp"))
        guard
            let settings = PairLinkSettings(
                pair: setUp.pair, ownName: setUp.node.name, secret: setUp.secret,
                descriptors: setUp.descriptors, seed: RandomBytes.seed())
        else { preconditionFailure("the loader gave a node that is not in its pair") }
        link = PairLink(loop: loop, settings: settings, logger: setUp.logger.named("link"))
    }

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

    private func start() throws {
        link.owner = self
        do {
            try link.start()
        } catch {
            throw PairStartError(
                "pair link: cannot listen on \(setUp.node.address):\(setUp.pair.link.port): "
                    + "\(error)")
        }
        for speaker in group.speakers {
            speaker.onStateChange = { [unowned self, unowned speaker] change in
                tellReplication(change, addresses: speaker.currentStatus.addresses)
                stateChanged()
            }
        }
        group.start()
        publish(.started(group.speakers.map(\.report) + [link.counters]))
        repeatedly(every: Self.publishInterval) { [unowned self] in publishSnapshot() }
        repeatedly(every: Self.watchInterval) { [unowned self] in watchWorkers() }
    }

    private func repeatedly(every interval: TimeSpan, _ body: @escaping () -> Void) {
        body()
        loop.schedule(after: interval) { [unowned self] in repeatedly(every: interval, body) }
    }

    // MARK: Commands

    private func handle(_ command: PairCommand) {
        switch command {
        case .switchOver: switchOver()
        case .configurationChanged(let hash): configurationHash = hash
        case .leave: leave()
        }
    }

    private func switchOver() {
        guard group.speakers.contains(where: { $0.state == .active }) else {
            publish(.switchoverRefused("this node is not active; ask \(setUp.peer.name)"))
            return
        }
        guard link.status.isUp, let heard = link.status.lastHeartbeat, heard.isDataPlaneHealthy
        else {
            publish(
                .switchoverRefused("\(setUp.peer.name) does not answer on the pair link or is ill"))
            return
        }
        group.switchOver()
        link.beat()
    }

    private func leave() {
        group.shutDown()
        link.beat()
        link.leave()
        publishSnapshot()
        publish(.left)
        loop.stop()
    }

    // MARK: Watching and telling

    private func watchWorkers() {
        let isStalled = setUp.dataPlane.isStalled(now: Clock.now(), limit: Self.stallLimit)
        stallLooks = isStalled ? stallLooks + 1 : 0
        let wasHeld = isDataPlaneIll
        isDataPlaneIll = stallLooks >= Self.stallLooksMin
        guard isDataPlaneIll != wasHeld else { return }
        logger.log(
            isDataPlaneIll ? .error : .info,
            isDataPlaneIll
                ? "the data plane stalled: giving up the virtual addresses"
                : "the data plane moves again")
        group.setFault(.dataPlaneStalled, isPresent: isDataPlaneIll)
        link.beat()
    }

    private func stateChanged() {
        link.beat()
        publishSnapshot()
    }

    /// First of all after the announcement: clients of the other node wait for it.
    private func tellReplication(_ change: SpeakerStateChange, addresses: [IPAddress]) {
        let addresses = addresses.compactMap(\.ipv4)
        if change.transition.to == .active {
            setUp.replication.post(.addressesTaken(addresses, at: Clock.now()))
        } else if change.transition.from == .active {
            setUp.replication.post(.addressesLost(addresses))
        }
    }

    private func publishSnapshot() {
        publish(
            .snapshot(
                PairSnapshot(
                    routers: group.speakers.map(\.currentStatus), link: link.status,
                    peerBecameActiveAt: peerBecameActiveAt, timerLatenessMax: loop.timerLatenessMax,
                    isRealTime: isRealTime,
                    takenAt: Clock.now())))
    }
}

extension PairDriver: PairLinkOwner {
    func pairLinkReport() -> PairLinkReport {
        PairLinkReport(
            routers: group.speakers.map { speaker in
                VirtualRouterReport(
                    id: speaker.currentStatus.virtualRouterID, role: Self.role(of: speaker.state))
            },
            configurationHash: configurationHash, isDataPlaneHealthy: !isDataPlaneIll)
    }

    private static func role(of state: VirtualRouterState) -> VirtualRouterRole {
        switch state {
        case .initialize: .initialize
        case .backup: .backup
        case .active: .active
        }
    }

    func pairLinkPeerProcessDied(at instant: Instant) {
        peerRoles = [:]
        group.peerProcessDied(detectedAt: instant)
    }

    func pairLinkPeerLeft(at instant: Instant) {
        peerRoles = [:]
        group.peerLeft(detectedAt: instant)
    }

    func pairLinkCameUp() {
        publishSnapshot()
    }

    func pairLinkWentDown(_ reason: LinkDownReason) {
        // Never a reason to take over: only a death certificate or VRRP's own timers are.
        publishSnapshot()
    }

    func pairLinkHeard(_ heartbeat: Heartbeat, at instant: Instant) {
        for router in heartbeat.routers {
            let before = peerRoles.updateValue(router.role, forKey: router.id)
            if router.role == .active, before != .active { peerBecameActiveAt = instant }
            guard before == .active, router.role != .active else { continue }
            // The peer gave up this router just now: no need to wait for Skew_Time.
            group.speakers.first { $0.currentStatus.virtualRouterID == router.id }?
                .peerReleasedAddresses(
                    because: router.role == .backup ? .switchover : .peerLeft, detectedAt: instant)
        }
        noticeDrift(isEqual: heartbeat.configurationHash == configurationHash)
    }

    private func noticeDrift(isEqual: Bool) {
        guard isEqual == isConfigurationDrifting else { return }
        isConfigurationDrifting = !isEqual
        if isEqual {
            logger.info("both nodes run from the same configuration again")
        } else {
            logger.warning("the peer runs from another configuration: 'tandem status' shows both")
        }
    }
}

/// Why the pair thread could not start, in words for the operator.
struct PairStartError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
