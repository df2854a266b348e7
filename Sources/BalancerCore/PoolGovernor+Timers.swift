// SPDX-License-Identifier: Apache-2.0
//
// What happens because time passed.

public import WireCore

extension PoolGovernor {
    /// Time passed; call it at `nextDeadline`, earlier calls do nothing.
    public mutating func timerFired(now: Instant) -> [GovernorAction] {
        guard now >= nextDeadline else { return [] }
        for index in backends.indices {
            ejectionDue(index, now: now)
            rampDue(index, now: now)
            drainDue(index, now: now)
        }
        reviewCascade(now: now)
        if guardState.isActive { nextReview = now + CascadeGuard.tick }
        return finish(now: now)
    }

    private mutating func ejectionDue(_ index: Int, now: Instant) {
        switch backends[index].ejection?.phase {
        case .out(let until) where now >= until:
            beginTrial(index, now: now)
        case .trial(let takenAt?) where now >= takenAt + settings.trialTimeout:
            backends[index].ejection?.phase = .trial(takenAt: nil)
            refresh(index, now: now, repeats: true)
        case .out, .trial, nil:
            break
        }
    }

    private mutating func rampDue(_ index: Int, now: Instant) {
        guard let ramp = backends[index].ramp, let told = backends[index].rampToldAt,
            now >= min(told + ramp.step, ramp.end)
        else { return }
        backends[index].rampToldAt = now
        if now >= ramp.end {
            endRamp(index, now: now)
        } else {
            refresh(index, now: now)
        }
    }

    func earliestDeadline() -> Instant {
        var earliest = guardState.isActive ? nextReview : .distantFuture
        for state in backends {
            switch state.ejection?.phase {
            case .out(let until): earliest = min(earliest, until)
            case .trial(let takenAt?): earliest = min(earliest, takenAt + settings.trialTimeout)
            case .trial, nil: break
            }
            if let ramp = state.ramp, let told = state.rampToldAt {
                earliest = min(earliest, min(told + ramp.step, ramp.end))
            }
            if let due = state.drain?.nextDeadline(settings.drain) {
                earliest = min(earliest, due)
            }
        }
        return earliest
    }
}
