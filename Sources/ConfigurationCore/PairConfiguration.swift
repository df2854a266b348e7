// SPDX-License-Identifier: Apache-2.0
//
// The typed `pair` section without its virtual routers and trackers: nodes, link, interface.

public import WireCore

/// Key `pair`: the nodes and what they share.
public struct PairConfiguration: Hashable, Sendable {
    /// Interface that carries adverts and announces the virtual addresses.
    public var interface: String
    /// The nodes in file order: two, or 1 to 16 when no virtual router needs an election.
    public var nodes: [NodeConfiguration]
    /// The pair link.
    public var link: PairLinkConfiguration
    /// Virtual routers in file order, at least one.
    public var virtualRouters: [VirtualRouterConfiguration]
    /// What beside its own interface a node watches to know whether it should serve.
    public var track: TrackingConfiguration

    /// Makes a pair.
    public init(
        interface: String, nodes: [NodeConfiguration], link: PairLinkConfiguration,
        virtualRouters: [VirtualRouterConfiguration],
        track: TrackingConfiguration = TrackingConfiguration()
    ) {
        self.interface = interface
        self.nodes = nodes
        self.link = link
        self.virtualRouters = virtualRouters
        self.track = track
    }

    /// Whether an election needs the other node: false when every address is announced by routes.
    public var hasElection: Bool { virtualRouters.contains { $0.announce == .lan } }
}

/// One entry of `pair.nodes`.
public struct NodeConfiguration: Hashable, Sendable {
    /// The node's name: what `--node` or the host name selects.
    public var name: String
    /// The node's own address on the pair's interface; the pair link and IPv4 adverts use it.
    public var address: IPv4Address
    /// Key `ipv6_address`: where IPv6 adverts come from and, unicast, go to.
    ///
    /// `nil` takes the interface's link-local address.
    public var ipv6Address: IPv6Address?
    /// VRRP priority, 1-254, or 255 for the owner of the addresses (RFC 9568 §5.2.4).
    public var priority: UInt8
    /// Key `zone`: backends of the same zone are preferred.
    public var zone: String?

    /// Makes a node.
    public init(
        name: String, address: IPv4Address, priority: UInt8, zone: String? = nil,
        ipv6Address: IPv6Address? = nil
    ) {
        self.name = name
        self.address = address
        self.priority = priority
        self.zone = zone
        self.ipv6Address = ipv6Address
    }
}

/// Key `pair.link`.
public struct PairLinkConfiguration: Hashable, Sendable {
    /// TCP port on the nodes' own addresses; default 7946.
    public var port: UInt16
    /// File that holds the shared secret; `nil` leaves the link unauthenticated.
    public var secretFile: String?
    /// Time between two heartbeats; default 100 ms, 10 ms to 10 s.
    ///
    /// While a virtual router with `takeover: safe` advertises more often, heartbeats are sent as
    /// often as its adverts.
    public var heartbeatInterval: TimeSpan

    /// Makes the link's settings.
    public init(port: UInt16, secretFile: String?, heartbeatInterval: TimeSpan) {
        self.port = port
        self.secretFile = secretFile
        self.heartbeatInterval = heartbeatInterval
    }
}
