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
