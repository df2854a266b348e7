// SPDX-License-Identifier: Apache-2.0
//
// From the pools of a configuration to plans: what was there before the reload is found again, so
// that verdicts, orders of the operator and counters go on.

internal import BalancerCore
internal import ConfigurationCore

/// Plans the pools of one configuration.
struct PoolPlanner {
    private let workerCount: Int
    private let zone: String?
    /// The secret of cookies.
    private let stickyKey: [UInt8]
    private var knownPools: [String: PoolPlan] = [:]
    /// What known backends may be given once the configuration is in force.
    private(set) var changes: [(backend: SharedBackend, standing: BackendStanding)] = []

    /// What `previous` has in common with the new pools is shared; `zone` is the node's own.
    init(previous: DataPlaneSnapshot?, zone: String?, workerCount: Int, stickyKey: [UInt8]) {
        self.stickyKey = stickyKey
        self.workerCount = workerCount
        self.zone = zone
        for plan in previous?.pools ?? [] { knownPools[plan.name] = plan }
    }

    /// Plans a pool.
    mutating func plan(_ pool: PoolConfiguration) -> PoolPlan {
        let known = knownPools[pool.name]
        let shared = known?.shared ?? SharedPool(name: pool.name, workerCount: workerCount)
        let former = FormerBackends(known)
        var backends: [SharedBackend] = []
        var members: [BackendConfiguration] = []
        for member in pool.backends {
            guard let address = member.address else { continue }
            let identity = BackendIdentity(
                pool: pool.name, name: member.name, address: address,
                proxyHeader: pool.sendsProxyHeader)
            let standing = former.standing(of: member, in: pool)
            if let backend = former.backend(identity) {
                if backend.standing != standing { changes.append((backend, standing)) }
                backends.append(backend)
            } else {
                backends.append(
                    SharedBackend(
                        identity: identity, pool: shared, standing: standing,
                        workerCount: workerCount))
            }
            members.append(member)
        }
        return PoolPlan(
            configuration: pool, shared: shared, backends: backends,
            shape: .make(pool, members: members, zone: zone, previous: known),
            limits: members.map {
                BackendLimits(requests: $0.maxRequests, connections: $0.maxConnections)
            },
            affinity: .make(
                pool, names: members.map(\.name), key: stickyKey, previous: known?.affinity))
    }
}

/// The backends that a pool had before, by name.
private struct FormerBackends {
    private var places: [String: Int] = [:]
    private let plan: PoolPlan?

    init(_ plan: PoolPlan?) {
        self.plan = plan
        guard let plan else { return }
        places.reserveCapacity(plan.backends.count)
        for (place, backend) in plan.backends.enumerated() {
            places[backend.identity.name] = place
        }
    }

    /// The backend that was the same one before.
    func backend(_ identity: BackendIdentity) -> SharedBackend? {
        guard let plan, let place = places[identity.name],
            plan.backends[place].identity == identity
        else { return nil }
        return plan.backends[place]
    }

    /// What a backend may be given after the reload: what it might before, also at another address,
    /// but a weight that the file changes is that of the file.
    func standing(of member: BackendConfiguration, in pool: PoolConfiguration) -> BackendStanding {
        let weight = UInt16(clamping: min(member.weight, Int(BackendStanding.weightMax)))
        guard let plan, let place = places[member.name] else {
            return BackendStanding(weight: weight)
        }
        var standing = plan.backends[place].standing
        if plan.shape.weights[place] != member.weight { standing.weight = weight }
        if standing.admission == .unhealthy, pool.healthCheck == nil,
            plan.configuration.healthCheck != nil
        {
            // Nobody may ever bring it back now.
            standing.admission = .serving
        }
        return standing
    }
}
