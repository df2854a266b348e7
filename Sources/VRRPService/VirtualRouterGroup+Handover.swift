// SPDX-License-Identifier: Apache-2.0
//
// Moving the Active's part to the other node on purpose: at once, or step by step so that no
// connection is lost. The order of the steps is not decided here.

internal import LinuxIO
internal import VRRPCore
public import WireCore

extension VirtualRouterGroup {
    /// The virtual routers for which this node is the Active.
    public var activeInstances: [VirtualRouterInstance] {
        speakers.filter { $0.state == .active }.map(\.instance)
    }

    /// `instances` and whatever moves together with one of them.
    public func withGroups(_ instances: [VirtualRouterInstance]) -> [VirtualRouterInstance] {
        teams.filter { team in team.contains { instances.contains($0.instance) } }
            .joined().map(\.instance)
    }

    /// The virtual addresses of `instances`.
    public func addresses(of instances: [VirtualRouterInstance]) -> [IPAddress] {
        speakers(instances).flatMap(\.settings.addresses)
    }

    /// Whether this node could become Active for all of `instances` if the other one handed over.
    public func canTakeOver(_ instances: [VirtualRouterInstance]) -> Bool {
        let speakers = speakers(instances)
        return speakers.count == Set(instances).count
            && speakers.allSatisfy(\.mayPrepare)
    }

    /// New node: adds the addresses quietly, ready for `takeOver`.
    ///
    /// - Returns: false when this node could not become Active for all of them; then none is added.
    public func prepare(_ instances: [VirtualRouterInstance]) -> Bool {
        for speaker in speakers(instances) {
            guard speaker.prepare() else {
                cancelPrepared(instances)
                return false
            }
        }
        return true
    }

    /// New node: the planned switchover does not happen.
    public func cancelPrepared(_ instances: [VirtualRouterInstance]) {
        for speaker in speakers(instances) { speaker.cancelPrepared() }
    }

    /// New node: the other one keeps quiet from now on.
    public func takeOver(_ instances: [VirtualRouterInstance], detectedAt: Instant) {
        for speaker in speakers(instances) { speaker.takeOver(detectedAt: detectedAt) }
    }

    /// Old node: gives the Active's part up; `isLingering` keeps the addresses quietly.
    public func yield(_ instances: [VirtualRouterInstance], isLingering: Bool) {
        for speaker in speakers(instances) { speaker.yield(isLingering: isLingering) }
    }

    /// Old node: the connections that kept the addresses here have ended.
    public func endLingering(_ instances: [VirtualRouterInstance]) {
        for speaker in speakers(instances) { speaker.endLingering() }
    }

    /// Gives all addresses to the other node at once.
    public func switchOver() {
        yield(activeInstances, isLingering: false)
    }

    // MARK: Handing over because of a lowered priority

    func noteActive(_ instance: VirtualRouterInstance) {
        for (index, team) in teams.enumerated()
        where team.contains(where: { $0.instance == instance }) {
            advice[index].becameActive(now: Clock.now())
        }
    }

    func noteLinkUp(_ isUp: Bool, at instant: Instant) {
        for index in advice.indices {
            if isUp {
                advice[index].linkCameUp(now: instant)
            } else {
                advice[index].linkWentDown()
            }
        }
    }

    /// Asks for a handover where the other node just said that it would serve better.
    func adviseHandover(now: Instant) {
        guard let onHandoverWanted else { return }
        for (index, team) in teams.enumerated() where wantsHandover(index, team, now: now) {
            onHandoverWanted(team.map(\.instance))
        }
    }

    private func wantsHandover(_ index: Int, _ team: [Speaker], now: Instant) -> Bool {
        guard let first = team.first, first.status.penaltyPoints > 0 else { return false }
        let said = team.compactMap(\.status.peerSaid)
        guard said.count == team.count else { return false }
        return advice[index].wantsHandover(
            own: HandoverAdvice.Own(
                isActive: team.allSatisfy { $0.state == .active },
                priority: team.map { $0.machine.priority }.max() ?? 0,
                penaltyPoints: first.status.penaltyPoints),
            peer: HandoverAdvice.Peer(
                isBackup: said.allSatisfy { $0.state == .backup },
                priority: said.contains { $0.priority == nil }
                    ? nil : said.compactMap(\.priority).min(),
                isFaulty: said.contains(where: \.isFaulty),
                isHeld: said.contains(where: \.isHeld), heardAt: now),
            now: now)
    }

    private func speakers(_ instances: [VirtualRouterInstance]) -> [Speaker] {
        speakers.filter { instances.contains($0.instance) }
    }
}
