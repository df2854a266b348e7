// SPDX-License-Identifier: Apache-2.0
//
// One configuration as the workers need it: immutable, shared, complete. Each worker lays it out
// anew for itself when it adopts it.

internal import BalancerCore
internal import ConfigurationCore

/// What one backend may have at a time; `nil` for any number.
struct BackendLimits: Hashable, Sendable {
    var requests: Int?
    var connections: Int?
}

/// One pool and its backends in order; those without an address are left out.
struct PoolPlan: Sendable {
    let configuration: PoolConfiguration
    let shared: SharedPool
    let backends: [SharedBackend]
    /// What the balancers of the workers are built from.
    let shape: PoolShape
    let limits: [BackendLimits]
    /// Keys and cookies of requests; `nil` when it looks at neither.
    let affinity: PoolAffinity?

    var name: String { shared.name }

    /// What its backends may fail in a row; `nil` when nobody looks.
    var outlierSettings: OutlierSettings? {
        guard let outlier = configuration.outlierDetection else { return nil }
        var settings = OutlierSettings()
        settings.serverErrorsMax = outlier.consecutiveServerErrors
        settings.gatewayErrorsMax = outlier.consecutiveGatewayErrors
        settings.localErrorsMax = outlier.consecutiveLocalErrors
        return settings
    }
}

/// A configuration in force.
final class DataPlaneSnapshot: Sendable {
    let listeners: [ListenerPlan]
    let pools: [PoolPlan]
    let timeouts: TimeoutConfiguration
    let limits: LimitConfiguration
    /// Where backends are found by name.
    let directory: BackendDirectory
    private let changes: [(backend: SharedBackend, standing: BackendStanding)]

    private init(
        _ configuration: Configuration, listeners: [ListenerPlan], pools: [PoolPlan],
        changes: [(backend: SharedBackend, standing: BackendStanding)]
    ) {
        self.changes = changes
        self.listeners = listeners
        self.pools = pools
        timeouts = configuration.timeouts
        limits = configuration.limits
        directory = BackendDirectory(pools)
    }

    /// Lays out a configuration; what `previous` has in common with it is shared.
    static func make(
        _ configuration: Configuration, nodeName: String, previous: DataPlaneSnapshot?,
        workerCount: Int, stickyKey: [UInt8]
    ) throws(DataPlaneError) -> DataPlaneSnapshot {
        var planner = PoolPlanner(
            previous: previous, zone: configuration.zone(ofNode: nodeName),
            workerCount: workerCount, stickyKey: stickyKey)
        let pools = configuration.pools.map { planner.plan($0) }
        var listenerPlanner = ListenerPlanner(
            pools: pools, previous: previous, workerCount: workerCount, key: stickyKey)
        let listeners = configuration.listeners.map { listenerPlanner.plan($0) }
        guard listenerPlanner.problems.isEmpty else {
            throw DataPlaneError(problems: listenerPlanner.problems)
        }
        return DataPlaneSnapshot(
            configuration, listeners: listeners, pools: pools, changes: planner.changes)
    }

    /// Gives backends that go on what their configuration says now; when it is certain that the
    /// configuration comes into force.
    func settleStandings() {
        for change in changes where change.backend.setStanding(change.standing) {
            change.backend.pool.announceStandings()
        }
    }
}
