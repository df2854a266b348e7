// SPDX-License-Identifier: Apache-2.0
//
// What this node tells the other one about its backends, and what it makes of what that one says.
// Own evidence is told and nothing else, so that no word comes back as a new one.

public import WireCore

extension PoolGovernor {
    // MARK: Telling

    /// What was found out since the last call and the peer has to know.
    public mutating func takeReports(now: Instant) -> [(backend: Int, report: BackendReport)] {
        guard owesReports else { return [] }
        owesReports = false
        var reports: [(backend: Int, report: BackendReport)] = []
        for index in backends.indices where !backends[index].owed.isEmpty {
            let owed = backends[index].owed
            backends[index].owed = []
            let state = backends[index]
            if owed.contains(.ejection) {
                reports.append((index, .ejection(state.ejectionReport(now: now))))
            }
            if owed.contains(.liveness) {
                reports.append((index, .check(.liveness, state.livenessFailure)))
            }
            if owed.contains(.readiness) {
                reports.append((index, .check(.readiness, state.readinessFailure)))
            }
            if owed.contains(.ramp) {
                reports.append((index, .ramp(state.ramp.map { now - $0.since })))
            }
        }
        return reports
    }

    /// Remembers that the peer has to hear of something.
    mutating func owe(_ report: OwedReports, about index: Int) {
        backends[index].owed.insert(report)
        owesReports = true
    }

    // MARK: Hearing

    /// The traffic of the peer took a backend out, puts it on trial or lets it return.
    ///
    /// It counts as if the own traffic had done so, but for what would leave too few: the last
    /// backend that serves stays, so do all above the share that may be out, and so does everybody
    /// while bad verdicts have a shared cause. Ask again later then, as long as the peer says so.
    ///
    /// - Parameters:
    ///   - backend: its index.
    ///   - report: what the peer says now.
    ///   - now: the time.
    /// - Returns: whether it counts, and what is to be done.
    public mutating func peerEjected(
        _ backend: Int, _ report: EjectionReport, now: Instant
    ) -> (isTaken: Bool, actions: [GovernorAction]) {
        guard backends.indices.contains(backend) else { return (true, []) }
        // Without rules for ejections there would be nobody to end one.
        guard let outlier = settings.outlier else { return (true, []) }
        let number = min(max(report.number, 0), OutlierDetector.ejectionNumberMax)
        let phase: GovernedState.Ejection.Phase
        switch report.phase {
        case .over:
            peerReturned(backend, number: number, now: now)
            return (true, finish(now: now))
        case .out(let remaining):
            let longest = OutlierDetector(settings: outlier).longestEjection
            phase = .out(until: now + min(remaining, longest))
        case .trial(let isTaken):
            phase = .trial(takenAt: isTaken ? now : nil)
        }
        if backends[backend].ejection == nil, backends[backend].issued?.admission == .serving,
            refusal(of: backend, report.cause, outlier) != nil
        {
            return (false, [])
        }
        guard backends[backend].isJudged else { return (false, []) }
        takeEjection(backend, report, phase, number: number, now: now)
        return (true, finish(now: now))
    }

    private mutating func takeEjection(
        _ index: Int, _ report: EjectionReport, _ phase: GovernedState.Ejection.Phase,
        number: Int, now: Instant
    ) {
        let isNew = backends[index].ejection == nil
        let hadPhase = backends[index].ejection?.phase
        backends[index].ejection = GovernedState.Ejection(
            cause: report.cause, since: now.earlier(by: report.age), phase: phase)
        backends[index].ejectionNumber = max(number, 1)
        backends[index].accusation = nil
        if isNew {
            backends[index].ejectionsTotal += 1
            var time = TimeSpan.zero
            if case .out(let until) = phase { time = until - now }
            self.report(.ejectedByPeer(backend: backends[index].name, report.cause, time: time))
        }
        // Only one more trial, or the first, is a word to the workers.
        refresh(index, now: now, repeats: phase == .trial(takenAt: nil) && hadPhase != phase)
    }

    private mutating func peerReturned(_ index: Int, number: Int, now: Instant) {
        guard let ejection = backends[index].ejection else {
            // What the next one lasts depends on how many there were.
            if number > backends[index].ejectionNumber {
                backends[index].ejectionNumber = number
                backends[index].returnedAt = now
            }
            return
        }
        report(.returned(backend: backends[index].name, after: now - ejection.since))
        endEjection(index, now: now)
        backends[index].ejectionNumber = number
        verdictImproved(index, now: now)
    }

    /// The peer's check of a backend has a verdict; it counts while the own one has none.
    ///
    /// Later the own check knows better: a peer that lost its way to the backends must not take
    /// them from the node that reaches them.
    public mutating func peerChecked(
        _ backend: Int, _ check: CheckKind, failure: ProbeFailure?, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend),
            !backends[backend].checksThatSpoke.contains(.check(check))
        else { return [] }
        switch check {
        case .liveness: backends[backend].peerLivenessFailure = failure
        case .readiness: backends[backend].peerReadinessFailure = failure
        }
        isUnsettled = true
        refresh(backend, now: now)
        return finish(now: now)
    }

    /// True while the peer's word on a check counts.
    public func failsAtPeer(_ backend: Int, _ check: CheckKind) -> Bool {
        guard backends.indices.contains(backend) else { return false }
        switch check {
        case .liveness: return backends[backend].peerLivenessFailure != nil
        case .readiness: return backends[backend].peerReadinessFailure != nil
        }
    }

    /// The own check spoke: the peer's word is over.
    mutating func checkSpoke(_ index: Int, _ check: CheckKind) {
        backends[index].checksThatSpoke.insert(.check(check))
        forgetPeer(index, check)
    }

    mutating func forgetPeer(_ index: Int, _ check: CheckKind) {
        switch check {
        case .liveness: backends[index].peerLivenessFailure = nil
        case .readiness: backends[index].peerReadinessFailure = nil
        }
    }

    /// The share of a backend has been growing at the peer for so long.
    ///
    /// Counts for a backend that serves in full because nothing is known of it: this node has just
    /// started.
    public mutating func peerRamps(
        _ backend: Int, elapsed: TimeSpan, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend), let slowStart = settings.slowStart,
            elapsed < slowStart.window, hasFullShare(backend),
            backends[backend].rampToldAt == nil,
            backends.indices.contains(where: { $0 != backend && hasFullShare($0) })
        else { return [] }
        backends[backend].ramp = SlowStart(since: now.earlier(by: elapsed), settings: slowStart)
        backends[backend].rampToldAt = now
        report(.slowStartBegan(backend: backends[backend].name, window: slowStart.window))
        refresh(backend, now: now)
        return finish(now: now)
    }

}

extension GovernedState {
    /// What its failures are when the peer's word counts as far as it may.
    var liveness: ProbeFailure? { livenessFailure ?? peerLivenessFailure }
    var readiness: ProbeFailure? { readinessFailure ?? peerReadinessFailure }

    func ejectionReport(now: Instant) -> EjectionReport {
        guard let ejection else {
            return EjectionReport(
                phase: .over, cause: .failedTrial, number: ejectionNumber, age: .zero)
        }
        let phase: EjectionReport.Phase =
            switch ejection.phase {
            case .out(let until): .out(remaining: until - now)
            case .trial(let takenAt): .trial(isTaken: takenAt != nil)
            }
        return EjectionReport(
            phase: phase, cause: ejection.cause, number: ejectionNumber,
            age: now - ejection.since)
    }
}

extension OutlierDetector {
    /// The longest that an ejection can be, jitter counted.
    var longestEjection: TimeSpan {
        let longest = max(settings.ejectionTimeMax, settings.ejectionTime)
        let percent = UInt64(min(max(settings.jitterPercent, 0), 100))
        return longest + longest.divided(by: 100).multiplied(by: percent)
    }
}

extension Instant {
    /// The instant `span` before, at the earliest the clock's epoch.
    func earlier(by span: TimeSpan) -> Instant {
        Instant(nanoseconds: (self - Instant(nanoseconds: span.nanoseconds)).nanoseconds)
    }
}
