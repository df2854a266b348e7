// SPDX-License-Identifier: Apache-2.0
//
// A reload: what is known of a backend stays with its name.

public import WireCore

extension PoolGovernor {
    /// Takes over a reloaded pool.
    ///
    /// Who kept name and address keeps everything; who moved keeps what the operator said, except a
    /// weight when the configured one changed too. The standings of all backends are told, under
    /// their new indexes.
    ///
    /// - Parameters:
    ///   - wanted: the backends in the order of the new configuration.
    ///   - settings: the new rules.
    ///   - now: the time.
    /// - Returns: what is to be done.
    public mutating func reconfigure(
        backends wanted: [GovernedBackend], settings: GovernorSettings, now: Instant
    ) -> [GovernorAction] {
        self.settings = settings
        if let outlier = settings.outlier {
            nextJudgement = min(nextJudgement, now + outlier.interval)
        }
        var known: [String: GovernedState] = [:]
        for state in backends { known[state.name] = state }
        backends = wanted.map { backend in
            guard let state = known.removeValue(forKey: backend.name) else {
                return GovernedState(backend, now: now)
            }
            return Self.kept(state, as: backend, now: now)
        }
        if settings.outlier == nil {
            for index in backends.indices { endEjection(index, now: now) }
        }
        if settings.cascade == nil { endCascade(badCount: 0, now: now) }
        // Who stays comes first: whether a new one's share may grow depends on them.
        for index in backends.indices where backends[index].issued != nil {
            backends[index].interruptTrial()
            refresh(index, now: now, repeats: true)
        }
        for index in backends.indices where backends[index].issued == nil {
            refresh(index, now: now)
        }
        reviewCascade(now: now)
        isUnsettled = true
        return finish(now: now)
    }

    private static func kept(
        _ state: GovernedState, as backend: GovernedBackend, now: Instant
    ) -> GovernedState {
        var kept = state
        if state.address != backend.address {
            kept = GovernedState(backend, now: now)
            kept.admin = state.admin
            kept.forced = state.forced == .up ? nil : state.forced
            kept.weightOverride = state.weightOverride
            kept.drain = state.drain
        }
        if state.configuredWeight != backend.weight { kept.weightOverride = nil }
        kept.configuredWeight = backend.weight
        kept.placement = backend.placement
        return kept
    }
}

extension GovernedState {
    /// After a reload the one request of a trial may end unreported; until it does or its time is
    /// over, no other is let through.
    mutating func interruptTrial() {
        guard case .trial(_?) = ejection?.phase else { return }
        issued?.admission = .unhealthy
    }
}
