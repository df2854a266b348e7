// SPDX-License-Identifier: Apache-2.0
//
// What checks and governors know, as values: the pictures that status pages show.

public import BalancerCore
public import WireCore

/// How one pool is.
public struct PoolHealth: Hashable, Sendable {
    /// The pool's name.
    public var pool: String
    /// What its governor makes of it as a whole.
    public var status: GovernorStatus
}

/// How one backend is, as its checks see it.
public struct BackendHealth: Hashable, Sendable {
    /// The pool's name.
    public var pool: String
    /// The backend's name in its pool.
    public var backend: String
    /// Where it listens.
    public var address: Endpoint
    /// What its governor makes of checks, traffic and the operator's wishes.
    public var governed: GovernedStatus?
    /// What the liveness check says; `nil` when the pool has none.
    public var liveness: CheckHealth?
    /// What the readiness check says; `nil` when the pool has none.
    public var readiness: CheckHealth?

    /// The state in HAProxy's word, without its progress.
    public var state: BackendState { governed.map { BackendState($0) } ?? .up }
    /// Why it is not given everything, in words; empty when it is.
    public var why: String { governed.map { $0.why } ?? "" }
    /// When it last began or ceased to serve.
    public var since: Instant? { governed?.changedAt }
    /// Until when its traffic keeps it out; `nil` when it does not.
    public var ejectedUntil: Instant? {
        guard case .ejected(_, let until) = governed?.reason else { return nil }
        return until
    }

    /// False when the pool has no liveness check; everything below is then as at the start.
    public var isChecked: Bool { liveness != nil }
    /// What the liveness check says.
    public var verdict: HealthVerdict { liveness?.verdict ?? .unverified }
    /// When the liveness check last ended; `nil` before the first one did.
    public var lastCheckedAt: Instant? { liveness?.lastCheckedAt }
    /// Why the last liveness check failed; `nil` when it passed or none has ended.
    public var lastFailure: ProbeFailure? { liveness?.lastFailure }
    /// How long the last liveness check took.
    public var lastLatency: TimeSpan { liveness?.lastLatency ?? .zero }
    /// Liveness checks passed since the last failed one.
    public var consecutivePasses: Int { liveness?.consecutivePasses ?? 0 }
    /// Liveness checks failed since the last passed one.
    public var consecutiveFailures: Int { liveness?.consecutiveFailures ?? 0 }
}

/// How one check of one backend is.
public struct CheckHealth: Hashable, Sendable {
    /// What it says.
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

    init(_ machine: HealthStateMachine) {
        verdict = machine.verdict
        changedAt = machine.changedAt
        lastCheckedAt = machine.lastProbeEndedAt
        lastFailure = machine.lastFailure
        lastLatency = machine.lastProbeLatency
        consecutivePasses = machine.consecutivePasses
        consecutiveFailures = machine.consecutiveFailures
    }
}

/// Names a backend within a configuration.
struct BackendIdentity: Hashable, Sendable {
    let pool: String
    let backend: String
}
