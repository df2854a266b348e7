// SPDX-License-Identifier: Apache-2.0
//
// From the listeners of a configuration to plans: names of pools become places, and what was there
// before the reload is found again, so that counters and buckets go on.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO

/// Plans the listeners of one configuration.
struct ListenerPlanner {
    /// What keeps the configuration from being served.
    private(set) var problems: [String] = []

    private let workerCount: Int
    /// The secret from which buckets are seeded.
    private let key: [UInt8]
    private var poolPlaces: [String: Int] = [:]
    private var knownListeners: [ListenerIdentity: SharedListener] = [:]
    private var knownRoutes: [RouteIdentity: SharedRoute] = [:]
    private var knownLimits: [RateLimitIdentity: SharedRateLimit] = [:]

    init(
        pools: [PoolPlan], previous: DataPlaneSnapshot?, workerCount: Int,
        key: [UInt8] = RandomBytes.make(count: 32)
    ) {
        self.workerCount = workerCount
        self.key = key
        for (place, pool) in pools.enumerated() where poolPlaces[pool.name] == nil {
            poolPlaces[pool.name] = place
        }
        for plan in previous?.listeners ?? [] {
            knownListeners[plan.shared.identity] = plan.shared
            guard case .http(_, let routes, let limits) = plan.service else { continue }
            for route in routes { knownRoutes[route.shared.identity] = route.shared }
            for limit in limits + routes.flatMap(\.rateLimits) {
                knownLimits[limit.identity] = limit
            }
        }
    }

    /// Plans a listener; what is wrong with it is added to `problems`.
    mutating func plan(_ listener: ListenerConfiguration) -> ListenerPlan {
        let identity = ListenerIdentity(name: listener.name, bind: listener.bind)
        let shared =
            knownListeners[identity] ?? SharedListener(identity: identity, workerCount: workerCount)
        shared.prepare(for: listener.limits)
        return ListenerPlan(
            shared: shared, configuration: listener, service: service(listener, identity))
    }

    private mutating func service(
        _ listener: ListenerConfiguration, _ identity: ListenerIdentity
    ) -> ServicePlan {
        switch listener.service {
        case .tcp(let pool):
            return .tcp(poolIndex: place(of: pool, identity) ?? 0)
        case .http(let http):
            var routes: [RoutePlan] = []
            var matchCounts: [RouteMatch: Int] = [:]
            for route in http.routes {
                let ordinal = matchCounts[route.match, default: 0]
                matchCounts[route.match] = ordinal + 1
                let name = RouteIdentity(listener: identity, match: route.match, ordinal: ordinal)
                if let plan = plan(route, name) { routes.append(plan) }
            }
            let limits = limits(http.rateLimits, identity, .listener)
            return .http(http, routes: routes, rateLimits: limits)
        }
    }

    private mutating func plan(_ route: RouteConfiguration, _ name: RouteIdentity) -> RoutePlan? {
        var shares: [PoolSharePlan] = []
        switch route.action {
        case .pool(let pool):
            guard let place = place(of: pool, name.listener) else { return nil }
            shares = [PoolSharePlan(poolIndex: place, weight: 1)]
        case .split(let configured):
            for share in configured {
                guard let place = place(of: share.pool, name.listener) else { return nil }
                shares.append(PoolSharePlan(poolIndex: place, weight: max(0, share.weight)))
            }
            guard shares.contains(where: { $0.weight > 0 }) else {
                problems.append("listener \(name.listener.name): a split without any weight")
                return nil
            }
        case .redirect(let redirect):
            guard Self.isSendable(redirect) else {
                problems.append("listener \(name.listener.name): a redirect to no valid URI")
                return nil
            }
        case .respond:
            break
        }
        var mirror: Int?
        if let pool = route.mirror?.pool {
            guard let place = place(of: pool, name.listener) else { return nil }
            mirror = place
        }
        return RoutePlan(
            configuration: route, pools: shares, mirrorPoolIndex: mirror,
            rateLimits: limits(route.rateLimits, name.listener, .route(name)),
            shared: knownRoutes[name] ?? SharedRoute(identity: name, workerCount: workerCount))
    }

    private static func isSendable(_ redirect: RedirectConfiguration) -> Bool {
        var texts = TextArena()
        return RedirectTarget(
            scheme: nil, host: texts.keep(redirect.host ?? ""), port: redirect.port,
            path: texts.keep(redirect.path ?? "")) != nil
    }

    private mutating func place(of pool: String, _ listener: ListenerIdentity) -> Int? {
        if let place = poolPlaces[pool] { return place }
        problems.append("listener \(listener.name): no pool is named \"\(pool)\"")
        return nil
    }

    private mutating func limits(
        _ configured: [RateLimitConfiguration], _ listener: ListenerIdentity,
        _ owner: RateLimitIdentity.Owner
    ) -> [SharedRateLimit] {
        var counts: [RateLimitConfiguration: Int] = [:]
        var limits: [SharedRateLimit] = []
        for limit in configured {
            let ordinal = counts[limit, default: 0]
            counts[limit] = ordinal + 1
            let identity = RateLimitIdentity(
                listener: listener, owner: owner, configuration: limit, ordinal: ordinal)
            if let known = knownLimits[identity] {
                limits.append(known)
                continue
            }
            do throws(Errno) {
                limits.append(
                    try SharedRateLimit(identity, workerCount: workerCount, key: key))
            } catch {
                problems.append("listener \(listener.name): no memory for a rate limit: \(error)")
            }
        }
        return limits
    }
}
