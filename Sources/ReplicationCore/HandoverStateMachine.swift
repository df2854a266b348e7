// SPDX-License-Identifier: Apache-2.0
//
// A planned switchover between two nodes that both live: who does what in which order, and what
// happens when the other one, the link or the kernel does not play along. Both roles; one
// switchover at a time. Elects nobody: that is VRRP's.
//
//     old node                        new node
//     prepare         ------------>   tables, addresses (quiet)
//     tables          <------------   ready
//     Backup (quiet), go  -------->   Active, announces
//     connections end <------------   taken
//     addresses and tables gone
//     done            ------------>   tables gone

public import WireCore

/// One node's side.
public struct HandoverStateMachine: Sendable {
    /// How long the new node may take to get ready: nothing is lost meanwhile, and its core may be
    /// busy.
    public static let prepareTimeout = TimeSpan.seconds(2)
    /// How long clients are parted from when packets cannot be passed on.
    public static let partingTime = TimeSpan.milliseconds(500)
    /// How long prepared addresses are kept without a word.
    public static let preparedTime = TimeSpan.seconds(4)
    /// How long the new node may take to become Active.
    public static let takeTimeout = TimeSpan.seconds(1)
    /// How much longer than the drain the new node keeps its tables.
    public static let drainMargin = TimeSpan.seconds(5)
    /// How long connections of the old node go on without the link.
    public static let linkGrace = TimeSpan.seconds(2)
    /// The longest drain that the new node believes.
    public static let drainMax = TimeSpan.seconds(24 * 3_600)

    /// How far this node has come.
    public enum Phase: String, Hashable, Sendable, CaseIterable {
        /// No switchover.
        case idle
        /// Old: `prepare` was sent.
        case asking
        /// Old: the tables are being made.
        case installing
        /// Old: clients are parted from, because packets cannot be passed on.
        case parting
        /// Old: `go` was sent.
        case going
        /// Old: the other node serves, connections end here.
        case draining
        /// New: tables and addresses are being made.
        case preparing
        /// New: ready.
        case prepared
        /// New: told to become Active.
        case claiming
        /// New: Active; connections of the old node are passed on.
        case serving
    }

    /// Where the switchover stands.
    public internal(set) var phase = Phase.idle
    /// When time alone makes the next step.
    public internal(set) var nextDeadline: Instant?
    /// Whether both nodes pass packets on.
    public internal(set) var isForwarding = false
    /// Old node: whether the new one takes connections over; new node: whether this one does.
    public internal(set) var isMoving = false

    var token: UInt64 = 0
    var ownSeats: [HandoverSeat] = []
    var peerSeats: [HandoverSeat] = []
    var drainSpan = TimeSpan.zero
    var drainDeadline = Instant.distantFuture
    var beganAt = Instant(nanoseconds: 0)
    var releasedAt = Instant(nanoseconds: 0)
    var connections: HandoverConnections?

    /// Makes a machine without a switchover.
    public init() {}

    /// Whether this node is the one that gives.
    public var isGiving: Bool {
        switch phase {
        case .asking, .installing, .parting, .going, .draining: true
        case .idle, .preparing, .prepared, .claiming, .serving: false
        }
    }

    /// Why none can begin now, or `nil`.
    public var refusal: HandoverRefusal? {
        switch phase {
        case .idle: nil
        case .going, .draining, .serving: .draining
        case .asking, .installing, .parting, .preparing, .prepared, .claiming: .busy
        }
    }

    // MARK: The old node

    /// Begins; only while ``refusal`` is `nil`.
    ///
    /// - Parameters:
    ///   - token: a number that no other switchover has.
    ///   - seats: where this node holds what it gives.
    ///   - drain: how long connections may take to end.
    ///   - canForward: whether this node can pass packets on.
    ///   - peerUnderstands: false for an older version, which gets what it knows.
    ///   - now: the present.
    /// - Returns: what to do.
    public mutating func begin(
        token: UInt64, seats: [HandoverSeat], drain: TimeSpan, canForward: Bool,
        peerUnderstands: Bool, now: Instant
    ) -> [HandoverAction] {
        precondition(phase == .idle, "a switchover begins while another one is \(phase)")
        self.token = token
        ownSeats = seats
        drainSpan = min(drain, Self.drainMax)
        isForwarding = canForward
        isMoving = false
        connections = nil
        beganAt = now
        guard peerUnderstands else {
            isForwarding = false
            return part(now)
        }
        enter(.asking, until: now + Self.prepareTimeout)
        return [say(.prepare(seats: seats, drain: drainSpan, canForward: canForward))]
    }

    /// Something of the other node about the switchover, except `prepare`.
    public mutating func messageReceived(
        _ message: HandoverMessage, now: Instant
    ) -> [HandoverAction] {
        guard message.token == token, phase != .idle else { return [] }
        switch message.content {
        case .prepare: return []
        case .ready(let seats, let canForward, let takesConnections):
            isMoving = takesConnections && canForward && isForwarding
            return readyReceived(seats, canForward: canForward, now)
        case .refuse(let reason):
            guard phase == .asking else { return [] }
            return end(reporting: .refused(reason))
        case .go: return goReceived(now)
        case .taken: return takenReceived(now)
        case .done: return doneReceived()
        case .abort(let reason): return abortReceived(reason, now)
        }
    }

    private mutating func readyReceived(
        _ seats: [HandoverSeat], canForward: Bool, _ now: Instant
    ) -> [HandoverAction] {
        guard phase == .asking else { return [] }
        isForwarding = isForwarding && canForward
        guard isForwarding else { return part(now) }
        peerSeats = seats
        enter(.installing, until: now + Self.prepareTimeout)
        return [.installOldTables(toward: seats)]
    }

    private mutating func part(_ now: Instant) -> [HandoverAction] {
        enter(.parting, until: now + Self.partingTime)
        return [.partFromClients]
    }

    mutating func release(_ now: Instant) -> [HandoverAction] {
        releasedAt = now
        enter(.going, until: now + Self.takeTimeout)
        guard isForwarding else { return [.yield(isLingering: false), say(.go)] }
        drainDeadline = now + drainSpan
        return [.yield(isLingering: true), say(.go), .drain(until: drainDeadline)]
    }

    private mutating func takenReceived(_ now: Instant) -> [HandoverAction] {
        guard phase == .going else { return [] }
        let moved = HandoverAction.report(
            .moved(gap: now - releasedAt, isForwarding: isForwarding))
        guard isForwarding else { return [moved] + finish(now) }
        enter(.draining, until: drainDeadline + Self.drainMargin)
        return connections == nil ? [moved] : [moved] + finish(now)
    }

    /// The other node says on the link that it is Active: what an older one says for `taken`.
    public mutating func peerIsActive(now: Instant) -> [HandoverAction] {
        phase == .going && !isForwarding ? takenReceived(now) : []
    }

    /// The last connection of the addresses has ended, or was cut.
    public mutating func drained(
        _ connections: HandoverConnections, now: Instant
    ) -> [HandoverAction] {
        guard phase == .going || phase == .draining else { return [] }
        self.connections = connections
        return phase == .draining ? finish(now) : []
    }

    /// Ends the old node's part.
    mutating func finish(_ now: Instant) -> [HandoverAction] {
        var actions: [HandoverAction] = []
        if isForwarding {
            let known = connections ?? HandoverConnections(ended: 0, cut: 0)
            actions = [
                .endLingering, .removeTables, say(.done(ended: known.ended, cut: known.cut)),
            ]
        }
        return actions + end(reporting: .finished(connections: connections, took: now - beganAt))
    }

    /// Gives up or cuts short because whoever asked cannot wait any longer.
    public mutating func cutShort(now: Instant) -> [HandoverAction] {
        switch phase {
        case .asking, .installing, .parting: return giveUp(.timeout)
        case .going, .draining: return isForwarding ? [.cutDrain] : []
        case .idle, .preparing, .prepared, .claiming, .serving: return []
        }
    }

    /// Takes back what the old node did before it gave the addresses up.
    mutating func giveUp(_ reason: HandoverAbort) -> [HandoverAction] {
        var actions: [HandoverAction] = isForwarding ? [.removeTables] : []
        actions.append(say(.abort(reason)))
        return actions + end(reporting: .failed(reason))
    }

    // MARK: Steps

    mutating func enter(_ phase: Phase, until deadline: Instant?) {
        self.phase = phase
        nextDeadline = deadline
    }

    mutating func end(reporting report: HandoverReport? = nil) -> [HandoverAction] {
        enter(.idle, until: nil)
        return report.map { [.report($0)] } ?? []
    }

    func say(_ content: HandoverMessage.Content) -> HandoverAction {
        .send(HandoverMessage(token: token, content))
    }
}
