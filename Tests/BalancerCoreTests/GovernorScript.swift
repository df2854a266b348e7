// SPDX-License-Identifier: Apache-2.0
//
// Drives a governor through virtual time and remembers what it said.

import BalancerCore
import Testing
import WireCore

/// A governor, its clock and everything it asked for.
struct GovernorScript {
    static let start = Instant(nanoseconds: 1_000_000_000_000)

    var governor: PoolGovernor
    private(set) var now = Self.start
    /// Since the last call of `take`.
    private(set) var actions: [GovernorAction] = []

    init(
        count: Int, settings: GovernorSettings = GovernorSettings(), weights: [Int] = []
    ) {
        let backends = (0..<count).map { index in
            GovernedBackend(
                name: "b\(index)", weight: weights.indices.contains(index) ? weights[index] : 1)
        }
        governor = PoolGovernor(backends: backends, settings: settings, seed: 1, now: now)
    }

    /// Performs one event now.
    mutating func event(_ perform: (inout PoolGovernor, Instant) -> [GovernorAction]) {
        actions += perform(&governor, now)
    }

    mutating func fail(
        _ index: Int, _ reason: ProbeFailure = .timedOut, _ check: CheckKind = .liveness
    ) {
        event { $0.checkVerdict(index, check, failure: reason, now: $1) }
    }

    mutating func pass(_ index: Int, _ check: CheckKind = .liveness) {
        event { $0.checkVerdict(index, check, failure: nil, now: $1) }
    }

    mutating func traffic(_ index: Int, _ cause: EjectionCause = .serverErrors(count: 5)) {
        event { $0.trafficFailed(index, cause, now: $1) }
    }

    mutating func trial(_ index: Int, _ outcome: TrialOutcome) {
        event { $0.trialBegan(index, now: $1) }
        event { $0.trialEnded(index, outcome, now: $1) }
    }

    /// Lets time pass, with every timer at its time.
    mutating func wait(_ span: TimeSpan) {
        let end = now + span
        while governor.nextDeadline <= end {
            now = max(now, governor.nextDeadline)
            let before = governor.nextDeadline
            actions += governor.timerFired(now: now)
            #expect(governor.nextDeadline > before || governor.nextDeadline > now)
        }
        now = end
    }

    /// What was said since the last call.
    mutating func take() -> [GovernorAction] {
        defer { actions = [] }
        return actions
    }

    mutating func takeEvents() -> [GovernorEvent] {
        take().compactMap { action in
            guard case .report(let event) = action else { return nil }
            return event
        }
    }

    /// One letter a backend: serving, trial, unhealthy, draining, maintenance.
    var picture: String {
        (0..<governor.backendCount).map { index in
            switch governor.standing(at: index).admission {
            case .serving: "s"
            case .trial: "t"
            case .unhealthy: "u"
            case .draining: "d"
            case .maintenance: "m"
            }
        }.joined()
    }
}

extension GovernorSettings {
    /// No guard, no jitter: every verdict counts by itself and times are exact.
    static var exact: GovernorSettings {
        var settings = GovernorSettings()
        settings.outlier?.jitterPercent = 0
        settings.cascade = nil
        return settings
    }

    /// The guard as by default, times exact.
    static var guarded: GovernorSettings {
        var settings = GovernorSettings()
        settings.outlier?.jitterPercent = 0
        return settings
    }
}
