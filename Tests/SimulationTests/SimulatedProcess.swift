// SPDX-License-Identifier: Apache-2.0
//
// The process of a simulated node: it does what the driver of the state machines must do, in the
// order it must do it. One machine per family, joined by a group; half a pair link.

import ReplicationCore
import VRRPCore
import WireCore

/// Rules that a broken driver breaks.
enum DriverDefect: CaseIterable {
    /// It believes in silence before it has read what waits in its sockets.
    case judgesBeforeHearing
    /// Addresses stay until their lease is over.
    case leavesAddressesBehind
    /// It announces when it claims, and never again.
    case announcesOnce
    /// A broken link is a dead peer to it.
    case takesLinkLossForDeath
    /// It does not tell the machines what the link says.
    case ignoresLink
    /// It leaves each family to itself.
    case ignoresGroup
}

/// Runs from start to kill; a new process is a new object.
final class SimulatedProcess {
    /// Something that waits for the process.
    enum Command {
        case localFault(Bool)
        case hold(Bool)
        /// More points, or fewer.
        case penalty(Int)
        case switchover(lingering: Bool)
        case shutdown
        case link(LinkArrival)
    }

    /// One machine and what its driver keeps for it.
    final class Router {
        let family: AddressFamily
        let settings: VirtualRouterSettings
        var machine: VirtualRouterStateMachine
        var renewalTime: Instant?
        var announcementTimes: [Instant] = []
        var askedAt: Instant?

        init(_ settings: VirtualRouterSettings) {
            family = settings.family
            self.settings = settings
            machine = VirtualRouterStateMachine(settings: settings)
        }
    }

    private let plan: SimulationPlan
    private unowned let node: SimulatedNode
    private unowned let world: any SimulatedWorld
    private let routers: [Router]
    private var group: SyncGroup
    private var link: SimulatedLinkEnd?
    private var commands: [Command] = []
    private var lingeringEnd: Instant?
    private var hasLeft = false
    // Several faults of one kind may overlap.
    private var faultCount = 0
    private var holdCount = 0
    private var penaltyPoints = 0
    /// When the driver looks at the clock for its own sake.
    private var lookTime = Instant(nanoseconds: 0)
    private var mustAsk = false

    /// The driver repeats an announcement after these delays.
    private static let announcementRepeats: [TimeSpan] = [
        .milliseconds(50), .milliseconds(200), .seconds(1),
    ]

    init(
        plan: SimulationPlan, node: SimulatedNode, settings: [VirtualRouterSettings],
        world: any SimulatedWorld
    ) {
        self.plan = plan
        self.node = node
        self.world = world
        routers = settings.map(Router.init)
        group = SyncGroup(memberCount: settings.count)
        if plan.hasLink {
            link = SimulatedLinkEnd(
                heartbeatInterval: plan.heartbeatInterval,
                seed: plan.seed &+ UInt64(node.index) &+ UInt64(node.incarnation) << 32)
        }
    }

    // MARK: - What the world asks

    func state(of router: Int) -> VirtualRouterState { routers[router].machine.state }

    func priority(of router: Int) -> UInt8 { routers[router].machine.priority }

    /// It left at an operator's wish and does not preempt.
    var hasYielded: Bool { routers.contains { $0.machine.hasYielded } }

    /// Nothing keeps it from serving that it was told of.
    var mayServe: Bool { faultCount == 0 && holdCount == 0 && !hasLeft }

    var isLinkUp: Bool { link?.liveness.isLinkUp ?? false }

    func enqueue(_ command: Command) { commands.append(command) }

    /// The signal to stop is taken back.
    func forgetShutdown() {
        commands.removeAll { command in
            if case .shutdown = command { true } else { false }
        }
    }

    /// The carrier is back: an Active announces itself again.
    func carrierReturned(at now: Instant) {
        for router in routers.indices where routers[router].machine.state == .active {
            startAnnouncing(router, at: now)
        }
    }

    /// When the process wants to run next.
    func nextWake() -> Instant? {
        var next: Instant?
        func consider(_ time: Instant?) {
            if let time { next = min(next ?? time, time) }
        }
        for router in routers {
            consider(router.machine.nextDeadline.map(node.global))
            consider(router.renewalTime)
            for time in router.announcementTimes { consider(time) }
        }
        consider(link?.nextWake)
        consider(lingeringEnd)
        consider(lookTime)
        return next
    }

    // MARK: - Its life

    func start(at now: Instant) {
        lookTime = now + lookInterval
        feed(at: now) { $0.startupRequested(now: $1, into: &$2) }
        if link != nil { world.dial(from: node.index) }
    }

    /// One turn of the loop; the order is the contract of `VirtualRouterStateMachine`.
    ///
    /// - Returns: false when the process ended itself.
    func turn(at now: Instant) -> Bool {
        defer {
            if mustAsk { ask(at: now) }
        }
        if now >= lookTime {
            let lateness = now - lookTime
            lookTime = now + lookInterval
            feed(at: now) { $0.ranLate(by: lateness, now: $1, into: &$2) }
        }
        if plan.defect == .judgesBeforeHearing {
            feed(at: now) { $0.timerFired(now: $1, into: &$2) }
        }
        while let received = node.takeAdvertisement() {
            guard let router = routers.firstIndex(where: { $0.family == received.source.family })
            else { continue }
            feed(router, at: now) { $0.advertisementReceived(received, now: $1, into: &$2) }
        }
        runCommands(at: now)
        guard !hasLeft else { return false }
        // Before a lease is renewed: this is what notices oversleeping.
        feed(at: now) { $0.timerFired(now: $1, into: &$2) }
        runLinkTimers(at: now)
        if let lingeringEnd, now >= lingeringEnd { endLingering(at: now) }
        keepAddresses(at: now)
        return true
    }

    private func keepAddresses(at now: Instant) {
        for (index, router) in routers.enumerated() {
            if let renewalTime = router.renewalTime, now >= renewalTime,
                !router.machine.isDoubtful(now: node.local(now))
            {
                router.renewalTime = now + plan.lease.divided(by: 4)
                // The lease may have run out during a pause that was too short to be replaced.
                if node.renewLease(of: index, at: now), router.machine.state == .active {
                    startAnnouncing(index, at: now)
                }
            }
            let dueCount = router.announcementTimes.count { $0 <= now }
            if dueCount > 0 {
                router.announcementTimes.removeAll { $0 <= now }
                world.announce(router.family, from: node.index)
            }
        }
    }

    private func runCommands(at now: Instant) {
        let pending = commands
        commands = []
        for command in pending {
            switch command {
            case .localFault(let isPresent):
                faultCount += isPresent ? 1 : -1
                // One member's fault is one of all.
                let isFaulty = faultCount > 0
                for router in routers.indices {
                    run(group.faultChanged(isFaulty, of: router), at: now)
                }
            case .hold(let isPresent):
                holdCount += isPresent ? 1 : -1
                let holds: Set<ClaimHold> = holdCount > 0 ? [.witnessUnreachable] : []
                feed(at: now) { $0.holdsChanged(to: holds, now: $1, into: &$2) }
            case .penalty(let points):
                penaltyPoints += points
                for (index, router) in routers.enumerated() {
                    let lowered = UInt8(max(1, Int(router.settings.priority) - penaltyPoints))
                    feed(index, at: now) { $0.priorityChanged(to: lowered, now: $1, into: &$2) }
                }
            case .switchover(let lingering):
                yield(lingering: lingering, at: now)
            case .link(let arrival):
                hear(arrival, at: now)
            case .shutdown:
                feed(at: now) { $0.shutdownRequested(now: $1, into: &$2) }
                beat(at: now)
                if let connection = link?.connection {
                    world.send(.goodbye, on: connection, from: node.index)
                }
                hasLeft = true
                return
            }
        }
    }

    private func yield(lingering: Bool, at now: Instant) {
        guard routers.contains(where: { $0.machine.state == .active }) else { return }
        feed(at: now) { $0.yieldRequested(lingering: lingering, now: $1, into: &$2) }
        beat(at: now)
    }

    private func endLingering(at now: Instant) {
        lingeringEnd = nil
        feed(at: now) { $0.lingeringEnded(now: $1, into: &$2) }
    }
}

// MARK: - The machines

extension SimulatedProcess {
    private typealias Event = (
        inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]
    ) -> Void

    /// One event for all members.
    private func feed(at now: Instant, _ event: Event) {
        for router in routers.indices { feed(router, at: now, event) }
    }

    private func feed(_ router: Int, at now: Instant, _ event: Event) {
        var actions: [VirtualRouterAction] = []
        event(&routers[router].machine, node.local(now), &actions)
        guard !actions.isEmpty else { return }
        perform(actions, of: router, at: now)
        guard routers.count > 1, plan.defect != .ignoresGroup else { return }
        run(group.observe(actions, of: router), at: now)
    }

    private func run(_ commands: [SyncGroup.Command], at now: Instant) {
        for command in commands where group.isDue(command) {
            switch command {
            case .mayClaim(let member):
                feed(member, at: now) { $0.groupMayClaim(now: $1, into: &$2) }
            case .mustYield(let member, let cause, let lingering):
                feed(member, at: now) {
                    $0.groupMustYield(
                        because: cause, lingering: lingering, now: $1, into: &$2)
                }
            case .leave(let member):
                feed(member, at: now) { $0.localFaultDetected(now: $1, into: &$2) }
            case .come(let member):
                feed(member, at: now) { $0.localFaultCleared(now: $1, into: &$2) }
            }
        }
    }

    private func perform(_ actions: [VirtualRouterAction], of index: Int, at now: Instant) {
        let router = routers[index]
        for action in actions {
            switch action {
            case .claimAddresses:
                node.claimAddresses(of: index, at: now)
                router.renewalTime = now + plan.lease.divided(by: 4)
            case .releaseAddresses(lingering: true):
                node.silenceAddresses(of: index)
                router.announcementTimes = []
                lingeringEnd = now + plan.drainTime
            case .releaseAddresses(lingering: false):
                if plan.defect != .leavesAddressesBehind { node.releaseAddresses(of: index) }
                router.renewalTime = nil
                router.announcementTimes = []
            case .sendAdvertisement(let priority):
                world.send(router.settings.advertisement(priority: priority), from: node.index)
            case .announceAddresses:
                if plan.defect == .announcesOnce, !actions.contains(.claimAddresses) { continue }
                startAnnouncing(index, at: now)
            case .recordTransition(let transition):
                world.recordTransition(transition, of: node.index, router.family)
                // The peer hears of it on the link at once.
                beat(at: now)
            case .askPeer:
                router.askedAt = now
                mustAsk = true
            case .report, .reportSplit, .readyToClaim, .noLongerReady:
                break
            }
        }
    }

    private func startAnnouncing(_ router: Int, at now: Instant) {
        world.announce(routers[router].family, from: node.index)
        if plan.defect == .announcesOnce { return }
        routers[router].announcementTimes = Self.announcementRepeats.map { now + $0 }
    }
}

// MARK: - The pair link

extension SimulatedProcess {
    /// What this node says of itself.
    private func reports(at now: Instant) -> [LinkReport] {
        let local = node.local(now)
        return routers.map { router in
            let hasOverslept = router.machine.hasOverslept(now: local)
            return LinkReport(
                family: router.family, role: hasOverslept ? .backup : router.machine.state,
                priority: router.machine.priority, isHeld: !router.machine.holds.isEmpty,
                isLingering: router.machine.isLingering,
                isDoubtful: router.machine.isDoubtful(now: local),
                claimMark: UInt32(truncatingIfNeeded: node.incarnation) << 16
                    &+ UInt32(truncatingIfNeeded: router.machine.counters.becameActive))
        }
    }

    /// How often the driver looks whether it ran late.
    private var lookInterval: TimeSpan { min(plan.interval, .milliseconds(100)) }

    /// Not before every router has looked at the clock.
    private func ask(at now: Instant) {
        mustAsk = false
        feed(at: now) { $0.timerFired(now: $1, into: &$2) }
        mustAsk = false
        beat(at: now)
    }

    private func beat(at now: Instant) {
        guard let link else { return }
        let isActive = routers.contains { $0.machine.state == .active }
        let isFast = isActive && plan.silenceRule == .advertsAndLink
        let interval = isFast ? min(plan.interval, plan.heartbeatInterval) : plan.heartbeatInterval
        self.link?.beatTime = now + interval
        guard let connection = link.connection else { return }
        world.send(
            .heartbeat(reports(at: now), sentAt: now, answered: link.answered), on: connection,
            from: node.index)
    }

    private func runLinkTimers(at now: Instant) {
        guard let link else { return }
        if let dialTime = link.dialTime, now >= dialTime {
            self.link?.dialTime = nil
            world.dial(from: node.index)
        }
        if let beatTime = link.beatTime, now >= beatTime { beat(at: now) }
        if let deadline = link.liveness.nextDeadline, now >= deadline,
            let action =
                self.link?.liveness.deadlinePassed(now: now)
        {
            perform(action, at: now)
        }
    }

    private func hear(_ arrival: LinkArrival, at now: Instant) {
        guard link != nil else { return }
        switch arrival {
        case .dialled(let connection):
            link?.dialled(connection)
            beat(at: now)
        case .dialFailed, .lost:
            link?.redial(at: now)
        case .established(let generation):
            // The peer just proved that it is there: no reason to wait any longer.
            if let dialTime = link?.dialTime { link?.dialTime = min(dialTime, now) }
            perform(link?.liveness.linkEstablished(generation, now: now), at: now)
        case .message(.heartbeat(let reports, let sentAt, let answered), let generation):
            perform(link?.liveness.heartbeatReceived(on: generation, now: now), at: now)
            hear(reports, answered: answered, at: now)
            link?.answered = sentAt
            if reports.contains(where: \.isDoubtful) { beat(at: now) }
        case .message(.goodbye, let generation):
            link?.liveness.goodbyeReceived(on: generation)
        case .ended(let generation, let ending):
            perform(link?.liveness.linkEnded(generation, ending, now: now), at: now)
        case .probed(let result):
            perform(link?.liveness.probeEnded(result, now: now), at: now)
        }
    }

    private func hear(_ reports: [LinkReport], answered: Instant?, at now: Instant) {
        let peer = 1 - node.index
        for (index, report) in reports.enumerated() {
            let address = plan.address(of: peer, report.family)
            let before = link?.peerRoles.updateValue(report.role, forKey: index)
            let heard = PeerOnLink(
                address: address, role: report.role, priority: report.priority, isFaulty: false,
                isHeld: report.isHeld, isLingering: report.isLingering,
                isDoubtful: report.isDoubtful,
                isAnswer: isAnswer(answered, to: routers[index]), claimMark: report.claimMark)
            if plan.defect != .ignoresLink {
                feed(index, at: now) { $0.peerHeardOnLink(heard, now: $1, into: &$2) }
            }
            if before == .active, report.role != .active {
                feed(index, at: now) { $0.peerHandedOver(address: address, now: $1, into: &$2) }
            }
        }
    }

    private func isAnswer(_ answered: Instant?, to router: Router) -> Bool {
        guard let answered, let askedAt = router.askedAt else { return false }
        return answered >= askedAt
    }

    private func perform(_ action: PeerLivenessAction?, at now: Instant) {
        switch action ?? .none {
        case .none, .reportLinkUp, .reportPeerAlive, .reportNoVerdict:
            break
        case .reportLinkDown:
            feed(at: now) { $0.linkSilent(now: $1, into: &$2) }
            if plan.defect == .takesLinkLossForDeath { peerDied(at: now) }
        case .probeAndReportLinkDown:
            world.probe(from: node.index)
            feed(at: now) { $0.linkSilent(now: $1, into: &$2) }
        case .probe:
            world.probe(from: node.index)
        case .certifyDeath:
            peerDied(at: now)
        case .reportPeerLeft:
            link?.peerRoles = [:]
            for (index, router) in routers.enumerated() {
                let address = plan.address(of: 1 - node.index, router.family)
                feed(index, at: now) { $0.peerHandedOver(address: address, now: $1, into: &$2) }
            }
        }
    }

    private func peerDied(at now: Instant) {
        link?.peerRoles = [:]
        for (index, router) in routers.enumerated() {
            let address = plan.address(of: 1 - node.index, router.family)
            feed(index, at: now) { $0.peerDeathProven(address: address, now: $1, into: &$2) }
        }
    }
}
