// SPDX-License-Identifier: Apache-2.0
//
// The guard against verdicts with a shared cause, and the rule that somebody is always left.

import WireCore

extension PoolGovernor {
    /// Remembers when a backend's bad verdicts began, and whether too many did at once.
    mutating func verdictWorsened(_ index: Int, wasBad: Bool, now: Instant) {
        if !wasBad { backends[index].fellAt = now }
        guard let settings = settings.cascade, backends[index].isJudged else { return }
        if guardState.isActive {
            if !backends[index].isDead(now: now) { excuse(index, now: now) }
            return
        }
        if isTogether {
            hasFallenTogether = true
        } else {
            beginCascadeIfShared(settings, now: now)
        }
    }

    mutating func beginCascadeIfShared(_ settings: CascadeSettings, now: Instant) {
        var total = 0
        var fallen: [Int] = []
        for index in backends.indices where backends[index].isJudged {
            total += 1
            guard backends[index].isBad(now: now), let fellAt = backends[index].fellAt,
                now - fellAt <= settings.window
            else { continue }
            fallen.append(index)
        }
        guard CascadeGuard.isShared(badCount: fallen.count, total: total, settings: settings),
            fallen.contains(where: { !backends[$0].isDead(now: now) })
        else { return }
        beginGuard(now: now)
        report(.cascadeBegan(badCount: fallen.count, total: total, window: settings.window))
        for index in fallen where !backends[index].isDead(now: now) { excuse(index, now: now) }
    }

    private mutating func beginGuard(now: Instant) {
        guardState.begin(now: now)
        nextReview = now + CascadeGuard.tick
    }

    /// Lets a backend serve although its verdict is bad.
    ///
    /// At its whole share: the pool needs it, and it was not away for a fault of its own.
    private mutating func excuse(_ index: Int, now: Instant) {
        if backends[index].ejection != nil, let settings = self.settings.cascade {
            backends[index].ejection = nil
            backends[index].ejectionNumber = max(0, backends[index].ejectionNumber - 1)
            backends[index].returnedAt = now
            backends[index].accusation = GovernedState.Accusation(
                until: now + settings.window, meansDead: false)
        }
        backends[index].isExcused = backends[index].failsCheck
        refresh(index, now: now, ramps: false)
    }

    /// Lets one that is judged again serve with the others while the cause is shared.
    mutating func excuseIfShared(_ index: Int, now: Instant) {
        guard guardState.isActive, backends[index].isJudged, backends[index].failsCheck,
            !backends[index].isDead(now: now)
        else { return }
        excuse(index, now: now)
    }

    /// Counts the verdicts while the cause is shared.
    mutating func reviewCascade(now: Instant) {
        guard guardState.isActive, !isTogether, let settings = settings.cascade else { return }
        var total = 0
        var badCount = 0
        var excusableCount = 0
        for index in backends.indices where backends[index].isJudged {
            total += 1
            guard backends[index].isBad(now: now) else { continue }
            badCount += 1
            if !backends[index].isDead(now: now) { excusableCount += 1 }
        }
        guard
            guardState.isOver(
                badCount: badCount, excusableCount: excusableCount, total: total,
                settings: settings, now: now)
        else { return }
        // When nobody would serve without it, it would begin anew at once.
        guard badCount == 0 || backends.contains(where: \.isSound) else { return }
        endCascade(badCount: badCount, now: now)
    }

    /// Takes each verdict by itself again.
    mutating func endCascade(badCount: Int, now: Instant) {
        guard let since = guardState.since else { return }
        guardState.end()
        report(.cascadeEnded(after: now - since, badCount: badCount))
        for index in backends.indices where backends[index].isExcused {
            backends[index].isExcused = false
            // It is taken out now: together with the next ones that fall it may begin anew.
            backends[index].fellAt = now
            refresh(index, now: now)
        }
    }

    /// Somebody serves whenever anybody could.
    mutating func keepSomebody(now: Instant) {
        retireDeadIfOthersLive(now: now)
        guard !backends.contains(where: { $0.isIssuedServing }) else { return }
        let out = backends.indices.filter { backends[$0].isJudged && backends[$0].weight > 0 }
        guard !out.isEmpty else { return }
        guard settings.cascade != nil else {
            // Without the guard checks have the last word, but an ejection never has.
            for index in out where backends[index].ejection != nil {
                endEjection(index, now: now)
                refresh(index, now: now, ramps: false)
            }
            return
        }
        report(.failedOpen(total: out.count))
        if !guardState.isActive { beginGuard(now: now) }
        for index in out where !backends[index].isDead(now: now) { excuse(index, now: now) }
        guard !backends.contains(where: { $0.isIssuedServing }) else { return }
        for index in out { excuse(index, now: now) }
    }

    private mutating func retireDeadIfOthersLive(now: Instant) {
        guard guardState.isActive else { return }
        let dead = backends.indices.filter {
            backends[$0].isExcused && backends[$0].isDead(now: now)
        }
        guard !dead.isEmpty,
            backends.contains(where: {
                $0.isIssuedServing && !($0.isExcused && $0.isDead(now: now))
            })
        else { return }
        for index in dead {
            backends[index].isExcused = false
            refresh(index, now: now)
        }
    }

    /// Says when too few are healthy; the workers find out by the same arithmetic.
    mutating func noticePanic(now: Instant) {
        let view = PoolView(
            standings: backends.indices.map { standing(at: $0) },
            placements: backends.map(\.placement), sharing: settings.sharing)
        guard view.isPanicking != (panicSince != nil) else { return }
        if let since = panicSince {
            panicSince = nil
            report(.panicEnded(after: now - since))
        } else {
            panicSince = now
            let serving = backends.count { $0.isIssuedServing }
            report(.panicBegan(servingCount: serving, total: backends.count))
        }
    }

    /// Ends an ejection as if it had been passed.
    mutating func endEjection(_ index: Int, now: Instant) {
        guard backends[index].ejection != nil else { return }
        backends[index].ejection = nil
        backends[index].returnedAt = now
        // What it failed before is atoned for: rates begin with the next interval.
        backends[index].tally = nil
    }
}
