// SPDX-License-Identifier: Apache-2.0
//
// The verdict on one backend from its active checks: when to probe, how many results in a row
// change the verdict. It owns no socket and no clock; HealthService performs its actions.
//
//                 pass                       fall failures in a row
//   unverified ----------> up    unverified ------------------------> down
//                          up  -- fall failures in a row -----------> down
//                        down  -- rise passes in a row -------------> up

public import WireCore

/// How often a backend is probed and what its results mean.
public struct HealthCheckPlan: Hashable, Sendable {
    /// Time between two probes of a settled backend.
    public var interval: TimeSpan
    /// Time between two probes while results in a row speak against the verdict.
    public var transitionInterval: TimeSpan
    /// Time between two probes of a backend that is down.
    public var downInterval: TimeSpan
    /// Time one probe may take.
    public var timeout: TimeSpan
    /// Failed probes in a row that take a backend out; at least 1.
    public var fall: Int
    /// Passed probes in a row that bring it back; at least 1.
    public var rise: Int
    /// Each wait is drawn from the interval plus or minus this share of it.
    public var jitterPercent: Int

    /// Makes a plan.
    ///
    /// Unless said otherwise the transition interval is the interval, but at most one second, and
    /// a backend that is down is probed as often as any.
    public init(
        interval: TimeSpan, timeout: TimeSpan, fall: Int, rise: Int, jitterPercent: Int = 15,
        transitionInterval: TimeSpan? = nil, downInterval: TimeSpan? = nil
    ) {
        self.interval = interval
        self.transitionInterval = transitionInterval ?? min(interval, .seconds(1))
        self.downInterval = downInterval ?? interval
        self.timeout = timeout
        self.fall = max(fall, 1)
        self.rise = max(rise, 1)
        self.jitterPercent = min(max(jitterPercent, 0), 100)
    }
}

/// What the active checks of a backend say about it.
public enum HealthVerdict: Hashable, Sendable {
    /// No check settled it yet: it is served, since a restart must not empty the pools.
    case unverified
    /// Checks pass.
    case up
    /// Checks fail.
    case down

    /// True unless the checks fail.
    public var isServing: Bool { self != .down }
}

/// Fall, rise, jitter and time-out of the checks of one backend.
///
/// A backend starts `unverified` and is served. One pass settles it `up`, whatever `rise` says;
/// failures count from the first one, so it needs `fall` of them to go `down`. A probe begins
/// when the last one has ended and the wait is over, so a slow backend never has two.
public struct HealthStateMachine: Sendable {
    /// What the owner does after an event; at most one thing.
    public enum Action: Hashable, Sendable {
        /// Begin a probe and report how it ends.
        case startProbe
        /// End the running probe and report `probeFailed(.timedOut)`.
        case abandonProbe
        /// The backend may serve from now on; the first pass after start says so too.
        case becameUp
        /// The backend may not serve; so many checks in a row failed, the last one like this.
        case becameDown(failures: Int, reason: ProbeFailure)
    }

    private enum Phase: Hashable, Sendable {
        case waiting(until: Instant)
        case probing(since: Instant, deadline: Instant)
    }

    /// The plan in force.
    public private(set) var plan: HealthCheckPlan
    /// The verdict.
    public private(set) var verdict = HealthVerdict.unverified
    /// When the verdict last changed.
    public private(set) var changedAt: Instant
    /// Passed probes since the last failed one; stops counting at `countMax`.
    public private(set) var consecutivePasses = 0
    /// Failed probes since the last passed one; stops counting at `countMax`.
    public private(set) var consecutiveFailures = 0
    /// The reason of the last failed probe; `nil` when the last one passed or none has ended.
    public private(set) var lastFailure: ProbeFailure?
    /// When the last probe ended; `nil` before the first one did.
    public private(set) var lastProbeEndedAt: Instant?
    /// How long the last probe took.
    public private(set) var lastProbeLatency = TimeSpan.zero
    private var phase: Phase

    /// Counters of results in a row stop here; nothing depends on larger ones.
    public static let countMax = 1_000_000
    /// The first probe comes within this time (or within the interval, when that is shorter):
    /// soon enough to find a dead backend, spread enough not to probe all at once.
    public static let startSpread = TimeSpan.seconds(1)

    /// Starts the checks of a backend.
    public init(plan: HealthCheckPlan, now: Instant, using generator: inout SeededGenerator) {
        self.plan = plan
        changedAt = now
        phase = .waiting(
            until: now + generator.span(upTo: min(plan.interval, Self.startSpread)))
    }

    /// When `timerFired` is due.
    public var nextDeadline: Instant {
        switch phase {
        case .waiting(let until): until
        case .probing(_, let deadline): deadline
        }
    }

    /// True between `startProbe` and the report of its end.
    public var isProbing: Bool {
        switch phase {
        case .waiting: false
        case .probing: true
        }
    }

    /// Time passed: begins a probe that is due or ends one that took too long.
    public mutating func timerFired(now: Instant) -> Action? {
        guard now >= nextDeadline else { return nil }
        switch phase {
        case .waiting:
            phase = .probing(since: now, deadline: now + plan.timeout)
            return .startProbe
        case .probing:
            return .abandonProbe
        }
    }

    /// The running probe passed; ignored when none runs.
    public mutating func probeSucceeded(
        now: Instant, using generator: inout SeededGenerator
    ) -> Action? {
        guard endProbe(now: now) else { return nil }
        lastFailure = nil
        consecutiveFailures = 0
        consecutivePasses = min(consecutivePasses + 1, Self.countMax)
        let action = verdictAfterPass(now: now)
        wait(from: now, using: &generator)
        return action
    }

    /// The running probe failed; ignored when none runs.
    public mutating func probeFailed(
        _ reason: ProbeFailure, now: Instant, using generator: inout SeededGenerator
    ) -> Action? {
        guard endProbe(now: now) else { return nil }
        lastFailure = reason
        consecutivePasses = 0
        consecutiveFailures = min(consecutiveFailures + 1, Self.countMax)
        let action = verdictAfterFailure(reason, now: now)
        wait(from: now, using: &generator)
        return action
    }

    /// The running probe could not be made; ignored when none runs.
    ///
    /// The reason lies in this node (no descriptor, no port) and says nothing about the backend,
    /// so nothing is counted.
    public mutating func probeSkipped(now: Instant, using generator: inout SeededGenerator) {
        guard case .probing = phase else { return }
        wait(from: now, using: &generator)
    }

    /// Takes over a reloaded plan without losing what is known.
    ///
    /// A running probe keeps its time limit, a wait is cut to the new interval.
    public mutating func replacePlan(_ plan: HealthCheckPlan, now: Instant) {
        self.plan = plan
        if case .waiting(let until) = phase {
            phase = .waiting(until: min(until, now + presentInterval))
        }
    }

    private mutating func verdictAfterPass(now: Instant) -> Action? {
        switch verdict {
        case .up:
            return nil
        case .unverified:
            break
        case .down:
            guard consecutivePasses >= plan.rise else { return nil }
        }
        verdict = .up
        changedAt = now
        return .becameUp
    }

    private mutating func verdictAfterFailure(_ reason: ProbeFailure, now: Instant) -> Action? {
        switch verdict {
        case .down:
            return nil
        case .unverified, .up:
            guard consecutiveFailures >= plan.fall else { return nil }
        }
        verdict = .down
        changedAt = now
        return .becameDown(failures: consecutiveFailures, reason: reason)
    }

    private mutating func endProbe(now: Instant) -> Bool {
        guard case .probing(let since, _) = phase else { return false }
        lastProbeEndedAt = now
        lastProbeLatency = now - since
        return true
    }

    private mutating func wait(from now: Instant, using generator: inout SeededGenerator) {
        let interval = presentInterval
        let swing = interval.divided(by: 100).multiplied(by: UInt64(plan.jitterPercent))
        let drawn = generator.span(upTo: swing.multiplied(by: 2))
        phase = .waiting(until: now + (interval - swing) + drawn)
    }

    /// Time to the next probe, before jitter.
    private var presentInterval: TimeSpan {
        if isInTransition { return plan.transitionInterval }
        return verdict == .down ? plan.downInterval : plan.interval
    }

    /// True while the latest results speak against the verdict.
    private var isInTransition: Bool {
        switch verdict {
        case .unverified, .up: consecutiveFailures > 0
        case .down: consecutivePasses > 0
        }
    }
}
