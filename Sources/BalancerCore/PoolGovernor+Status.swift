// SPDX-License-Identifier: Apache-2.0
//
// The picture that status pages and metrics show.

public import WireCore

extension PoolGovernor {
    /// How the pool is.
    public func status(now: Instant) -> GovernorStatus {
        var status = GovernorStatus(
            total: backends.count, servingCount: 0, ejectedCount: 0, excusedCount: 0,
            cascadeSince: guardState.since, panicSince: panicSince)
        for state in backends {
            if state.isIssuedServing { status.servingCount += 1 }
            if state.ejection != nil { status.ejectedCount += 1 }
            if state.isExcused { status.excusedCount += 1 }
        }
        return status
    }

    /// How one backend is; `nil` for an index that does not exist.
    public func status(of backend: Int, now: Instant) -> GovernedStatus? {
        guard backends.indices.contains(backend) else { return nil }
        let state = backends[backend]
        let outlier = OutlierDetector(settings: settings.outlier ?? OutlierSettings())
        let served = state.returnedAt.map { now - $0 } ?? .zero
        return GovernedStatus(
            name: state.name, standing: standing(at: backend), reason: state.reason,
            isExcused: state.isExcused, admin: state.admin, weightOverride: state.weightOverride,
            forced: state.forced, failsLiveness: state.livenessFailure != nil,
            failsReadiness: state.readinessFailure != nil, changedAt: state.changedAt,
            ejectionsTotal: state.ejectionsTotal,
            ejectionNumber: state.ejection == nil
                ? outlier.remaining(of: state.ejectionNumber, after: served)
                : state.ejectionNumber,
            flapsTotal: state.flapsTotal, drain: state.drain.map(DrainStatus.init))
    }
}

extension DrainStatus {
    init(_ drain: GovernedState.Drain) {
        self.init(
            since: drain.since, exchanges: drain.exchanges ?? 0, tunnels: drain.tunnels ?? 0,
            forcedCount: drain.forcedCount, isComplete: drain.isComplete)
    }
}

extension GovernedState {
    var reason: StandingReason {
        guard admin == .ready else { return .admin(admin) }
        if forced == .down { return .forcedDown }
        if forced == .stopping { return .forcedStopping }
        if forced == nil, !isExcused {
            if let liveness { return .check(.liveness, liveness) }
            if let readiness { return .check(.readiness, readiness) }
        }
        switch ejection?.phase {
        case .out(let until): return .ejected(ejection?.cause ?? .failedTrial, until: until)
        case .trial(let takenAt):
            return .trial(ejection?.cause ?? .failedTrial, isTaken: takenAt != nil)
        case nil: break
        }
        return ramp.map { .slowStart(until: $0.end) } ?? .none
    }
}
