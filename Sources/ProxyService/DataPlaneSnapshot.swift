// SPDX-License-Identifier: Apache-2.0
//
// One configuration as the workers need it: immutable, shared, complete. Each worker lays it out
// anew for itself when it adopts it.

internal import BalancerCore
internal import ConfigurationCore
internal import Synchronization
internal import WireCore

/// Where a route leads.
struct RoutePlan: Sendable {
    let host: String?
    let pathPrefix: String?
    let poolIndex: Int
}

/// One listener and its routes in order.
struct ListenerPlan: Sendable {
    let shared: SharedListener
    let routes: [RoutePlan]
    let limits: ListenerLimits
    /// Peers that begin with a PROXY header.
    let proxySources: [IPNetwork]
    /// The pool of a TCP listener.
    let streamPoolIndex: Int?
}

/// One pool and its backends in order.
struct PoolPlan: Sendable {
    let name: String
    let policy: SelectionPolicy
    let backends: [SharedBackend]
    let weights: [Int]
}

/// A configuration in force.
final class DataPlaneSnapshot: Sendable {
    let listeners: [ListenerPlan]
    let pools: [PoolPlan]
    let timeouts: TimeoutConfiguration
    let limits: LimitConfiguration

    private init(
        listeners: [ListenerPlan], pools: [PoolPlan], timeouts: TimeoutConfiguration,
        limits: LimitConfiguration
    ) {
        self.listeners = listeners
        self.pools = pools
        self.timeouts = timeouts
        self.limits = limits
    }

    /// Lays out a configuration; what `previous` has in common with it is shared.
    static func make(
        _ configuration: Configuration, previous: DataPlaneSnapshot?, workerCount: Int
    ) throws(DataPlaneError) -> DataPlaneSnapshot {
        let pools = makePools(configuration, previous: previous, workerCount: workerCount)
        var knownListeners: [ListenerIdentity: SharedListener] = [:]
        for plan in previous?.listeners ?? [] {
            knownListeners[plan.shared.identity] = plan.shared
        }
        var problems: [String] = []
        var listeners: [ListenerPlan] = []
        for listener in configuration.listeners {
            let identity = ListenerIdentity(name: listener.name, bind: listener.bind)
            var routes: [RoutePlan] = []
            for route in listener.routes {
                let pool = route.poolNames.first ?? ""
                guard let poolIndex = pools.firstIndex(where: { $0.name == pool }) else {
                    problems.append("listener \(listener.name): no pool is named \"\(pool)\"")
                    continue
                }
                var pathPrefix: String?
                if case .prefix(let prefix) = route.match.path { pathPrefix = prefix }
                routes.append(
                    RoutePlan(
                        host: route.match.host, pathPrefix: pathPrefix, poolIndex: poolIndex))
            }
            let shared =
                knownListeners[identity]
                ?? SharedListener(identity: identity, workerCount: workerCount)
            shared.prepare(for: listener.limits)
            var streamPoolIndex: Int?
            if case .tcp(let pool) = listener.service {
                streamPoolIndex = pools.firstIndex { $0.name == pool }
                if streamPoolIndex == nil {
                    problems.append("listener \(listener.name): no pool is named \"\(pool)\"")
                }
            }
            listeners.append(
                ListenerPlan(
                    shared: shared, routes: routes, limits: listener.limits,
                    proxySources: listener.proxyProtocolSources, streamPoolIndex: streamPoolIndex))
        }
        guard problems.isEmpty else { throw DataPlaneError(problems: problems) }
        return DataPlaneSnapshot(
            listeners: listeners, pools: pools, timeouts: configuration.timeouts,
            limits: configuration.limits)
    }

    private static func makePools(
        _ configuration: Configuration, previous: DataPlaneSnapshot?, workerCount: Int
    ) -> [PoolPlan] {
        var known: [BackendIdentity: SharedBackend] = [:]
        for backend in (previous?.pools ?? []).flatMap(\.backends) {
            known[backend.identity] = backend
        }
        return configuration.pools.map { pool in
            let backends = pool.backends.map { backend in
                let identity = BackendIdentity(
                    pool: pool.name, name: backend.name, address: backend.address,
                    proxyHeader: pool.sendsProxyHeader)
                let shared =
                    known[identity] ?? SharedBackend(identity: identity, workerCount: workerCount)
                if pool.healthCheck == nil {
                    // Nobody will ever bring it back: a pool without checks is always up.
                    shared.isUp.store(true, ordering: .relaxed)
                }
                return shared
            }
            return PoolPlan(
                name: pool.name, policy: policy(pool.balance), backends: backends,
                weights: pool.backends.map(\.weight))
        }
    }

    private static func policy(_ balance: BalancePolicy) -> SelectionPolicy {
        switch balance {
        case .leastTime: .leastTime
        case .leastRequests: .leastRequests
        case .roundRobin: .roundRobin
        case .random: .random
        }
    }
}
