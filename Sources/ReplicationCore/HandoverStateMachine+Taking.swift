// SPDX-License-Identifier: Apache-2.0
//
// The new node's side of a planned switchover.

public import WireCore

extension HandoverStateMachine {
    /// What the driver knows of this node when `prepare` comes.
    public struct Standing: Hashable, Sendable {
        /// Why it would not take these routers over.
        public var refusal: HandoverRefusal?
        /// Where it holds them, in the order in which they were named.
        public var seats: [HandoverSeat]
        /// Whether it can pass packets on.
        public var canForward: Bool
        /// Whether connections of the other node can go on here.
        public var takesConnections: Bool

        /// Makes a standing.
        public init(
            refusal: HandoverRefusal?, seats: [HandoverSeat], canForward: Bool,
            takesConnections: Bool = false
        ) {
            self.refusal = refusal
            self.seats = seats
            self.canForward = canForward
            self.takesConnections = takesConnections
        }
    }

    /// The old node wants to hand over.
    public mutating func prepareReceived(
        token: UInt64, seats: [HandoverSeat], drain: TimeSpan, canForward: Bool,
        standing: Standing, now: Instant
    ) -> [HandoverAction] {
        var actions: [HandoverAction] = []
        // The old node gave up what it began before, although no word of it came here.
        if phase == .prepared || phase == .preparing { actions = takeBack() }
        if let refusal = refusal ?? standing.refusal {
            return actions + [.send(HandoverMessage(token: token, .refuse(refusal)))]
        }
        self.token = token
        ownSeats = standing.seats
        peerSeats = seats
        drainSpan = min(drain, Self.drainMax)
        isForwarding = canForward && standing.canForward
        isMoving = isForwarding && standing.takesConnections
        beganAt = now
        guard isForwarding else { return actions + becomeReady(now) }
        enter(.preparing, until: now + Self.prepareTimeout)
        return actions + [.installNewTables(toward: seats)]
    }

    /// The tables asked for are in force.
    public mutating func tablesInstalled(now: Instant) -> [HandoverAction] {
        switch phase {
        case .installing: return release(now)
        case .preparing: return [.prepareAddresses]
        default: return []
        }
    }

    /// The kernel refused the tables; none are left.
    public mutating func tablesRefused(now: Instant) -> [HandoverAction] {
        switch phase {
        case .installing: return giveUp(.tablesRefused)
        case .preparing:
            isForwarding = false
            isMoving = false
            return becomeReady(now)
        default: return []
        }
    }

    /// The addresses are held without a sound.
    public mutating func addressesPrepared(now: Instant) -> [HandoverAction] {
        phase == .preparing ? becomeReady(now) : []
    }

    /// The addresses could not be added; none are held.
    public mutating func addressesRefused(now: Instant) -> [HandoverAction] {
        guard phase == .preparing else { return [] }
        return [.removeTables, say(.refuse(.addressRefused))] + end()
    }

    private mutating func becomeReady(_ now: Instant) -> [HandoverAction] {
        enter(.prepared, until: now + Self.preparedTime)
        return [
            say(
                .ready(seats: ownSeats, canForward: isForwarding, takesConnections: isMoving))
        ]
    }

    mutating func goReceived(_ now: Instant) -> [HandoverAction] {
        guard phase == .prepared else { return [] }
        releasedAt = now
        enter(.claiming, until: now + Self.takeTimeout)
        return [.takeOver]
    }

    mutating func doneReceived() -> [HandoverAction] {
        guard phase == .serving || phase == .claiming else { return [] }
        return [.removeTables] + end()
    }

    mutating func abortReceived(_ reason: HandoverAbort, _ now: Instant) -> [HandoverAction] {
        switch phase {
        case .preparing, .prepared, .claiming: return takeBack()
        case .serving: return [.removeTables] + end()
        case .going where isForwarding:
            // It could not: whoever still has the addresses serves on.
            return [.takeOver]
        case .idle, .asking, .installing, .parting, .going, .draining: return []
        }
    }

    /// The old node asks for something else: forgets what it asked for before.
    public mutating func forgetPrepared() -> [HandoverAction] {
        phase == .prepared || phase == .preparing ? takeBack() : []
    }

    /// Undoes what the new node prepared.
    mutating func takeBack() -> [HandoverAction] {
        let actions: [HandoverAction] = isForwarding ? [.cancelPrepared, .removeTables] : []
        return actions + end()
    }
}

// MARK: Both sides

extension HandoverStateMachine {
    /// This node became Active for what is handed over.
    public mutating func becameActive(now: Instant) -> [HandoverAction] {
        switch phase {
        case .claiming:
            let taken = say(.taken(after: now - releasedAt))
            guard isForwarding else { return [taken] + end() }
            enter(.serving, until: now + drainSpan + Self.drainMargin)
            return [taken]
        case .prepared:
            // A heartbeat or an advert was faster than `go`; connections may linger over there.
            let taken = say(.taken(after: .zero))
            guard isForwarding else { return [taken] + end() }
            enter(.serving, until: now + drainSpan + Self.drainMargin)
            return [taken]
        case .preparing:
            return [.removeTables] + end()
        case .going, .draining:
            let actions: [HandoverAction] = isForwarding ? [.removeTables, .stopDrain] : []
            return actions + [say(.abort(.claimedAgain))]
                + end(reporting: .failed(.claimedAgain))
        case .idle, .asking, .installing, .parting, .serving:
            return []
        }
    }

    /// This node is Active no more, for another reason than this switchover.
    public mutating func ceasedActive(now: Instant) -> [HandoverAction] {
        switch phase {
        case .asking, .installing, .parting: giveUp(.lostAddresses)
        case .serving: [.removeTables] + end()
        case .idle, .going, .draining, .preparing, .prepared, .claiming: []
        }
    }

    /// Heartbeats do not arrive; the other node may live.
    public mutating func linkWentDown(now: Instant) -> [HandoverAction] {
        switch phase {
        case .parting: return end(reporting: .linkLost)
        case .going, .draining, .claiming, .serving:
            nextDeadline = min(nextDeadline ?? .distantFuture, now + Self.linkGrace)
            return []
        case .idle, .asking, .installing, .preparing, .prepared:
            // Silence may be a busy core; their own time-outs tell.
            return []
        }
    }

    /// Heartbeats arrive again.
    public mutating func linkCameUp(now: Instant) {
        switch phase {
        case .draining: nextDeadline = drainDeadline + Self.drainMargin
        case .serving: nextDeadline = now + drainSpan + Self.drainMargin
        default: break
        }
    }

    /// The other node's process is gone, or said goodbye.
    ///
    /// VRRP was told before.
    public mutating func peerEnded(now: Instant) -> [HandoverAction] {
        switch phase {
        case .asking, .installing, .parting:
            let actions: [HandoverAction] = isForwarding ? [.removeTables] : []
            return actions + end(reporting: .linkLost)
        case .preparing, .prepared: return takeBack()
        case .claiming, .serving: return (isForwarding ? [.removeTables] : []) + end()
        case .idle, .going, .draining: return []
        }
    }

    /// Time has come to ``nextDeadline``.
    public mutating func deadlinePassed(now: Instant) -> [HandoverAction] {
        guard let nextDeadline, now >= nextDeadline else { return [] }
        switch phase {
        case .idle: return []
        case .asking, .installing: return giveUp(.timeout)
        case .parting: return release(now)
        case .going:
            // Adverts decide who serves; connections go on meanwhile.
            guard isForwarding else { return end(reporting: .failed(.timeout)) }
            enter(.draining, until: drainDeadline + Self.drainMargin)
            return connections == nil ? [] : finish(now)
        case .draining:
            guard connections == nil, now < drainDeadline + Self.drainMargin else {
                return finish(now)
            }
            // The link is gone: nobody passes packets on to us any more.
            enter(.draining, until: drainDeadline + Self.drainMargin)
            return [.cutDrain]
        case .preparing, .prepared: return takeBack()
        case .claiming: return takeBackClaim()
        case .serving: return [.removeTables] + end()
        }
    }

    private mutating func takeBackClaim() -> [HandoverAction] {
        let abort = say(.abort(.timeout))
        return takeBack() + [abort]
    }
}
