// SPDX-License-Identifier: Apache-2.0
//
// The pools: which backends there are and where. How they are chosen, checked and protected is said
// in the types beside this one.

public import WireCore

/// One entry of `pools`.
public struct PoolConfiguration: Hashable, Sendable {
    /// The pool's name.
    public var name: String
    /// Key `balance`: how a backend is chosen; default least_time.
    public var balance: BalancePolicy
    /// Key `hash`: what the hash policies look at.
    public var hash: HashConfiguration
    /// Key `sticky`: clients stay with a backend; `nil` chooses for each request.
    public var sticky: StickyConfiguration?
    /// Keys `panic_threshold`, `overprovisioning`, `zone_aware`: how zones and priorities share.
    public var sharing: SharingConfiguration
    /// Backends in file order, at least one.
    public var backends: [BackendConfiguration]
    /// Key `health_check`: liveness; `nil` takes every backend for healthy.
    ///
    /// A backend that fails it is dead: it gets nothing and its idle connections are closed.
    public var healthCheck: HealthCheckConfiguration?
    /// Key `readiness_check`: a backend that fails it gets nothing new and keeps what it has.
    public var readinessCheck: HealthCheckConfiguration?
    /// Key `outlier_detection`: backends are judged by their traffic; `nil` (written `off`) is not.
    public var outlierDetection: OutlierConfiguration?
    /// Key `cascade_guard`: many bad verdicts at once have a shared cause; `nil` (`off`) is not.
    public var cascadeGuard: CascadeConfiguration?
    /// Key `slow_start`; `nil` (the default) gives a returning backend its full share at once.
    public var slowStart: SlowStartConfiguration?
    /// Key `limits`: what the pool and its backends are given at most.
    public var limits: PoolLimits
    /// Key `queue`: where requests wait for which no backend has room.
    public var queue: QueueConfiguration
    /// Key `retries`.
    public var retries: RetryConfiguration
    /// Key `hedging`; `nil` (the default) sends no request twice to be fast.
    public var hedging: HedgingConfiguration?
    /// Key `adaptive_concurrency`; `nil` (the default) keeps `limits.requests` as it is.
    public var adaptiveConcurrency: AdaptiveConcurrencyConfiguration?
    /// Key `drain`: how long work may go on at a backend that is drained.
    public var drain: DrainConfiguration
    /// Key `send_proxy_protocol`: the header each connection to a backend begins with.
    ///
    /// It names one client, so an HTTP pool that wants it has a connection for each request.
    public var sendsProxyHeader: ProxyHeaderVersion?
    /// Key `tunnel_source`: a virtual address from which connections for WebSockets are made.
    ///
    /// The other node can go on with those, too, since the address moves there; `nil` (the default)
    /// lets the kernel choose, and a takeover ends the WebSockets.
    public var tunnelSource: IPAddress?

    /// Makes a pool; what is not named has its default.
    public init(
        name: String, balance: BalancePolicy, backends: [BackendConfiguration],
        healthCheck: HealthCheckConfiguration?, sendsProxyHeader: ProxyHeaderVersion? = nil
    ) {
        self.name = name
        self.balance = balance
        self.backends = backends
        self.healthCheck = healthCheck
        self.sendsProxyHeader = sendsProxyHeader
        hash = HashConfiguration()
        sharing = SharingConfiguration()
        outlierDetection = OutlierConfiguration()
        cascadeGuard = CascadeConfiguration()
        limits = PoolLimits()
        queue = QueueConfiguration()
        retries = RetryConfiguration()
        drain = DrainConfiguration()
    }
}

/// Where a backend is found.
public enum BackendAddress: Hashable, Sendable {
    /// `10.0.0.1:8080`.
    case endpoint(Endpoint)
    /// `app.internal:8080`: each address that A and AAAA give is a backend.
    case host(name: String, port: UInt16)
    /// `srv:_http._tcp.app.internal`: each target is a backend, with its port, weight and priority.
    case service(name: String)
}

extension BackendAddress: CustomStringConvertible {
    /// The address as it is written in the file.
    public var description: String {
        switch self {
        case .endpoint(let endpoint): endpoint.description
        case .host(let name, let port): "\(name):\(port)"
        case .service(let name): "srv:\(name)"
        }
    }
}

/// One entry of `pools.NAME.backends`.
public struct BackendConfiguration: Hashable, Sendable {
    /// The backend's name, unique in its pool.
    public var name: String
    /// Key `address`.
    public var location: BackendAddress
    /// Key `weight`: share of traffic relative to its siblings, 0-256; default 1.
    ///
    /// 0 gives it no new work, except from clients that stick to it.
    public var weight: Int
    /// Key `zone`: nodes of the same zone prefer it.
    public var zone: String?
    /// Key `priority`: 0 (the default) to 7; larger numbers serve when smaller ones are not enough.
    public var priority: Int
    /// Key `max_requests`: requests it may have in flight, 1-1,000,000; `nil` (the default) any.
    public var maxRequests: Int?
    /// Key `max_connections`: connections it may have, tunnels included; `nil` (the default) any.
    public var maxConnections: Int?

    /// Makes a backend at a known address.
    public init(
        name: String, address: Endpoint, weight: Int, zone: String? = nil, priority: Int = 0,
        maxRequests: Int? = nil, maxConnections: Int? = nil
    ) {
        self.init(
            name: name, location: .endpoint(address), weight: weight, zone: zone,
            priority: priority, maxRequests: maxRequests, maxConnections: maxConnections)
    }

    /// Makes a backend.
    public init(
        name: String, location: BackendAddress, weight: Int, zone: String? = nil,
        priority: Int = 0, maxRequests: Int? = nil, maxConnections: Int? = nil
    ) {
        self.name = name
        self.location = location
        self.weight = weight
        self.zone = zone
        self.priority = priority
        self.maxRequests = maxRequests
        self.maxConnections = maxConnections
    }

    /// Where it listens; `nil` as long as a name stands for it.
    public var address: Endpoint? {
        guard case .endpoint(let endpoint) = location else { return nil }
        return endpoint
    }
}

/// Key `dns` at the top: how names of backends are asked for.
public struct ResolverConfiguration: Hashable, Sendable {
    /// Key `servers`: whom to ask; empty (the default) asks those of /etc/resolv.conf.
    public var servers: [Endpoint]
    /// Key `timeout`: time of one try; default 2 s, 100 ms to 30 s.
    public var timeout: TimeSpan
    /// Key `tries`: default 3, 1 to 10.
    public var tries: Int
    /// Key `ttl_min`: an answer is kept at least so long; default 1 s, 100 ms to 1 h.
    public var ttlMin: TimeSpan
    /// Key `ttl_max`: an answer is asked for again after so long; default 5 min, 1 s to 1 d.
    public var ttlMax: TimeSpan
    /// Key `hold`: addresses outlive an answer that there are none; default 30 s, 0 s to 1 d.
    ///
    /// When no server answers at all, the last good answer is kept for as long as that lasts.
    public var hold: TimeSpan

    /// Makes the settings; each has its default.
    public init(
        servers: [Endpoint] = [], timeout: TimeSpan = .seconds(2), tries: Int = 3,
        ttlMin: TimeSpan = .seconds(1), ttlMax: TimeSpan = .seconds(300),
        hold: TimeSpan = .seconds(30)
    ) {
        self.servers = servers
        self.timeout = timeout
        self.tries = tries
        self.ttlMin = ttlMin
        self.ttlMax = ttlMax
        self.hold = hold
    }
}
