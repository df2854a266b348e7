// SPDX-License-Identifier: Apache-2.0
//
// What active checks say.

public import WireCore

extension PoolGovernor {
    /// A check has a verdict, or the same verdict for another reason.
    ///
    /// Report each change of a verdict, a change of the reason while it is bad, and each pass of
    /// the liveness check while `isEjected`; a repetition does no harm. A backend whose checks have
    /// not settled yet needs no report.
    ///
    /// - Parameters:
    ///   - backend: its index.
    ///   - check: which check.
    ///   - failure: why it fails; `nil` when it passes.
    ///   - now: the time.
    /// - Returns: what is to be done.
    public mutating func checkVerdict(
        _ backend: Int, _ check: CheckKind, failure: ProbeFailure?, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend) else { return [] }
        checkSpoke(backend, check)
        if let failure {
            checkFails(backend, check, failure, now: now)
        } else {
            checkPasses(backend, check, now: now)
        }
        return finish(now: now)
    }

    /// A check is no longer made, or began anew: what it said before does not count.
    public mutating func checkForgotten(
        _ backend: Int, _ check: CheckKind, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend) else { return [] }
        switch check {
        case .liveness:
            backends[backend].livenessFailure = nil
            backends[backend].livenessFailsSince = nil
            backends[backend].livenessPassesSince = nil
        case .readiness:
            backends[backend].readinessFailure = nil
            backends[backend].readinessFailsSince = nil
        }
        backends[backend].checksThatSpoke.remove(.check(check))
        forgetPeer(backend, check)
        owe(.check(check), about: backend)
        endForcedUp(backend, now: now)
        verdictImproved(backend, now: now)
        return finish(now: now)
    }

    private mutating func checkFails(
        _ index: Int, _ check: CheckKind, _ failure: ProbeFailure, now: Instant
    ) {
        let wasBad = backends[index].isBad(now: now)
        let isNew: Bool
        switch check {
        case .liveness:
            isNew = backends[index].livenessFailure == nil
            if isNew { endForcedUp(index, now: now) }
            backends[index].livenessFailure = failure
            if isNew { backends[index].livenessFailsSince = now }
            backends[index].livenessPassesSince = nil
        case .readiness:
            isNew = backends[index].readinessFailure == nil
            if isNew { endForcedUp(index, now: now) }
            backends[index].readinessFailure = failure
            if isNew { backends[index].readinessFailsSince = now }
        }
        if backends[index].isExcused, backends[index].isDead(now: now) {
            backends[index].isExcused = false
        }
        verdictWorsened(index, wasBad: wasBad, now: now)
        if isNew {
            owe(.check(check), about: index)
            report(.wentDown(backend: backends[index].name, check, reason: failure))
        }
        refresh(index, now: now)
        // A dead backend's connections are worth nothing; one that is not ready keeps them.
        guard isNew, check == .liveness, backends[index].admission == .unhealthy else { return }
        actions.append(.closeIdle(backend: index))
        if settings.cutsExchangesWhenDown {
            actions.append(.forceClose(backend: index, tunnelsToo: false))
        }
    }

    private mutating func checkPasses(_ index: Int, _ check: CheckKind, now: Instant) {
        let failedSince: Instant?
        switch check {
        case .liveness:
            failedSince = backends[index].livenessFailsSince
            backends[index].livenessFailure = nil
            backends[index].livenessFailsSince = nil
            if backends[index].livenessPassesSince == nil {
                backends[index].livenessPassesSince = now
            }
        case .readiness:
            failedSince = backends[index].readinessFailsSince
            backends[index].readinessFailure = nil
            backends[index].readinessFailsSince = nil
        }
        if let failedSince {
            // Rates of the time before it fell are no news of what came back.
            backends[index].tally = nil
            owe(.check(check), about: index)
            endForcedUp(index, now: now)
            report(.cameUp(backend: backends[index].name, check, after: now - failedSince))
        }
        if check == .liveness { checkPassedWhileEjected(index, recovered: failedSince != nil, now) }
        verdictImproved(index, now: now)
    }

    /// What a passed check means for an ejected backend.
    ///
    /// One that failed as well and has recovered sees what clients see, and one request may try.
    /// So it may when nothing listened and something answers now: the program was restarted between
    /// two checks. Any other pass means nothing but that the check sees less than the traffic does.
    private mutating func checkPassedWhileEjected(_ index: Int, recovered: Bool, _ now: Instant) {
        guard let ejection = backends[index].ejection else { return }
        if settings.outlier?.returnsOnPassedCheck ?? false {
            report(.returned(backend: backends[index].name, after: now - ejection.since))
            endEjection(index, now: now)
            return
        }
        guard case .out = ejection.phase else { return }
        let number = backends[index].ejectionNumber
        if recovered || ejection.cause.meansDead && number == 1 {
            beginTrial(index, now: now)
        } else if !ejection.isLieTold, let passes = backends[index].livenessPassesSince {
            backends[index].ejection?.isLieTold = true
            report(
                .checkLies(
                    backend: backends[index].name, ejection.cause, passingFor: now - passes,
                    ejections: number))
        }
    }

    /// True while its traffic keeps a backend out: each pass of its check is news then.
    public func isEjected(_ backend: Int) -> Bool {
        backends.indices.contains(backend) && backends[backend].ejection != nil
    }

    mutating func verdictImproved(_ index: Int, now: Instant) {
        let wasExcused = backends[index].isExcused
        if !backends[index].failsCheck { backends[index].isExcused = false }
        // Its own standing may stay; dead ones that were excused may not.
        isUnsettled = true
        refresh(index, now: now, ramps: !wasExcused)
        reviewCascade(now: now)
    }
}
