// SPDX-License-Identifier: Apache-2.0
//
// Moving the Active's part to the other node on purpose: at once, or step by step so that no
// connection is lost. The order of the steps is not decided here.

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

    private func speakers(_ instances: [VirtualRouterInstance]) -> [Speaker] {
        speakers.filter { instances.contains($0.instance) }
    }
}
