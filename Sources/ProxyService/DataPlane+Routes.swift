// SPDX-License-Identifier: Apache-2.0
//
// The numbers of routes, of their mirrors and of rate limits, as values and as metrics.

internal import ConfigurationCore
internal import Telemetry

/// The numbers of one route.
public struct RouteStatistics: Hashable, Sendable {
    /// The listener's name.
    public var listener: String
    /// Its place among the routes of the listener, from 1.
    public var number: Int
    /// Requests that it took.
    public var requests: UInt64 = 0
    /// It has a mirror.
    public var isMirrored: Bool
    /// Requests whose copy was sent in full.
    public var mirrored: UInt64 = 0
    /// Requests that were to be copied and could not be.
    public var mirrorSkips: UInt64 = 0
    /// Copies that did not reach a backend in full.
    public var mirrorFailures: UInt64 = 0
}

/// The numbers of one rate limit.
public struct RateLimitStatistics: Hashable, Sendable {
    /// The listener's name.
    public var listener: String
    /// The route it belongs to, from 1; `nil` for a limit of the whole listener.
    public var route: Int?
    /// Its place among the limits of the same owner, from 1.
    public var number: Int
    /// What shares a bucket: `client`, `route` or `header:NAME`.
    public var key: String
    /// Requests answered 429.
    public var refused: UInt64 = 0
    /// Keys that took the bucket of another, because all around it were in use.
    public var evictions: UInt64 = 0
}

extension DataPlane {
    /// The numbers of all routes, by listener in file order.
    public func routeStatistics() -> [RouteStatistics] {
        currentSnapshot.listeners.flatMap { plan -> [RouteStatistics] in
            guard case .http(_, let routes, _) = plan.service else { return [] }
            return routes.enumerated().map { place, route in
                var sum = RouteStatistics(
                    listener: plan.configuration.name, number: place + 1,
                    isMirrored: route.mirrorPoolIndex != nil)
                for row in route.shared.tallies {
                    sum.requests &+= row.requests.value
                    sum.mirrored &+= row.mirrored.value
                    sum.mirrorSkips &+= row.mirrorSkips.value
                    sum.mirrorFailures &+= row.mirrorFailures.value
                }
                return sum
            }
        }
    }

    /// The numbers of all rate limits, by listener; those of the listener before those of routes.
    public func rateLimitStatistics() -> [RateLimitStatistics] {
        currentSnapshot.listeners.flatMap { plan -> [RateLimitStatistics] in
            guard case .http(_, let routes, let limits) = plan.service else { return [] }
            let name = plan.configuration.name
            var rows = Self.statistics(of: limits, listener: name, route: nil)
            for (place, route) in routes.enumerated() {
                rows += Self.statistics(of: route.rateLimits, listener: name, route: place + 1)
            }
            return rows
        }
    }

    private static func statistics(
        of limits: [SharedRateLimit], listener: String, route: Int?
    ) -> [RateLimitStatistics] {
        limits.enumerated().map { place, limit in
            let key =
                switch limit.identity.configuration.key {
                case .client: "client"
                case .route: "route"
                case .header(let name): "header:\(name)"
                }
            var sum = RateLimitStatistics(
                listener: listener, route: route, number: place + 1, key: key)
            for row in limit.tallies {
                sum.refused &+= row.refused.value
                sum.evictions &+= row.evictions.value
            }
            return sum
        }
    }

    func collectRoutes(into text: inout MetricsText) {
        for row in routeStatistics() {
            let route = "\(row.number)"
            text.add(
                "tandem_route_requests_total", .counter, help: "Requests that a route took.",
                labels: ["listener": row.listener, "route": route], Double(row.requests))
            let copies = [
                ("sent", row.mirrored), ("skipped", row.mirrorSkips),
                ("failed", row.mirrorFailures),
            ]
            for (result, count) in copies where row.isMirrored {
                text.add(
                    "tandem_mirror_requests_total", .counter,
                    help: "Requests to be copied for a mirror, by what became of the copy.",
                    labels: ["listener": row.listener, "route": route, "result": result],
                    Double(count))
            }
        }
        for row in rateLimitStatistics() {
            let route = row.route.map { "\($0)" } ?? "any"
            let limit = "\(row.number)"
            text.add(
                "tandem_rate_limited_requests_total", .counter,
                help: "Requests answered 429 by a rate limit.",
                labels: [
                    "listener": row.listener, "route": route, "limit": limit, "key": row.key,
                ], Double(row.refused))
            text.add(
                "tandem_rate_limit_evictions_total", .counter,
                help: "Keys that took the bucket of another key.",
                labels: [
                    "listener": row.listener, "route": route, "limit": limit, "key": row.key,
                ], Double(row.evictions))
        }
    }
}
