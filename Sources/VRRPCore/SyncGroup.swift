// SPDX-License-Identifier: Apache-2.0
//
// Which routers of a group may become or stay Active together. Knows no clock and no machine: it
// reads what their drivers perform and says what to tell them.

/// Virtual routers that are Active on the same node, or not at all.
///
/// The rules are keepalived's for its sync groups, not the RFC's. A member whose Active_Down_Timer
/// fires waits until all are ready: one member that is deaf can neither take the addresses over nor
/// make the group come and go. A member that leaves Active takes the others with it. A fault of one
/// is a fault of all. The routers of both families of one configured entry are always a group.
///
/// After each event of a member the driver performs its actions and passes them to `observe`, runs
/// the commands that come back (those still `isDue`), passes on what these give, until there are no
/// more: a member obeys a command at most once, so this ends. Faults go to `faultChanged`, not to
/// the machines.
public struct SyncGroup: Hashable, Sendable {
    /// What to tell a member.
    public enum Command: Hashable, Sendable {
        /// `groupMayClaim`.
        case mayClaim(Int)
        /// `groupMustYield`: another member left Active for this reason.
        case mustYield(Int, because: VirtualRouterTransition.Cause, lingering: Bool)
        /// `localFaultDetected`.
        case leave(Int)
        /// `localFaultCleared`.
        case come(Int)
    }

    private struct Member: Hashable {
        var state = VirtualRouterState.initialize
        var isReady = false
        /// Told to claim, and not yet done.
        var isCalled = false
        /// Told to leave Active, and not yet done.
        var isLeaving = false
        var isFaulty = false

        var isActiveToStay: Bool { state == .active && !isLeaving }
    }

    private var members: [Member]

    /// Makes a group of members that are not started, numbered from 0.
    public init(memberCount: Int) {
        precondition(memberCount > 0, "a group has members")
        members = [Member](repeating: Member(), count: memberCount)
    }

    /// The members that would be Active if the others were ready; empty when nobody waits.
    public var waiting: [Int] {
        members.indices.filter { members[$0].isReady && !members[$0].isCalled }
    }

    /// The members that keep `waiting` from becoming Active.
    public var missing: [Int] {
        guard !waiting.isEmpty else { return [] }
        return members.indices.filter { !members[$0].isReady && !members[$0].isActiveToStay }
    }

    /// Whether a member has a fault, so that the group is out of service.
    public var isFaulty: Bool { members.contains(where: \.isFaulty) }

    /// Takes what an event made member `index` do.
    public mutating func observe(
        _ actions: [VirtualRouterAction], of index: Int
    ) -> [Command] {
        guard members.indices.contains(index) else { return [] }
        var commands: [Command] = []
        var isLingering = false
        for action in actions {
            switch action {
            case .readyToClaim:
                members[index].isReady = true
                members[index].isCalled = false
            case .noLongerReady:
                commands += observeUnready(of: index)
            case .releaseAddresses(let lingering):
                isLingering = lingering
            case .recordTransition(let transition):
                commands += observe(transition, isLingering: isLingering, of: index)
            case .claimAddresses, .sendAdvertisement, .announceAddresses, .askPeer, .report,
                .reportSplit:
                break
            }
        }
        return commands + callIfReady()
    }

    /// A fault of a member began or ended; all members leave and come with it.
    public mutating func faultChanged(_ isPresent: Bool, of index: Int) -> [Command] {
        guard members.indices.contains(index) else { return [] }
        let wasFaulty = isFaulty
        members[index].isFaulty = isPresent
        guard isFaulty != wasFaulty else { return [] }
        // Who was called and did not come yet would come for nothing.
        if isPresent { uncall() }
        return members.indices.map { isPresent ? .leave($0) : .come($0) }
    }

    /// Whether a command still says what the group wants; the driver asks before it runs one.
    ///
    /// What happened since it was queued may have taken it back.
    public func isDue(_ command: Command) -> Bool {
        switch command {
        case .mayClaim(let index): members.indices.contains(index) && members[index].isCalled
        case .mustYield, .leave, .come: true
        }
    }

    /// A member would not become Active any more.
    ///
    /// If it was called, the others were too: those that came already would stay alone.
    private mutating func observeUnready(of index: Int) -> [Command] {
        let wasCalled = members[index].isCalled
        members[index].isReady = false
        members[index].isCalled = false
        guard wasCalled else { return [] }
        uncall()
        return members.indices.compactMap { other in
            guard members[other].isActiveToStay else { return nil }
            return sendAway(other, because: .groupYielded, isLingering: false)
        }
    }

    private mutating func uncall() {
        for index in members.indices { members[index].isCalled = false }
    }

    private mutating func observe(
        _ transition: VirtualRouterTransition, isLingering: Bool, of index: Int
    ) -> [Command] {
        let hasLeft = members[index].state == .active && transition.to != .active
        members[index].state = transition.to
        members[index].isReady = false
        members[index].isCalled = false
        members[index].isLeaving = false
        if hasLeft {
            return members.indices.compactMap { other in
                guard other != index, members[other].isActiveToStay else { return nil }
                return sendAway(other, because: transition.cause, isLingering: isLingering)
            }
        }
        // Commands that were run late may leave one member Active alone: not so.
        let isAlone = members.indices.contains { other in
            other != index && !members[other].isActiveToStay && !members[other].isCalled
        }
        guard transition.to == .active, isAlone else { return [] }
        return [sendAway(index, because: .groupYielded, isLingering: false)]
    }

    private mutating func sendAway(
        _ index: Int, because cause: VirtualRouterTransition.Cause, isLingering: Bool
    ) -> Command {
        members[index].isLeaving = true
        return .mustYield(index, because: cause, lingering: isLingering)
    }

    /// Calls all who are ready once nobody is missing.
    private mutating func callIfReady() -> [Command] {
        let waiting = self.waiting
        guard !waiting.isEmpty, !isFaulty, missing.isEmpty else { return [] }
        for index in waiting { members[index].isCalled = true }
        return waiting.map { .mayClaim($0) }
    }
}
