// SPDX-License-Identifier: Apache-2.0
//
// All trackers of one node: results in, verdicts and reports out. Owns the hysteresis and the rate
// of reports; owns no tracker and no clock.

public import WireCore

/// Adds up the results of a node's trackers.
///
/// A result of a tracker that is not configured is ignored: a reload may have removed it.
public struct TrackingStateMachine: Sendable {
    /// Reports that one tracker may cause at once.
    public static let reportBurst = 4
    /// One more report of a tracker is allowed in this time.
    public static let reportInterval = TimeSpan.seconds(10)

    private struct Entry: Sendable {
        var standing: TrackerStanding
        var current = TrackerState.unknown
        var reported = TrackerState.unknown
        /// Changes since the last report.
        var changeCount: UInt64 = 0
        var detail = ""
        var limiter = ReportLimiter()
    }

    private var entries: [Entry]
    /// What the results so far add up to.
    public private(set) var verdict = TrackingVerdict()

    /// Starts with no result of any tracker.
    public init(trackers: [TrackerSettings]) {
        entries = trackers.map { Entry(standing: TrackerStanding(settings: $0)) }
        verdict = weighed()
    }

    /// What is known of each tracker, in configured order.
    public var states: [(settings: TrackerSettings, state: TrackerState, detail: String)] {
        entries.map { ($0.standing.settings, $0.standing.state, $0.detail) }
    }

    /// When ``timePassed(now:into:)`` wants to be called next.
    public var nextDeadline: Instant? {
        entries.compactMap { entry in
            [entry.standing.deadline, unreportedDeadline(of: entry)].compactMap(\.self).min()
        }.min()
    }

    /// A tracker has a result.
    ///
    /// - Parameters:
    ///   - identity: which tracker.
    ///   - isGood: what it found.
    ///   - detail: why, in a few words for the log.
    ///   - now: the present.
    ///   - actions: gets what follows.
    public mutating func resultReceived(
        _ identity: TrackerIdentity, isGood: Bool, detail: String = "", now: Instant,
        into actions: inout [TrackingAction]
    ) {
        guard let index = entries.firstIndex(where: { $0.standing.settings.identity == identity })
        else { return }
        entries[index].standing.resultReceived(isGood: isGood, now: now)
        entries[index].detail = detail
        settle(now: now, into: &actions)
    }

    /// The deadline of ``nextDeadline`` has passed; calling it early is harmless.
    public mutating func timePassed(now: Instant, into actions: inout [TrackingAction]) {
        for index in entries.indices { entries[index].standing.timePassed(now: now) }
        settle(now: now, into: &actions)
    }

    // MARK: What follows

    private mutating func settle(now: Instant, into actions: inout [TrackingAction]) {
        let verdict = weighed()
        if verdict != self.verdict {
            self.verdict = verdict
            actions.append(.verdictChanged(verdict))
        }
        for index in entries.indices { report(index, now: now, into: &actions) }
        checkInvariants()
    }

    /// A held-back report is made up for as soon as the rate allows, so that the last line about a
    /// tracker is always true.
    private mutating func report(
        _ index: Int, now: Instant, into actions: inout [TrackingAction]
    ) {
        let settings = entries[index].standing.settings
        let state = entries[index].standing.state
        if state != entries[index].current {
            entries[index].current = state
            entries[index].changeCount &+= 1
        }
        guard state != entries[index].reported else { return }
        if entries[index].reported == .unknown, state == .good {
            // A good start is not worth a line.
            entries[index].reported = state
            entries[index].changeCount = 0
            return
        }
        guard entries[index].limiter.admit(now: now) else { return }
        entries[index].reported = state
        actions.append(
            .report(
                TrackerReport(
                    settings.identity, state: state, effect: settings.effect,
                    detail: entries[index].detail,
                    suppressedCount: entries[index].changeCount - 1)))
        entries[index].changeCount = 0
    }

    private func unreportedDeadline(of entry: Entry) -> Instant? {
        entry.standing.state == entry.reported ? nil : entry.limiter.nextReportAt
    }

    private func weighed() -> TrackingVerdict {
        var verdict = TrackingVerdict()
        for entry in entries {
            let settings = entry.standing.settings
            if settings.isWitness, entry.standing.state != .good { verdict.isWitnessMissing = true }
            guard entry.standing.state == .failing else { continue }
            switch settings.effect {
            case .none: break
            case .fault: verdict.faults.append(settings.identity)
            case .points(let points):
                verdict.penaltyPoints = min(
                    verdict.penaltyPoints + Int(points), TrackingVerdict.penaltyPointsMax)
            }
        }
        return verdict
    }

    private func checkInvariants() {
        assert(verdict == weighed(), "the verdict is what the trackers add up to")
        assert(verdict.penaltyPoints >= 0)
        assert(verdict.penaltyPoints <= TrackingVerdict.penaltyPointsMax)
    }
}

/// Lets a burst of one tracker's reports through and then one per interval.
private struct ReportLimiter: Sendable {
    private var tokens = TrackingStateMachine.reportBurst
    private var refilledAt = Instant(nanoseconds: 0)

    /// When a report that was refused may be tried again.
    var nextReportAt: Instant { refilledAt + TrackingStateMachine.reportInterval }

    mutating func admit(now: Instant) -> Bool {
        let earned =
            (now - refilledAt).nanoseconds / TrackingStateMachine.reportInterval.nanoseconds
        if earned > 0 {
            let missing = TrackingStateMachine.reportBurst - tokens
            tokens += Int(min(earned, UInt64(missing)))
            refilledAt = now
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}
