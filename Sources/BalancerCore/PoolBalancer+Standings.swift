// SPDX-License-Identifier: Apache-2.0
//
// How a balancer learns who may be chosen: standings in, groups and trials out. What is learned
// about a backend survives, unless it was away.

extension PoolBalancer {
    /// Says what each backend may be given from the next choice on; one standing per backend.
    ///
    /// Costs a walk over the pool. A backend that was in no group before begins at the pool's
    /// median latency: what it was like before is history.
    public mutating func setStandings(_ standings: [BackendStanding]) {
        precondition(standings.count == backends.count, "one standing per backend")
        for index in backends.indices { backends[index].standing = standings[index] }
        regroup()
    }

    /// Says what one backend may be given; costs as much as for all of them.
    public mutating func setStanding(_ standing: BackendStanding, at index: Int) {
        guard backends.indices.contains(index) else { return }
        backends[index].standing = standing
        regroup()
    }

    /// Gives a backend another weight from the next choice on; 0 takes it out of the rotation.
    public mutating func setWeight(_ weight: Int, at index: Int) {
        guard backends.indices.contains(index) else { return }
        backends[index].standing.weight = UInt16(clamping: weight)
        regroup()
    }

    /// What a backend may be given; maintenance for an index that does not exist.
    @inlinable
    public func standing(at index: Int) -> BackendStanding {
        guard backends.indices.contains(index) else {
            return BackendStanding(admission: .maintenance, weight: 0)
        }
        return backends[index].standing
    }

    /// True when a level ignores health; see `PoolView`.
    @inlinable public var isPanicking: Bool { view.isPanicking }

    /// True when a client that sticks to the backend may be sent there.
    ///
    /// Sticking outlives a weight of 0, and draining when the pool wants it. A backend that is not
    /// healthy is given up, unless its level panics. Limits are not looked at.
    @inlinable
    public func admitsPersistent(at index: Int, whileDraining: Bool) -> Bool {
        guard backends.indices.contains(index) else { return false }
        switch backends[index].standing.admission {
        case .serving: return true
        case .trial, .unhealthy: return backends[index].group >= 0
        case .draining: return whileDraining
        case .maintenance: return false
        }
    }

    // MARK: Trials

    /// How many backends are on trial: each waits for exactly one request, from any worker.
    ///
    /// Usually 0, which is one comparison. Otherwise, before `choose`, for a request that may be
    /// sent twice and that was not tried before: for each `trialIndex(at:)`, swap the backend's
    /// shared ticket from free to taken (one atomic exchange); who gets it sends the request
    /// there and reports how it ended. The control thread frees the ticket when it puts the
    /// backend on trial. Without a ticket go on to `choose`, which never names these backends
    /// (except in panic, when they are in a group and no longer on trial).
    @inlinable public var trialCount: Int { trials.count }

    /// A backend on trial; `position` is below `trialCount`.
    @inlinable
    public func trialIndex(at position: Int) -> Int { Int(trials[position]) }

    // MARK: Groups

    mutating func regroup() {
        rebaseTurns()
        view = PoolView(
            standings: backends.map(\.standing), placements: placements, sharing: sharing)
        members = view.members
        groups = view.groups.map { BalancedGroup($0) }
        for index in backends.indices { backends[index].join(-1) }
        for position in groups.indices { assemble(position) }
        trials.removeAll(keepingCapacity: true)
        for index in backends.indices {
            let isMember = backends[index].group >= 0
            if isMember, !backends[index].wasMember { backends[index].latency = LatencyAverage() }
            backends[index].wasMember = isMember
            if !isMember, backends[index].standing.admission == .trial {
                trials.append(Int32(truncatingIfNeeded: index))
            }
        }
        rebuildWeightSums()
        rebuildTurnHeaps()
        refreshKeptKeys()
    }

    private mutating func assemble(_ position: Int) {
        var sum = 0
        let start = groups[position].start
        for place in start..<start + groups[position].count {
            let index = Int(members[place])
            backends[index].join(Int32(truncatingIfNeeded: position))
            sum &+= backends[index].weight
        }
        groups[position].weight = sum
    }
}
