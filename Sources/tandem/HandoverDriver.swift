// SPDX-License-Identifier: Apache-2.0
//
// Planned switchovers on the pair thread: performs what the machine in ReplicationCore orders,
// with the speakers, the kernel's tables, the pair link and the control thread.

internal import EventLoop
internal import LinuxIO
internal import NFTablesIO
internal import ProxyService
internal import ReplicationCore
internal import ReplicationService
internal import Telemetry
internal import VRRPCore
internal import VRRPService
internal import WireCore

/// Hands this node's virtual routers to the other one and takes them from it.
final class HandoverDriver {
    /// Why a switchover begins.
    enum Purpose: String {
        /// Somebody asked for it.
        case request
        /// The node leaves.
        case leaving
        /// The other node would serve better.
        case degraded
    }

    private let loop: EventLoop
    private let group: VirtualRouterGroup
    private let link: PairLink
    private let logger: Logger
    private let drainSpan: () -> TimeSpan
    private let peerName: String
    private let replication: Mailbox<ReplicationCommand>?
    private let publish: (PairEvent) -> Void
    private let tables: HandoverTables
    private var machine = HandoverStateMachine()
    /// What this switchover is about, in the order of its messages.
    private var instances: [VirtualRouterInstance] = []
    private var purpose = Purpose.request
    private var timer: (deadline: Instant, id: TimerID)?
    /// The replication thread has yet to hear that these addresses are here.
    private var untoldAddresses: [IPAddress] = []
    private var isLeaving = false

    /// Whether this node makes connections of the other one again.
    private let canAdopt: Bool

    /// Called when a switchover because the node leaves is over, or cannot be; the node may go.
    var onLeavingEnded: (() -> Void)?

    /// Makes the driver; finds out whether packets can be passed on.
    init(
        loop: EventLoop, group: VirtualRouterGroup, link: PairLink, peerName: String,
        replication: Mailbox<ReplicationCommand>?, logger: Logger,
        drainSpan: @escaping () -> TimeSpan, publish: @escaping (PairEvent) -> Void
    ) {
        self.loop = loop
        self.group = group
        self.link = link
        self.peerName = peerName
        self.replication = replication
        self.logger = logger
        self.drainSpan = drainSpan
        self.publish = publish
        canAdopt = replication != nil && ConnectionRepair.isPermitted()
        tables = HandoverTables(logger: logger)
    }

    /// Why packets cannot be passed on, or `nil`.
    var forwardingRefusal: String? { tables.refusal }

    /// Why connections of the other node cannot go on here while that lives, or `nil`.
    var movingRefusal: String? {
        tables.movingRefusal ?? (canAdopt ? nil : "this kernel does not make connections again")
    }

    /// How far a switchover has come.
    var phase: HandoverStateMachine.Phase { machine.phase }

    // MARK: The old node

    /// Begins to hand over.
    ///
    /// - Parameters:
    ///   - purpose: why.
    ///   - wanted: what; `nil` for all that this node is Active for.
    func begin(because purpose: Purpose, _ wanted: [VirtualRouterInstance]? = nil) {
        if purpose == .leaving {
            isLeaving = true
            // Its end is the end of this node, whoever asked for it.
            if machine.isGiving { return }
        }
        if let reason = reasonAgainst() {
            refuse(purpose, reason)
            return
        }
        self.purpose = purpose
        let active = group.activeInstances
        instances = wanted?.filter(active.contains) ?? active
        let seats = group.seats(of: instances)
        let canForward = tables.refusal == nil && seats.count == instances.count
        logger.info(
            "handing over",
            [
                "to": peerName, "because": purpose.rawValue,
                "routers": "\(instances.count)", "forwarding": "\(canForward)",
            ])
        perform(
            machine.begin(
                token: RandomBytes.seed(), seats: seats.map(Self.seat), drain: drainSpan(),
                canForward: canForward, peerUnderstands: peerUnderstands, now: Clock.now()))
    }

    private func refuse(_ purpose: Purpose, _ reason: String) {
        logger.warning("no switchover", ["because": purpose.rawValue, "reason": reason])
        if purpose == .request { publish(.switchover(.refused(reason))) }
        if purpose == .leaving { leaveInTheOlderWay() }
    }

    /// The addresses could not be handed over: clients are parted from, then the node goes.
    private func leaveInTheOlderWay() {
        guard !group.activeInstances.isEmpty else {
            onLeavingEnded?()
            return
        }
        publish(.switchover(.partFromClients))
        loop.schedule(after: HandoverStateMachine.partingTime) { [weak self] in
            self?.onLeavingEnded?()
        }
    }

    private func reasonAgainst() -> String? {
        switch machine.refusal {
        case .draining: return "connections of the last switchover have not ended yet"
        case .some: return "a switchover is under way"
        case nil: break
        }
        if group.activeInstances.isEmpty { return "this node is not active; ask \(peerName)" }
        guard link.status.isUp, let heard = link.status.lastHeartbeat, heard.isDataPlaneHealthy
        else { return "\(peerName) does not answer on the pair link or is ill" }
        return nil
    }

    /// Nodes that tell their priorities know switchovers, too.
    private var peerUnderstands: Bool {
        link.status.lastHeartbeat?.routers.contains { $0.priority != nil } ?? false
    }

    /// The last connection of the addresses has ended.
    func drained(_ connections: HandoverConnections) {
        perform(machine.drained(connections, now: Clock.now()))
    }

    /// Nobody waits any longer.
    func cutShort() {
        guard machine.isGiving else { return }
        perform(machine.cutShort(now: Clock.now()))
    }

    // MARK: Events

    /// The other node says something.
    func received(_ message: HandoverMessage) {
        guard case .prepare(let seats, let drain, let canForward) = message.content else {
            perform(machine.messageReceived(message, now: Clock.now()))
            return
        }
        let wanted = match(seats)
        perform(machine.forgetPrepared())
        let standing = HandoverStateMachine.Standing(
            refusal: refusal(wanted, count: seats.count),
            seats: group.seats(of: wanted).map(Self.seat), canForward: tables.refusal == nil,
            takesConnections: movingRefusal == nil)
        // What a switchover is about stays as it is until that has ended.
        if machine.phase == .idle { instances = wanted }
        perform(
            machine.prepareReceived(
                token: message.token, seats: seats, drain: drain, canForward: canForward,
                standing: standing, now: Clock.now()))
    }

    /// This node's virtual routers for the other's seats; the same VRID and family twice means two
    /// interfaces, and the order tells which is which.
    private func match(_ seats: [HandoverSeat]) -> [VirtualRouterInstance] {
        var rest = group.speakers.map(\.instance)
        return seats.compactMap { seat in
            let index = rest.firstIndex {
                $0.virtualRouterID == seat.routerID && $0.family == seat.address.family
            }
            return index.map { rest.remove(at: $0) }
        }
    }

    private func refusal(
        _ wanted: [VirtualRouterInstance], count: Int
    ) -> HandoverRefusal? {
        if isLeaving { return .leaving }
        guard count > 0, wanted.count == count, Set(wanted) == Set(group.withGroups(wanted)) else {
            return .unknownRouter
        }
        for status in group.statuses {
            guard wanted.contains(status.instance) else { continue }
            if !status.faults.isEmpty { return .faulty }
            switch status.state {
            case .active: return .alreadyActive
            case .initialize: return .faulty
            case .backup: break
            }
            if status.holds.contains(where: { $0.hold == .differentConfiguration }) {
                return .held
            }
        }
        return nil
    }

    /// A virtual router changed its state; the effects have happened.
    func stateChanged(_ change: SpeakerStateChange) {
        guard instances.contains(change.instance) else { return }
        let now = Clock.now()
        if change.transition.to == .active {
            let active = group.activeInstances
            let isWhole = instances.allSatisfy(active.contains)
            guard machine.isGiving || isWhole else { return }
            perform(machine.becameActive(now: now))
        } else if change.transition.from == .active {
            perform(machine.ceasedActive(now: now))
        }
    }

    /// Addresses that were here quietly are about to be announced.
    func willBeLoud() {
        tables.makeLoud()
    }

    /// The other node says on the link that it is Active.
    func peerIsActive() {
        perform(machine.peerIsActive(now: Clock.now()))
    }

    /// Heartbeats do not arrive.
    func linkWentDown() {
        perform(machine.linkWentDown(now: Clock.now()))
    }

    /// Heartbeats arrive.
    func linkCameUp() {
        machine.linkCameUp(now: Clock.now())
        arm()
    }

    /// The other node's process is gone, or said goodbye; the group was told before.
    func peerEnded() {
        perform(machine.peerEnded(now: Clock.now()))
    }

    // MARK: Performing

    private func perform(_ actions: [HandoverAction]) {
        for action in actions { perform(action) }
        arm()
    }

    private func perform(_ action: HandoverAction) {
        let now = Clock.now()
        switch action {
        case .send(let message):
            // A message that is not taken is one that never comes: the time-outs are for both.
            if !link.send(message) { logger.warning("a message of the switchover was not sent") }
        case .installOldTables(let seats): install(.old, toward: seats)
        case .installNewTables(let seats): install(.new, toward: seats)
        case .removeTables:
            tables.remove()
            tellUntold()
        case .prepareAddresses: prepareAddresses()
        case .cancelPrepared: cancelPrepared()
        case .partFromClients: publish(.switchover(.partFromClients))
        case .yield(let isLingering):
            group.yield(instances, isLingering: isLingering)
            link.beat()
        case .drain(let deadline):
            publish(
                .switchover(
                    .drain(
                        group.addresses(of: instances), until: deadline,
                        isMoving: machine.isMoving)))
        case .cutDrain: publish(.switchover(.cutDrain))
        case .stopDrain:
            publish(.switchover(.stopDrain))
            let active = group.activeInstances
            endLingering(instances.filter { !active.contains($0) })
        case .endLingering: endLingering(instances)
        case .takeOver: group.takeOver(instances, detectedAt: now)
        case .report(let report): tell(report)
        }
    }

    private func install(_ role: HandoverRules.Role, toward seats: [HandoverSeat]) {
        let own = group.seats(of: instances)
        let paths = zip(own, seats).compactMap { own, peer in
            HandoverPath(
                interface: own.instance.interface, ownAddress: own.address,
                peerAddress: peer.address, peerHardwareAddress: peer.hardwareAddress,
                addresses: group.addresses(of: [own.instance]))
        }
        let isWhole = paths.count == instances.count && paths.count == seats.count
        let isDone = isWhole && tables.install(role, paths, movesConnections: machine.isMoving)
        let now = Clock.now()
        perform(isDone ? machine.tablesInstalled(now: now) : machine.tablesRefused(now: now))
    }

    private func prepareAddresses() {
        let addresses = group.addresses(of: instances)
        if !addresses.isEmpty { replication?.post(.addressesPrepared(addresses)) }
        let isDone = group.prepare(instances)
        if !isDone { tellUnprepared() }
        let now = Clock.now()
        perform(isDone ? machine.addressesPrepared(now: now) : machine.addressesRefused(now: now))
    }

    private func cancelPrepared() {
        group.cancelPrepared(instances)
        tellUnprepared()
    }

    /// What was to come is the other node's still; a later takeover is not a planned one.
    private func tellUnprepared() {
        let active = group.activeInstances
        let addresses = group.addresses(of: instances.filter { !active.contains($0) })
        if !addresses.isEmpty { replication?.post(.addressesLost(addresses)) }
    }

    private func endLingering(_ instances: [VirtualRouterInstance]) {
        guard !instances.isEmpty else { return }
        group.endLingering(instances)
        let lost = group.addresses(of: instances)
        if !lost.isEmpty { replication?.post(.addressesLost(lost)) }
    }

    private func arm() {
        let deadline = machine.nextDeadline
        guard deadline != timer?.deadline else { return }
        if let timer { loop.cancel(timer.id) }
        timer = deadline.map { deadline in
            let id = loop.schedule(at: deadline) { [weak self] in
                guard let self else { return }
                timer = nil
                perform(machine.deadlinePassed(now: Clock.now()))
            }
            return (deadline, id)
        }
    }

    // MARK: Telling

    /// What the replication thread is to hear of a change of state now.
    ///
    /// While connections end at the other node, its clients are not to be reset; while they end
    /// here, the addresses are not lost.
    func replicationCommand(for change: SpeakerStateChange) -> ReplicationCommand? {
        let addresses = change.addresses
        guard !addresses.isEmpty else { return nil }
        if change.transition.to == .active {
            guard machine.isForwarding, instances.contains(change.instance) else {
                return .addressesTaken(addresses, at: Clock.now())
            }
            switch machine.phase {
            case .prepared, .claiming, .serving:
                untoldAddresses += addresses
                return nil
            default: return .addressesTaken(addresses, at: Clock.now())
            }
        }
        guard change.transition.from == .active, !change.isLingering else { return nil }
        untoldAddresses.removeAll(where: addresses.contains)
        return .addressesLost(addresses)
    }

    /// What is known of the other node's clients now has nobody who answers.
    private func tellUntold() {
        guard !untoldAddresses.isEmpty else { return }
        replication?.post(.addressesTaken(untoldAddresses, at: Clock.now()))
        untoldAddresses = []
    }

    private func tell(_ report: HandoverReport) {
        switch report {
        case .refused(let reason): giveUp("\(peerName) \(reason)")
        case .failed(let reason): giveUp("\(reason)")
        case .linkLost: giveUp("the pair link to \(peerName) broke")
        case .moved(let gap, let isForwarding):
            logger.info(
                "handed over",
                [
                    "to": peerName, "gap": "\(gap.microseconds)us",
                    "forwarding": "\(isForwarding)",
                ])
            publish(.switchover(.moved(gap: gap, isForwarding: isForwarding)))
        case .finished(let connections, let took):
            logger.info(
                "the switchover is over",
                [
                    "finished": connections.map { "\($0.ended)" } ?? "-",
                    "moved": connections.map { "\($0.moved)" } ?? "-",
                    "cut": connections.map { "\($0.cut)" } ?? "-",
                    "took": "\(took.milliseconds)ms",
                ])
            publish(.switchover(.finished(connections, took: took)))
            if isLeaving { onLeavingEnded?() }
        }
    }

    private func giveUp(_ reason: String) {
        logger.warning("no switchover", ["because": purpose.rawValue, "reason": reason])
        publish(.switchover(.refused(reason)))
        if isLeaving { leaveInTheOlderWay() }
    }

    private static func seat(_ seat: VirtualRouterSeat) -> HandoverSeat {
        HandoverSeat(
            routerID: seat.instance.virtualRouterID, address: seat.address,
            hardwareAddress: seat.hardwareAddress)
    }
}
