// SPDX-License-Identifier: Apache-2.0
//
// A data plane on the loopback address for tests, and waiting with a deadline.

import ConfigurationCore
import LinuxIO
import ProxyService
import Telemetry
import Testing
import WireCore

/// A running data plane with one listener named `web`.
final class TestPlane {
    let plane: DataPlane
    let endpoint: Endpoint
    private(set) var configuration: Configuration

    /// Serves `backends` as one pool named `web`.
    convenience init(
        _ backends: [Endpoint], workers: Int = 1, balance: BalancePolicy = .roundRobin,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: LimitConfiguration = LimitConfiguration(),
        listenerLimits: ListenerLimits = ListenerLimits(), descriptorLimit: Int = 1_024
    ) throws {
        let pool = Self.pool("web", backends, balance: balance)
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        try self.init(
            routes: routes, pools: [pool], workers: workers, timeouts: timeouts, limits: limits,
            listenerLimits: listenerLimits, descriptorLimit: descriptorLimit)
    }

    convenience init(
        routes: [RouteConfiguration], pools: [PoolConfiguration], workers: Int = 1,
        zone: String? = nil, timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: LimitConfiguration = LimitConfiguration(),
        listenerLimits: ListenerLimits = ListenerLimits(), descriptorLimit: Int = 1_024
    ) throws {
        try self.init(
            service: .http(HTTPListenerConfiguration(routes: routes)), pools: pools,
            workers: workers, zone: zone, timeouts: timeouts, limits: limits,
            listenerLimits: listenerLimits, descriptorLimit: descriptorLimit)
    }

    convenience init(
        http: HTTPListenerConfiguration, pools: [PoolConfiguration], workers: Int = 1,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: LimitConfiguration = LimitConfiguration(),
        listenerLimits: ListenerLimits = ListenerLimits(), descriptorLimit: Int = 1_024
    ) throws {
        try self.init(
            service: .http(http), pools: pools, workers: workers, timeouts: timeouts,
            limits: limits, listenerLimits: listenerLimits, descriptorLimit: descriptorLimit)
    }

    init(
        service: ListenerService, proxyProtocolSources: [IPNetwork] = [],
        pools: [PoolConfiguration], workers: Int = 1, zone: String? = nil,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: LimitConfiguration = LimitConfiguration(),
        listenerLimits: ListenerLimits = ListenerLimits(), descriptorLimit: Int = 1_024
    ) throws {
        let listener = ListenerConfiguration(
            name: "web", bind: Endpoint(address: .v4(.loopback), port: 0), service: service,
            proxyProtocolSources: proxyProtocolSources, limits: listenerLimits)
        configuration = Configuration(
            workers: .exactly(workers), pair: nil, listeners: [listener], pools: pools,
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: timeouts, limits: limits,
            zone: zone)
        plane = try DataPlane(
            configuration: configuration, nodeName: "test",
            logger: Logger("proxy", sink: nil), descriptorLimit: descriptorLimit,
            pairSecret: Array(Self.pairSecret.utf8))
        try plane.start()
        endpoint = try #require(plane.boundEndpoint(listener: "web"))
    }

    /// What both nodes would know.
    static let pairSecret = "a secret of the pair for tests"

    deinit {
        plane.stop()
    }

    static func pool(
        _ name: String, _ backends: [Endpoint], balance: BalancePolicy = .roundRobin
    ) -> PoolConfiguration {
        var pool = PoolConfiguration(
            name: name, balance: balance,
            backends: backends.enumerated().map { index, endpoint in
                BackendConfiguration(name: "be\(index)", address: endpoint, weight: 1)
            }, healthCheck: nil)
        // Most tests are about what happens when nobody serves, not about panic.
        pool.sharing.panicPercent = 0
        return pool
    }

    func client() throws -> TestClient {
        try TestClient(endpoint)
    }

    /// Replaces the pools of the running data plane.
    func reload(
        pools: [PoolConfiguration], routes: [RouteConfiguration]? = nil
    ) throws -> ReloadReport {
        configuration.pools = pools
        if let routes { configuration.listeners[0].routes = routes }
        return try plane.apply(configuration)
    }

    /// Writes an access log from now on, or none.
    func reload(accessLog: AccessLogConfiguration?) throws {
        configuration.accessLog = accessLog
        _ = try plane.apply(configuration)
    }

    /// Puts other limits of the listener in force.
    func reload(listenerLimits: ListenerLimits) throws {
        configuration.listeners[0].limits = listenerLimits
        _ = try plane.apply(configuration)
    }

    /// Replaces the whole HTTP part of the listener.
    func reload(http: HTTPListenerConfiguration) throws -> ReloadReport {
        configuration.listeners[0].service = .http(http)
        return try plane.apply(configuration)
    }

    /// How often a limit was hit.
    func hits(of limit: String) -> UInt64 {
        plane.statistics().limits.first { $0.limit == limit }?.count ?? 0
    }

    var listener: ListenerStatistics { plane.statistics().listeners[0] }

    /// The numbers of the first pool.
    var pool: PoolNumbers {
        PoolNumbers(now: plane.statistics().pools[0], ever: plane.attemptStatistics()[0])
    }

    func backend(_ index: Int) -> BackendStatistics { plane.statistics().backends[index] }
}

/// What a pool has in hand, and what became of its requests.
@dynamicMemberLookup
struct PoolNumbers {
    let now: PoolStatistics
    let ever: AttemptStatistics

    subscript<Value>(dynamicMember path: KeyPath<PoolStatistics, Value>) -> Value {
        now[keyPath: path]
    }

    subscript<Value>(dynamicMember path: KeyPath<AttemptStatistics, Value>) -> Value {
        ever[keyPath: path]
    }

    func refused(_ reason: String) -> UInt64 {
        AttemptStatistics.count(reason, in: ever.refusedRetries)
    }

    func retries(_ reason: String) -> UInt64 {
        AttemptStatistics.count(reason, in: ever.retries)
    }

    func opened(_ breaker: String) -> UInt64 {
        AttemptStatistics.count(breaker, in: ever.breakers)
    }
}

/// Looks until a condition holds; false when it does not before the deadline.
func eventually(
    within span: TimeSpan = .seconds(15), _ condition: () throws -> Bool
) rethrows -> Bool {
    let deadline = Clock.now() + span
    while true {
        if try condition() { return true }
        guard Clock.now() < deadline else { return false }
        KernelThread.pause(milliseconds: 2)
    }
}

/// An address of the loopback network that nobody listens on.
func deadEndpoint() throws -> Endpoint {
    let socket = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
    return try #require(try StreamSocket.localEndpoint(socket))
}
