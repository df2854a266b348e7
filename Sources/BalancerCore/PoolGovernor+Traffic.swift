// SPDX-License-Identifier: Apache-2.0
//
// What traffic says: ejection, trial, return, and rates.

public import WireCore

extension PoolGovernor {
    /// Requests of the pool, none of which was given to a trial, that end it.
    static let openTrialRequestsMin: UInt64 = 100

    /// A backend's failures in a row reached a limit; see `FailureStreak`.
    ///
    /// One that is out already, or on trial, is not judged by requests of the time before.
    public mutating func trafficFailed(
        _ backend: Int, _ cause: EjectionCause, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend) else { return [] }
        accuse(backend, cause, now: now)
        return finish(now: now)
    }

    /// A worker let the one request of a trial through.
    public mutating func trialBegan(_ backend: Int, now: Instant) -> [GovernorAction] {
        guard backends.indices.contains(backend),
            case .trial(takenAt: nil) = backends[backend].ejection?.phase
        else { return [] }
        backends[backend].ejection?.phase = .trial(takenAt: now)
        owe(.ejection, about: backend)
        return finish(now: now)
    }

    /// The one request of a trial ended.
    public mutating func trialEnded(
        _ backend: Int, _ outcome: TrialOutcome, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend), let ejection = backends[backend].ejection,
            case .trial = ejection.phase
        else { return [] }
        switch outcome {
        case .succeeded:
            report(.returned(backend: backends[backend].name, after: now - ejection.since))
            endEjection(backend, now: now)
            owe(.ejection, about: backend)
            verdictImproved(backend, now: now)
        case .failed:
            eject(backend, .failedTrial, since: ejection.since, now: now)
        case .abandoned:
            backends[backend].ejection?.phase = .trial(takenAt: nil)
            owe(.ejection, about: backend)
            refresh(backend, now: now, repeats: true)
        }
        return finish(now: now)
    }

    /// Judges rates by what the workers counted; call it at `nextJudgement` or more often.
    ///
    /// - Parameters:
    ///   - tallies: one for each backend, in order; they only grow. One that shrank belongs to
    ///     counters that began anew.
    ///   - now: the time.
    /// - Returns: what is to be done.
    public mutating func sweep(_ tallies: [BackendTally], now: Instant) -> [GovernorAction] {
        guard tallies.count == backends.count else { return [] }
        return together(now: now) { governor in
            governor.judgeOpenTrials(tallies, now: now)
            governor.judgeRates(tallies, now: now)
        }
    }

    private mutating func judgeRates(_ tallies: [BackendTally], now: Instant) {
        guard let outlier = settings.outlier, now >= nextJudgement else { return }
        nextJudgement = now + outlier.interval
        var samples: [TrafficSample] = []
        for (index, tally) in tallies.enumerated() {
            let before = backends[index].tally
            backends[index].tally = tally
            guard let before, tally.requests >= before.requests, tally.failures >= before.failures,
                backends[index].isJudged, backends[index].ejection == nil
            else { continue }
            samples.append(
                TrafficSample(
                    backend: index, requests: tally.requests - before.requests,
                    failures: tally.failures - before.failures))
        }
        for found in OutlierDetector(settings: outlier).outliers(in: samples) {
            accuse(found.backend, found.cause, now: now)
        }
    }

    /// Trials that nobody takes.
    ///
    /// A panicking level sends requests without asking for the one of the trial: how those end
    /// says as much. And a pool may have nothing but requests that are not risked on a trial: then
    /// the backend serves again, and failures in a row take it out as before.
    private mutating func judgeOpenTrials(_ tallies: [BackendTally], now: Instant) {
        var total: UInt64 = 0
        for tally in tallies { total &+= tally.requests }
        for index in backends.indices {
            guard case .trial(takenAt: nil) = backends[index].ejection?.phase,
                backends[index].admission == .trial, let since = backends[index].ejection?.since
            else {
                backends[index].openTrial = nil
                continue
            }
            let tally = tallies[index]
            guard let open = backends[index].openTrial, tally.requests >= open.tally.requests,
                tally.failures >= open.tally.failures, total >= open.total
            else {
                backends[index].openTrial = GovernedState.OpenTrial(
                    since: now, tally: tally, total: total)
                continue
            }
            let isUsed = tally.requests > open.tally.requests
            if isUsed, tally.failures > open.tally.failures {
                eject(index, .failedTrial, since: since, now: now)
            } else if isUsed
                || (now - open.since >= settings.trialTimeout
                    && total - open.total >= Self.openTrialRequestsMin)
            {
                report(.returned(backend: backends[index].name, after: now - since))
                endEjection(index, now: now)
                owe(.ejection, about: index)
                verdictImproved(index, now: now)
            }
        }
    }

    private mutating func accuse(_ index: Int, _ cause: EjectionCause, now: Instant) {
        guard let outlier = settings.outlier, backends[index].isJudged,
            backends[index].ejection == nil
        else { return }
        // A backend that its check took out is out for that; what still comes is of before.
        guard backends[index].issued?.admission == .serving else { return }
        let wasBad = backends[index].isBad(now: now)
        let wasAccused = backends[index].isAccused(now: now)
        backends[index].accusation = GovernedState.Accusation(
            until: now + (settings.cascade?.window ?? outlier.interval),
            meansDead: cause.meansDead)
        verdictWorsened(index, wasBad: wasBad, now: now)
        if let refusal = refusal(of: index, cause, outlier) {
            if !wasAccused {
                report(.ejectionRefused(backend: backends[index].name, cause, refusal))
            }
            return
        }
        let served = backends[index].returnedAt.map { now - $0 } ?? .zero
        backends[index].ejectionNumber = OutlierDetector(settings: outlier).remaining(
            of: backends[index].ejectionNumber, after: served)
        eject(index, cause, since: now, now: now)
    }

    mutating func refusal(
        of index: Int, _ cause: EjectionCause, _ outlier: OutlierSettings
    ) -> EjectionRefusal? {
        if guardState.isActive, !cause.meansDead { return .cascade }
        guard
            backends.indices.contains(where: { $0 != index && backends[$0].isIssuedServing })
        else { return .lastBackend }
        let (total, outCount) = outCountTogether ?? countOut()
        if isTogether { outCountTogether = (total, outCount) }
        let outMax = OutlierDetector(settings: outlier).outMax(of: total)
        guard outCount < outMax else { return .limit(outCount: outCount, outMax: outMax) }
        return nil
    }

    /// Who is out for the operator's reasons is no part of the pool for the time being.
    private func countOut() -> (total: Int, out: Int) {
        var count = (total: 0, out: 0)
        for state in backends where state.admin == .ready {
            count.total += 1
            if state.issued?.admission != .serving { count.out += 1 }
        }
        return count
    }

    private mutating func eject(
        _ index: Int, _ cause: EjectionCause, since: Instant, now: Instant
    ) {
        let detector = OutlierDetector(settings: settings.outlier ?? OutlierSettings())
        let number = backends[index].ejectionNumber + 1
        let time = detector.ejectionTime(number: number, using: &generator)
        backends[index].ejectionNumber = number
        backends[index].ejectionsTotal += 1
        backends[index].accusation = nil
        // A trial that failed says nothing new about why.
        let kept = cause == .failedTrial ? backends[index].ejection?.cause ?? cause : cause
        backends[index].ejection = GovernedState.Ejection(
            cause: kept, since: since, phase: .out(until: now + time))
        let name = backends[index].name
        owe(.ejection, about: index)
        report(.ejected(backend: name, cause, time: time, number: number))
        refresh(index, now: now)
    }

    mutating func beginTrial(_ index: Int, now: Instant) {
        backends[index].ejection?.phase = .trial(takenAt: nil)
        report(.trialBegan(backend: backends[index].name))
        refresh(index, now: now)
    }
}
