// SPDX-License-Identifier: Apache-2.0
//
// What a governor keeps about one backend, and the questions that are answered from it alone.

import WireCore

/// One backend in its governor.
struct GovernedState: Sendable {
    /// An ejection by traffic.
    struct Ejection: Hashable, Sendable {
        /// Where it stands.
        enum Phase: Hashable, Sendable {
            /// Nothing is sent.
            case out(until: Instant)
            /// One request may go, or went then.
            case trial(takenAt: Instant?)
        }

        var cause: EjectionCause
        /// When the first ejection of this series began.
        var since: Instant
        var phase: Phase
        /// It was reported that the check passes all the same.
        var isLieTold = false
    }

    /// A verdict of the traffic that did not lead to an ejection; it counts as bad for a while.
    struct Accusation: Hashable, Sendable {
        var until: Instant
        var meansDead: Bool
    }

    /// What was counted when an open trial was first seen by a sweep.
    struct OpenTrial: Hashable, Sendable {
        var since: Instant
        var tally: BackendTally
        var total: UInt64
    }

    /// The work that is left at a backend that the operator took out.
    struct Drain: Hashable, Sendable {
        var since: Instant
        /// As last reported; `nil` before the first report.
        var exchanges: Int?
        var tunnels: Int?
        var cutExchanges = false
        var cutTunnels = false
        var forcedCount = 0
        var isComplete = false
    }

    let name: String
    var configuredWeight: Int
    var address: Endpoint?
    var placement: BackendPlacement

    var admin = AdminState.ready
    var weightOverride: Int?
    var forced: ForcedHealth?
    var drain: Drain?

    /// Why the check fails; `nil` while it does not.
    var livenessFailure: ProbeFailure?
    var readinessFailure: ProbeFailure?
    var livenessFailsSince: Instant?
    var readinessFailsSince: Instant?
    /// Since when the liveness check passes; `nil` before it ever did.
    var livenessPassesSince: Instant?

    /// Checks of this node that had a verdict; the peer's word counts for the others.
    var checksThatSpoke: OwedReports = []
    var peerLivenessFailure: ProbeFailure?
    var peerReadinessFailure: ProbeFailure?
    /// What the peer has to hear of.
    var owed: OwedReports = []

    var ejection: Ejection?
    /// Ejections in a row; see `OutlierDetector.remaining`.
    var ejectionNumber = 0
    var returnedAt: Instant?
    var ejectionsTotal: UInt64 = 0
    /// Its traffic asked for an ejection lately.
    var accusation: Accusation?

    /// When the latest series of bad verdicts began.
    var fellAt: Instant?
    /// It serves although a check fails.
    var isExcused = false
    var ramp: SlowStart?
    /// When the share was last looked at.
    var rampToldAt: Instant?

    var issued: BackendStanding?
    var changedAt: Instant
    var flapsTotal: UInt64 = 0
    var tally: BackendTally?
    var openTrial: OpenTrial?

    init(_ backend: GovernedBackend, now: Instant) {
        name = backend.name
        configuredWeight = backend.weight
        address = backend.address
        placement = backend.placement
        changedAt = now
    }

    /// The weight in force, as far as a standing can say it.
    var weight: UInt16 {
        let wanted = weightOverride ?? configuredWeight
        return UInt16(min(max(wanted, 0), Int(BackendStanding.weightMax)))
    }

    /// True when checks and traffic decide about it.
    var isJudged: Bool { admin == .ready && forced == nil }

    var failsCheck: Bool { liveness != nil || readiness != nil }

    /// True when it serves whether or not the cause of bad verdicts is shared.
    var isSound: Bool {
        guard admin == .ready, weight > 0 else { return false }
        return forced.map { $0 == .up } ?? (!failsCheck && ejection == nil)
    }

    func isBad(now: Instant) -> Bool {
        failsCheck || ejection != nil || isAccused(now: now)
    }

    func isAccused(now: Instant) -> Bool {
        guard let accusation else { return false }
        return now < accusation.until
    }

    /// True when nothing seems to listen there, for which no other backend can be the cause.
    func isDead(now: Instant) -> Bool {
        if let ejection, ejection.cause.meansDead { return true }
        if let accusation, now < accusation.until, accusation.meansDead { return true }
        return liveness?.meansDead ?? false
    }

    var admission: BackendStanding.Admission {
        switch admin {
        case .maintenance: return .maintenance
        case .drain: return .draining
        case .ready: break
        }
        if let forced { return forced == .up ? .serving : .unhealthy }
        if failsCheck, !isExcused { return .unhealthy }
        switch ejection?.phase {
        case nil:
            return .serving
        case .out:
            return .unhealthy
        case .trial(takenAt: nil):
            return .trial
        case .trial:
            // Its one request is on its way. A trial that was interrupted is not begun again before
            // that one is reported, or there would be two.
            return issued?.admission == .trial ? .trial : .unhealthy
        }
    }

    var isIssuedServing: Bool {
        guard let issued else { return false }
        return issued.admission == .serving && issued.weight > 0
    }
}

extension ProbeFailure {
    /// True when nothing listens, or nothing can be reached: more than slowness or a bad answer.
    var meansDead: Bool {
        switch self {
        case .connectionRefused, .system: true
        case .timedOut, .connectionClosed, .unexpectedStatus, .bodyMismatch, .unexpectedAnswer,
            .malformedResponse, .responseTooLong, .notServing, .callStatus:
            false
        }
    }
}
