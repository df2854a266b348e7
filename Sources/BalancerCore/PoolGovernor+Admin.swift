// SPDX-License-Identifier: Apache-2.0
//
// What the operator wants: ready, drain, maintenance; weight; health whatever checks say.

public import WireCore

extension PoolGovernor {
    /// Takes a backend out for good reasons, or lets checks and traffic decide again.
    public mutating func setAdminState(
        _ backend: Int, _ state: AdminState, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend), backends[backend].admin != state else {
            return []
        }
        let before = backends[backend].admin
        backends[backend].admin = state
        switch state {
        case .ready:
            makeReady(backend, now: now)
        case .drain, .maintenance:
            backends[backend].isExcused = false
            refresh(backend, now: now)
            if before == .ready {
                backends[backend].drain = GovernedState.Drain(since: now)
            }
            report(.drainBegan(backend: backends[backend].name, state))
            actions.append(.closeIdle(backend: backend))
        }
        reviewCascade(now: now)
        return finish(now: now)
    }

    /// Gives a backend another weight; `nil` gives it that of the configuration again.
    public mutating func setWeight(
        _ backend: Int, _ weight: Int?, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend), backends[backend].weightOverride != weight else {
            return []
        }
        backends[backend].weightOverride = weight
        report(.weightSet(backend: backends[backend].name, weight: weight))
        refresh(backend, now: now)
        return finish(now: now)
    }

    /// Overrules checks and traffic, see `ForcedHealth`; `nil` lets them decide again.
    public mutating func setForcedHealth(
        _ backend: Int, _ health: ForcedHealth?, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend) else { return [] }
        let state = backends[backend]
        // Where no check fails there is nothing that saying so would overrule.
        let forced = health == .up && !state.failsCheck ? nil : health
        guard state.forced != forced || (health != nil && state.ejection != nil) else { return [] }
        backends[backend].forced = forced
        backends[backend].isExcused = false
        if health != nil { endEjection(backend, now: now) }
        report(.healthForced(backend: state.name, health))
        excuseIfShared(backend, now: now)
        refresh(backend, now: now)
        if health == .down { actions.append(.closeIdle(backend: backend)) }
        reviewCascade(now: now)
        return finish(now: now)
    }

    /// A check changed its mind: being up by order lasts no longer.
    mutating func endForcedUp(_ index: Int, now: Instant) {
        guard backends[index].forced == .up else { return }
        backends[index].forced = nil
        report(.healthForced(backend: backends[index].name, nil))
        excuseIfShared(index, now: now)
    }

    /// Says what is left at a backend that was taken out; report it about once a second.
    public mutating func inFlight(
        _ backend: Int, exchanges: Int, tunnels: Int, now: Instant
    ) -> [GovernorAction] {
        guard backends.indices.contains(backend), var drain = backends[backend].drain,
            !drain.isComplete
        else { return [] }
        drain.exchanges = max(0, exchanges)
        drain.tunnels = max(0, tunnels)
        drain.isComplete = drain.exchanges == 0 && drain.tunnels == 0
        backends[backend].drain = drain
        // Nobody waits for another time yet.
        guard drain.isComplete else { return [] }
        reportDrainEnd(backend, drain, now: now)
        return finish(now: now)
    }

    /// Backends whose work is being waited for: those that `inFlight` wants to hear of.
    public var draining: [Int] {
        backends.indices.filter { backends[$0].drain?.isComplete == false }
    }

    private mutating func makeReady(_ index: Int, now: Instant) {
        if let drain = backends[index].drain, !drain.isComplete {
            reportDrainEnd(index, drain, now: now)
        }
        backends[index].drain = nil
        report(.madeReady(backend: backends[index].name))
        // Whoever worked on it did so to mend it.
        endEjection(index, now: now)
        backends[index].ejectionNumber = 0
        backends[index].accusation = nil
        excuseIfShared(index, now: now)
        refresh(index, now: now)
    }

    private mutating func reportDrainEnd(_ index: Int, _ drain: GovernedState.Drain, now: Instant) {
        report(
            .drainEnded(
                backend: backends[index].name, after: now - drain.since,
                forcedCount: drain.forcedCount, isComplete: drain.isComplete))
    }

    /// Cuts what outlived its time.
    mutating func drainDue(_ index: Int, now: Instant) {
        guard var drain = backends[index].drain, !drain.isComplete else { return }
        if !drain.cutExchanges, now >= drain.since + settings.drain.timeout {
            drain.cutExchanges = true
            // What was never reported may be anything.
            if drain.exchanges != 0 {
                cut(index, &drain, exchanges: drain.exchanges ?? 0, tunnels: 0)
            }
        }
        if !drain.cutTunnels, now >= drain.since + drain.tunnelTimeout(settings.drain) {
            drain.cutTunnels = true
            if drain.exchanges != 0 || drain.tunnels != 0 {
                cut(
                    index, &drain, exchanges: 0, tunnels: drain.tunnels ?? 0, tunnelsToo: true)
            }
        }
        backends[index].drain = drain
    }

    private mutating func cut(
        _ index: Int, _ drain: inout GovernedState.Drain, exchanges: Int, tunnels: Int,
        tunnelsToo: Bool = false
    ) {
        drain.forcedCount += exchanges + tunnels
        report(
            .drainForced(backend: backends[index].name, exchanges: exchanges, tunnels: tunnels))
        actions.append(.forceClose(backend: index, tunnelsToo: tunnelsToo))
    }
}

extension GovernedState.Drain {
    /// Tunnels have at least the time that requests have: cutting them cuts everything.
    func tunnelTimeout(_ settings: DrainSettings) -> TimeSpan {
        max(settings.timeout, settings.tunnelTimeout)
    }

    /// When something is cut next; `nil` when nothing will be.
    func nextDeadline(_ settings: DrainSettings) -> Instant? {
        if isComplete { return nil }
        if !cutExchanges { return since + settings.timeout }
        return cutTunnels ? nil : since + tunnelTimeout(settings)
    }
}
