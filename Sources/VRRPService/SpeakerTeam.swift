// SPDX-License-Identifier: Apache-2.0
//
// The virtual routers that move together: carries what each of them does to the group's machine
// and what that says back to them. Decides nothing.

internal import VRRPCore

/// Drives one synchronisation group.
final class SpeakerTeam {
    /// The members in configured order; at least two.
    let members: [Speaker]

    private var group: SyncGroup
    private var commands: [SyncGroup.Command] = []
    private var isRunning = false

    /// Joins the members; called before their start.
    init(_ members: [Speaker]) {
        self.members = members
        group = SyncGroup(memberCount: members.count)
        for (index, member) in members.enumerated() {
            member.team = self
            member.teamIndex = index
        }
    }

    /// A member is about to do this.
    ///
    /// The group's machine hears of it in the order in which the members' machines decided, even
    /// when doing it brings the next event of the same member.
    func note(_ actions: [VirtualRouterAction], of index: Int) {
        commands += group.observe(actions, of: index)
    }

    /// A member's own faults began or ended.
    func faultChanged(_ isPresent: Bool, of index: Int) {
        commands += group.faultChanged(isPresent, of: index)
        run()
    }

    /// Tells the members what follows from what they did; what they do in return brings more, each
    /// in its turn.
    func run() {
        guard !isRunning else { return }
        isRunning = true
        while !commands.isEmpty {
            let command = commands.removeFirst()
            if group.isDue(command) { carryOut(command) }
        }
        isRunning = false
    }

    private func carryOut(_ command: SyncGroup.Command) {
        switch command {
        case .mayClaim(let index):
            members[index].obey { $0.groupMayClaim(now: $1, into: &$2) }
        case .mustYield(let index, let cause, let isLingering):
            members[index].obey {
                $0.groupMustYield(because: cause, lingering: isLingering, now: $1, into: &$2)
            }
        case .leave(let index):
            members[index].followGroup(isFaulty: true)
        case .come(let index):
            members[index].followGroup(isFaulty: false)
        }
    }
}
