// SPDX-License-Identifier: Apache-2.0
//
// From the configuration to the virtual routers on the wire: one per entry and family, each with
// the facts of both nodes as that entry sees them. Pure; opens nothing.

internal import ConfigurationCore
internal import VRRPCore
internal import WireCore

/// What one instance with an election is made from.
struct InstancePlan {
    /// The instance's name.
    var instance: VirtualRouterInstance
    /// What begins its log lines.
    var label: String
    /// The entry of the configuration it comes from.
    var router: VirtualRouterConfiguration
    /// The entry's addresses of the instance's family.
    var addresses: [IPAddress]
    /// This node as the entry sees it.
    var node: NodeConfiguration
    /// The other node as the entry sees it.
    var peer: NodeConfiguration
    /// Every VRID on its interface for its family, the own one included.
    var virtualRouterIDs: [UInt8]
    /// Instances with the same name move together.
    var team: String

    /// All instances with an election, in configured order, IPv4 before IPv6.
    static func plans(
        pair: PairConfiguration, node: NodeConfiguration, peer: NodeConfiguration
    ) -> [InstancePlan] {
        var plans: [InstancePlan] = []
        for (position, router) in pair.virtualRouters.enumerated() where router.announce == .lan {
            for (instance, addresses) in instances(of: router) {
                plans.append(
                    InstancePlan(
                        instance: instance, label: label(of: instance, in: pair), router: router,
                        addresses: addresses, node: router.node(node), peer: router.node(peer),
                        virtualRouterIDs: [],
                        // No configured name begins with a space.
                        team: router.group ?? " \(position)"))
            }
        }
        for index in plans.indices {
            let own = plans[index].instance
            plans[index].virtualRouterIDs =
                plans.map(\.instance)
                .filter { $0.interface == own.interface && $0.family == own.family }
                .map(\.virtualRouterID)
        }
        return plans
    }

    /// The instances of one entry with their addresses, IPv4 before IPv6.
    static func instances(
        of router: VirtualRouterConfiguration
    ) -> [(instance: VirtualRouterInstance, addresses: [IPAddress])] {
        AddressFamily.allCases.compactMap { family in
            let addresses = router.addresses.filter { $0.family == family }
            guard !addresses.isEmpty else { return nil }
            let instance = VirtualRouterInstance(
                virtualRouterID: router.id, family: family, interface: router.interface)
            return (instance, addresses)
        }
    }

    /// What begins the log lines of an instance: the interface where it is not the pair's.
    static func label(of instance: VirtualRouterInstance, in pair: PairConfiguration) -> String {
        instance.interface == pair.interface
            ? instance.description : "\(instance) on \(instance.interface)"
    }

    /// The node's own address as far as it is configured.
    ///
    /// RFC 9568 §5.1.2.1: multicast IPv6 adverts come from a link-local address, whatever else the
    /// node has; `nil` then stands for the interface's own.
    var ownAddress: IPAddress? { address(of: node) }

    /// The other node's own address as far as it is configured.
    var peerAddress: IPAddress? { address(of: peer) }

    private func address(of node: NodeConfiguration) -> IPAddress? {
        switch instance.family {
        case .ipv4: return .v4(node.address)
        case .ipv6:
            guard let address = node.ipv6Address,
                router.transport == .unicast || address.isLinkLocal
            else { return nil }
            return .v6(address)
        }
    }

    /// A neighbour that lives is heard within this by a node that starts: its switch has learnt
    /// where it is, and neighbours have been found.
    static let startupSilence = TimeSpan.seconds(1)

    /// What the state machine is told; `ownAddress` where it is known.
    func settings(
        ownAddress: IPAddress?, isGrouped: Bool, decidesForGroup: Bool = true
    ) throws(VirtualRouterSetUpError) -> VirtualRouterSettings {
        do throws(VirtualRouterSettings.Problem) {
            return try VirtualRouterSettings(
                virtualRouterID: router.id, priority: node.priority,
                primaryAddress: ownAddress
                    ?? SpeakerSurroundings.unknownAddress(of: instance.family),
                addresses: addresses, advertisementInterval: router.advertiseInterval,
                preempts: router.preempt, preemptDelay: router.preemptDelay,
                startupSilence: Self.startupSilence,
                checksumForm: router.checksum == .rfc5798 ? .rfc5798 : .rfc9568,
                peerPriorityMax: peer.priority, addressLease: router.lease,
                announcementInterval: router.announceInterval,
                silenceRule: router.takeover == .fast ? .adverts : .advertsAndLink,
                version: instance.family == .ipv4 && router.version == .version2
                    ? .version2 : .version3,
                isGrouped: isGrouped, decidesForGroup: decidesForGroup)
        } catch {
            throw .settings(virtualRouterID: router.id, error)
        }
    }
}
