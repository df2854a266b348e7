// SPDX-License-Identifier: Apache-2.0
//
// The typed configuration of a pair: what a valid tandem.yaml means, with every default filled in.
// Reading YAML and reporting errors live elsewhere in this target.

public import WireCore

/// Everything one file says; both nodes run from the same value.
public struct Configuration: Hashable, Sendable {
    /// How many data-plane threads to run.
    public var workers: WorkerCount
    /// Key `zone`: where this node stands when it is no node of a pair, or its node names none.
    public var zone: String?
    /// The pair; `nil` runs a single node without virtual addresses.
    public var pair: PairConfiguration?
    /// Listeners in file order.
    public var listeners: [ListenerConfiguration]
    /// Pools in file order.
    public var pools: [PoolConfiguration]
    /// Where the node answers its operator.
    public var admin: AdminConfiguration
    /// Time limits of the data plane.
    public var timeouts: TimeoutConfiguration
    /// Size and count limits of the data plane.
    public var limits: LimitConfiguration
    /// Where a line per request goes; `nil` writes none.
    public var accessLog: AccessLogConfiguration?
    /// Key `dns`: how names of backends are asked for.
    public var resolver: ResolverConfiguration

    /// Makes a configuration.
    public init(
        workers: WorkerCount, pair: PairConfiguration?, listeners: [ListenerConfiguration],
        pools: [PoolConfiguration], admin: AdminConfiguration, timeouts: TimeoutConfiguration,
        limits: LimitConfiguration = LimitConfiguration(),
        accessLog: AccessLogConfiguration? = nil, zone: String? = nil,
        resolver: ResolverConfiguration = ResolverConfiguration()
    ) {
        self.workers = workers
        self.zone = zone
        self.pair = pair
        self.listeners = listeners
        self.pools = pools
        self.admin = admin
        self.timeouts = timeouts
        self.limits = limits
        self.accessLog = accessLog
        self.resolver = resolver
    }

    /// The zone of a node of the pair, or of the node that is alone.
    public func zone(ofNode name: String?) -> String? {
        pair?.nodes.first { $0.name == name }?.zone ?? zone
    }
}

/// Key `workers`: the number of data-plane threads.
public enum WorkerCount: Hashable, Sendable {
    /// One per core the process may use; the default.
    case automatic
    /// Exactly this many, 1 to 64.
    case exactly(Int)
}

/// Key `pair`: the two nodes and what they share.
public struct PairConfiguration: Hashable, Sendable {
    /// Interface that carries adverts and announces the virtual addresses.
    public var interface: String
    /// The nodes in file order; exactly two.
    public var nodes: [NodeConfiguration]
    /// The pair link.
    public var link: PairLinkConfiguration
    /// Virtual routers in file order, at least one.
    public var virtualRouters: [VirtualRouterConfiguration]

    /// Makes a pair.
    public init(
        interface: String, nodes: [NodeConfiguration], link: PairLinkConfiguration,
        virtualRouters: [VirtualRouterConfiguration]
    ) {
        self.interface = interface
        self.nodes = nodes
        self.link = link
        self.virtualRouters = virtualRouters
    }
}

/// One entry of `pair.nodes`.
public struct NodeConfiguration: Hashable, Sendable {
    /// The node's name: what `--node` or the host name selects.
    public var name: String
    /// The node's own address on the pair's interface.
    public var address: IPv4Address
    /// VRRP priority, 1-254, or 255 for the owner of the addresses (RFC 9568 §5.2.4).
    public var priority: UInt8
    /// Key `zone`: backends of the same zone are preferred.
    public var zone: String?

    /// Makes a node.
    public init(name: String, address: IPv4Address, priority: UInt8, zone: String? = nil) {
        self.name = name
        self.address = address
        self.priority = priority
        self.zone = zone
    }
}

/// Key `pair.link`.
public struct PairLinkConfiguration: Hashable, Sendable {
    /// TCP port on the nodes' own addresses; default 7946.
    public var port: UInt16
    /// File that holds the shared secret; `nil` leaves the link unauthenticated.
    public var secretFile: String?
    /// Time between two heartbeats; default 100 ms, 10 ms to 10 s.
    public var heartbeatInterval: TimeSpan

    /// Makes the link's settings.
    public init(port: UInt16, secretFile: String?, heartbeatInterval: TimeSpan) {
        self.port = port
        self.secretFile = secretFile
        self.heartbeatInterval = heartbeatInterval
    }
}

/// One entry of `pair.virtual_routers`.
public struct VirtualRouterConfiguration: Hashable, Sendable {
    /// VRID, 1-255 (RFC 9568 §5.2.3).
    public var id: UInt8
    /// The virtual addresses, 1 to 20.
    public var addresses: [IPv4Address]
    /// Advertisement_Interval, 10 ms to 40.95 s in steps of 10 ms; default 1 s.
    public var advertiseInterval: TimeSpan
    /// Preempt_Mode; default false: a returning node waits for the next fault.
    public var preempt: Bool
    /// How long a node of higher priority waits after start before it preempts; default 0 s.
    public var preemptDelay: TimeSpan
    /// How long an address outlives a process that stopped renewing it; default 2 s, 2 s to 60 s.
    public var lease: TimeSpan
    /// How adverts travel.
    public var transport: AdvertisementTransport

    /// Makes a virtual router.
    public init(
        id: UInt8, addresses: [IPv4Address], advertiseInterval: TimeSpan, preempt: Bool,
        preemptDelay: TimeSpan, lease: TimeSpan, transport: AdvertisementTransport
    ) {
        self.id = id
        self.addresses = addresses
        self.advertiseInterval = advertiseInterval
        self.preempt = preempt
        self.preemptDelay = preemptDelay
        self.lease = lease
        self.transport = transport
    }
}

/// Key `transport` of a virtual router: how adverts reach the other node.
public enum AdvertisementTransport: Hashable, Sendable {
    /// To 224.0.0.18, as RFC 9568 §5.1.1.2 says; the default.
    case multicast
    /// To the other node's address, for networks without multicast.
    case unicast
}

/// Key `admin`.
public struct AdminConfiguration: Hashable, Sendable {
    /// Where metrics and status are served over HTTP; `nil` for nowhere.
    public var http: Endpoint?
    /// Path of the runtime command socket; `nil` for none.
    public var socket: String?

    /// Makes the admin settings.
    public init(http: Endpoint?, socket: String?) {
        self.http = http
        self.socket = socket
    }
}
