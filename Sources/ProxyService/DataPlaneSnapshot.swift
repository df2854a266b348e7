// SPDX-License-Identifier: Apache-2.0
//
// One configuration as the workers need it: immutable, shared, complete. Each worker lays it out
// anew for itself when it adopts it.

internal import BalancerCore
internal import ConfigurationCore
internal import Synchronization
internal import WireCore

/// One pool and its backends in order.
struct PoolPlan: Sendable {
    let name: String
    let backends: [SharedBackend]
    /// What the balancers of the workers are built from.
    let shape: PoolShape
}

/// A configuration in force.
final class DataPlaneSnapshot: Sendable {
    let listeners: [ListenerPlan]
    let pools: [PoolPlan]
    let timeouts: TimeoutConfiguration
    let limits: LimitConfiguration

    private init(_ configuration: Configuration, listeners: [ListenerPlan], pools: [PoolPlan]) {
        self.listeners = listeners
        self.pools = pools
        timeouts = configuration.timeouts
        limits = configuration.limits
    }

    /// Lays out a configuration; what `previous` has in common with it is shared.
    static func make(
        _ configuration: Configuration, nodeName: String, previous: DataPlaneSnapshot?,
        workerCount: Int
    ) throws(DataPlaneError) -> DataPlaneSnapshot {
        let pools = makePools(
            configuration, zone: configuration.zone(ofNode: nodeName), previous: previous,
            workerCount: workerCount)
        var planner = ListenerPlanner(
            pools: pools, previous: previous, workerCount: workerCount)
        let listeners = configuration.listeners.map { planner.plan($0) }
        guard planner.problems.isEmpty else { throw DataPlaneError(problems: planner.problems) }
        return DataPlaneSnapshot(configuration, listeners: listeners, pools: pools)
    }

    private static func makePools(
        _ configuration: Configuration, zone: String?, previous: DataPlaneSnapshot?,
        workerCount: Int
    ) -> [PoolPlan] {
        var known: [BackendIdentity: SharedBackend] = [:]
        for backend in (previous?.pools ?? []).flatMap(\.backends) {
            known[backend.identity] = backend
        }
        return configuration.pools.map { pool in
            let members = pool.backends.filter { $0.address != nil }
            let backends = members.compactMap { backend -> SharedBackend? in
                guard let address = backend.address else { return nil }
                let identity = BackendIdentity(
                    pool: pool.name, name: backend.name, address: address,
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
                name: pool.name, backends: backends,
                shape: .make(
                    pool, members: members, zone: zone,
                    previous: previous?.pools.first { $0.name == pool.name }))
        }
    }
}
