// SPDX-License-Identifier: Apache-2.0
//
// What the checks know, as values: a change for whoever routes traffic, a picture for status.

public import BalancerCore
public import WireCore

/// A change of what the checks say about a backend.
public struct BackendVerdict: Hashable, Sendable {
    /// The pool's name.
    public var pool: String
    /// The backend's name in its pool.
    public var backend: String
    /// True when the backend may be given work.
    public var isServing: Bool
    /// Why, in words: `3 checks failed: connection refused`.
    public var reason: String
}

/// How one backend is, as its checks see it.
public struct BackendHealth: Hashable, Sendable {
    /// The pool's name.
    public var pool: String
    /// The backend's name in its pool.
    public var backend: String
    /// Where it listens.
    public var address: Endpoint
    /// False when the pool has no health check; everything below is then as at the start.
    public var isChecked: Bool
    /// What the checks say.
    public var verdict: HealthVerdict
    /// When the verdict last changed.
    public var changedAt: Instant
    /// When the last check ended; `nil` before the first one did.
    public var lastCheckedAt: Instant?
    /// Why the last check failed; `nil` when it passed or none has ended.
    public var lastFailure: ProbeFailure?
    /// How long the last check took.
    public var lastLatency: TimeSpan
    /// Checks passed since the last failed one.
    public var consecutivePasses: Int
    /// Checks failed since the last passed one.
    public var consecutiveFailures: Int
}

/// Names a backend within a configuration.
struct BackendIdentity: Hashable, Sendable {
    let pool: String
    let backend: String
}
