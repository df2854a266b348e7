// SPDX-License-Identifier: Apache-2.0
//
// Listeners and routes of one configuration with every name resolved: immutable, shared by all
// workers, each of which compiles it for itself.

internal import ConfigurationCore
internal import WireCore

/// A pool that a route may choose, and how often relative to its siblings.
struct PoolSharePlan: Sendable {
    let poolIndex: Int
    let weight: Int
}

/// One route with its pools resolved.
struct RoutePlan: Sendable {
    let configuration: RouteConfiguration
    /// Where requests go: one pool, several by weight, or none when the route answers itself.
    let pools: [PoolSharePlan]
    /// The pool that gets copies.
    let mirrorPoolIndex: Int?
    /// The buckets of `rate_limits`, shared with the other workers.
    let rateLimits: [SharedRateLimit]
    /// What is counted about the route, one row for each worker.
    let shared: SharedRoute
}

/// What a listener does with a connection.
enum ServicePlan: Sendable {
    /// HTTP: settings, routes in order, and the limits that count before any route.
    case http(HTTPListenerConfiguration, routes: [RoutePlan], rateLimits: [SharedRateLimit])
    /// Bytes go to a backend of this pool, unread.
    case tcp(poolIndex: Int)
}

/// One listener and what it serves.
struct ListenerPlan: Sendable {
    let shared: SharedListener
    let configuration: ListenerConfiguration
    let service: ServicePlan

    var limits: ListenerLimits { configuration.limits }
    /// Peers that begin with a PROXY header.
    var proxySources: [IPNetwork] { configuration.proxyProtocolSources }
    /// The pool of a TCP listener.
    var streamPoolIndex: Int? {
        switch service {
        case .http: nil
        case .tcp(let poolIndex): poolIndex
        }
    }
}
