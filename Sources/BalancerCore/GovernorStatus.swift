// SPDX-License-Identifier: Apache-2.0
//
// A picture of a governor for status pages and metrics.

public import WireCore

/// Why a backend is not given everything.
public enum StandingReason: Hashable, Sendable {
    /// It is given everything.
    case none
    /// The operator drains it or works on it.
    case admin(AdminState)
    /// The operator says it is down.
    case forcedDown
    /// The operator says it is stopping.
    case forcedStopping
    /// A check fails.
    case check(CheckKind, ProbeFailure)
    /// Its traffic failed; the ejection ends then.
    case ejected(EjectionCause, until: Instant)
    /// The ejection is over: one request is let through, or is on its way.
    case trial(EjectionCause, isTaken: Bool)
    /// It returned; its share grows until then.
    case slowStart(until: Instant)
}

/// How one backend is, as its governor sees it.
public struct GovernedStatus: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// What the workers were told last.
    public var standing: BackendStanding
    /// Why.
    public var reason: StandingReason
    /// True when it serves although a verdict is bad, because the cause is shared.
    public var isExcused: Bool
    /// What the operator made of it.
    public var admin: AdminState
    /// The weight the operator gave at run time.
    public var weightOverride: Int?
    /// What the operator says of its health.
    public var forced: ForcedHealth?
    /// True while it fails its liveness check.
    public var failsLiveness: Bool
    /// True while it fails its readiness check.
    public var failsReadiness: Bool
    /// When it last began or ceased to serve.
    public var changedAt: Instant
    /// Ejections since the beginning.
    public var ejectionsTotal: UInt64
    /// Ejections that count for how long the next one is.
    public var ejectionNumber: Int
    /// Times that it ceased to serve because of checks or traffic.
    public var flapsTotal: UInt64
    /// The drain under way: since when, and what is left as last reported.
    public var drain: DrainStatus?
}

/// How far a drain is.
public struct DrainStatus: Hashable, Sendable {
    /// When it began.
    public var since: Instant
    /// Requests in flight.
    public var exchanges: Int
    /// Tunnels.
    public var tunnels: Int
    /// Cut so far.
    public var forcedCount: Int
    /// True when nothing was left.
    public var isComplete: Bool
}

/// How a pool is, as its governor sees it.
public struct GovernorStatus: Hashable, Sendable {
    /// Backends in the pool.
    public var total: Int
    /// Those that are served, excused ones included.
    public var servingCount: Int
    /// Those that are ejected or on trial.
    public var ejectedCount: Int
    /// Those that serve although a verdict is bad.
    public var excusedCount: Int
    /// Since when bad verdicts have a shared cause; `nil` when they do not.
    public var cascadeSince: Instant?
    /// Since when too few are healthy; `nil` when enough are.
    public var panicSince: Instant?
}
