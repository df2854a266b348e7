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
    /// How long routing daemons have to withdraw routes before listeners close.
    private static let withdrawTime = TimeSpan.seconds(1)
    /// Longest wait for the pair thread to give up the addresses, beside the drain.
    private static let leaveTimeMax = TimeSpan.seconds(10)

    // MARK: Starting

    /// Starts the pair thread and, where there is another node, the replication thread.
    func startPair(
        _ pair: PairConfiguration, own: NodeConfiguration, plan: DescriptorPlan?,
        dataPlane: DataPlane, wires: ReplicationWires?
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
        freezeGuard = wires.flatMap {
            FreezeGuard.make(for: $0.addresses, loaded.configuration, logger: logger)
        }
        let setUp = PairSetUp(
            pair: pair, node: own, peer: loaded.peerNode, secret: secret,
            configurationHash: loaded.hash.rawValue, descriptors: plan, dataPlane: dataPlane,
            drain: loaded.configuration.timeouts.drain,
            isMemoryLocked: isMemoryLocked, replication: wires?.commands, pulse: freezeGuard?.pulse,
            logger: logger)
        // A node must not speak before it could bind all it needs: leaving again is an outage.
        startSpeaking = { try PairDriver.start(setUp, commands: commands, events: events) }
        guard let wires else { return replicationStarted(nil) }
        guard
            let settings = PairLinkSettings(
                pair: pair, ownName: own.name, secret: secret, descriptors: plan,
                seed: RandomBytes.seed())
        else { preconditionFailure("the loader gave a node that is not in its pair") }
        try ReplicationThread.start(
            wires, settings, dataPlane: dataPlane, boards: peerState?.boards, events: events,
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

    // MARK: Leaving

    /// Gives the addresses up, lets requests in flight finish, and ends; asked twice it waits for
    /// nobody any more.
    func leave() {
        guard !isLeaving else { return cutLeavingShort() }
        isLeaving = true
        ServiceManager.notify("STOPPING=1")
        logger.info("leaving: the addresses go to the peer, requests in flight may finish")
        guard let pairCommands else { return drain() }
        guard loaded.configuration.pair?.hasElection == true else {
            // Routers go on sending for a moment: the addresses stay until everything has ended.
            dataPlane?.sayFarewell()
            pairCommands.post(.withdrawRoutes)
            loop.schedule(after: Self.withdrawTime) { [unowned self] in drain() }
            return
        }
        // Connections may still have to end from a switchover before.
        let hasAddresses = pair?.isActive == true || pair?.handoverPhase != .idle
        pairCommands.post(hasAddresses ? .handOverAndLeave : .leave)
        let longest = loaded.configuration.timeouts.drain + Self.leaveTimeMax
        loop.schedule(after: longest) { [unowned self] in drain() }
    }

    /// Whoever asked again will not wait.
    private func cutLeavingShort() {
        logger.warning("leaving at once: connections are cut")
        pairCommands?.post(.cutShort)
        isHurried = true
        if isDraining { dataPlane?.beginDrain(deadline: Clock.now()) }
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
