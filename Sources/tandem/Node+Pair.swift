// SPDX-License-Identifier: Apache-2.0
//
// The control thread's part in the pair: starts its threads, asks for switchovers and leaves in an
// order that loses no request.

internal import AdminService
internal import BalancerCore
internal import ConfigurationCore
internal import ConfigurationService
internal import EventLoop
internal import HealthService
internal import LinuxIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPService
internal import WireCore

extension Node {
    /// How long clients are parted from before the addresses move, so that few connections break.
    private static let farewellTime = TimeSpan.milliseconds(500)
    /// How long routing daemons have to withdraw routes before listeners close.
    private static let withdrawTime = TimeSpan.seconds(1)
    /// Longest wait for the pair thread to give up the addresses.
    private static let leaveTimeMax = TimeSpan.seconds(2)

    // MARK: Starting

    /// Starts the pair thread and, where there is another node, the replication thread.
    func startPair(
        _ pair: PairConfiguration, own: NodeConfiguration, plan: DescriptorPlan?,
        dataPlane: DataPlane, journal: ConnectionJournal?
    ) throws {
        let commands = try Mailbox<PairCommand>()
        let events = try Mailbox<PairEvent>()
        try loop.attach(events) { [unowned self] in handle($0) }
        pairCommands = commands
        pairEvents = events
        var secret: LinkSecret?
        if let bytes = loaded.secret { secret = try LinkSecret(fileContent: bytes) }
        // Before the addresses can come here: what an earlier process left behind.
        StaleConnections(logger: logger.named("replication"))?
            .endAll(of: Set(pair.virtualRouters.flatMap(\.addresses)))
        let replication = try journal.map { _ throws(Errno) in try Mailbox<ReplicationCommand>() }
        let setUp = PairSetUp(
            pair: pair, node: own, peer: loaded.peerNode, secret: secret,
            configurationHash: loaded.hash.rawValue, descriptors: plan, dataPlane: dataPlane,
            isMemoryLocked: isMemoryLocked, replication: replication, logger: logger)
        // A node must not speak before it could bind all it needs: leaving again is an outage.
        startSpeaking = { try PairDriver.start(setUp, commands: commands, events: events) }
        guard let journal, let replication else { return replicationStarted(nil) }
        guard
            let settings = PairLinkSettings(
                pair: pair, ownName: own.name, secret: secret, descriptors: plan,
                seed: RandomBytes.seed())
        else { preconditionFailure("the loader gave a node that is not in its pair") }
        try ReplicationThread.start(
            settings, journal: journal, commands: replication, events: events,
            logger: logger.named("replication"))
    }

    /// The pair thread runs: tells it what only the control thread can find out.
    func startControlTracking() {
        guard let pair = loaded.configuration.pair, let pairCommands else { return }
        let tracking = ControlTracking(
            track: pair.track, loop: loop, logger: logger.named("track"),
            shares: { [unowned self] in
                (health?.poolSnapshot() ?? []).map {
                    ServingShare(
                        pool: $0.pool, servingCount: $0.status.servingCount,
                        totalCount: $0.status.total)
                }
            }, report: { pairCommands.post(.tracked($0)) })
        tracking.start()
        controlTracking = tracking
    }

    // MARK: Switchover

    /// Asks the pair thread for a switchover; the answer says what happened.
    func requestSwitchover() -> AdminReply {
        func refusal(_ reason: String) -> AdminReply {
            AdminReply("failed: \(reason)\n", isFailure: true)
        }
        guard let pairCommands, let pair else { return refusal("this node has no pair") }
        guard let link = pair.link else {
            return refusal("there is no other node that could take over")
        }
        guard pair.isActive else {
            return refusal("this node is \(pair.role), not active; run this on the active node")
        }
        guard link.isUp, link.lastHeartbeat?.isDataPlaneHealthy == true else {
            return refusal("\(link.peerName) does not answer on the pair link or is ill")
        }
        switchover = .asked(at: Clock.now())
        pairCommands.post(.switchOver)
        return switchoverReply()
    }

    /// How the last switchover went.
    func switchoverReply() -> AdminReply {
        AdminReply(
            switchover.text(peer: pair?.link?.peerName ?? "the peer"),
            isFailure: switchover.isRefused)
    }

    // MARK: Leaving

    /// Gives the addresses up, lets requests in flight finish, and ends; asked twice it does it once.
    func leave() {
        guard !isLeaving else { return }
        isLeaving = true
        ServiceManager.notify("STOPPING=1")
        logger.info("leaving: the addresses go to the peer, requests in flight may finish")
        guard let pairCommands else { return drain() }
        dataPlane?.sayFarewell()
        guard loaded.configuration.pair?.hasElection == true else {
            // Routers go on sending for a moment: the addresses stay until everything has ended.
            pairCommands.post(.withdrawRoutes)
            loop.schedule(after: Self.withdrawTime) { [unowned self] in drain() }
            return
        }
        let farewellTime = pair?.isActive == true ? Self.farewellTime : .zero
        loop.schedule(after: farewellTime) { pairCommands.post(.leave) }
        loop.schedule(after: farewellTime + Self.leaveTimeMax) { [unowned self] in drain() }
    }

    /// The pair thread has given the addresses up.
    func pairLeft() {
        if loaded.configuration.pair?.hasElection == true { drain() } else { loop.stop() }
    }

    /// No connection is left, or the time is over.
    func drained() {
        guard let pairCommands, loaded.configuration.pair?.hasElection == false else {
            return loop.stop()
        }
        pairCommands.post(.leave)
        loop.schedule(after: Self.leaveTimeMax) { [unowned self] in loop.stop() }
    }
}
