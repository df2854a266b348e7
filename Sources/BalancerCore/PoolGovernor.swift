// SPDX-License-Identifier: Apache-2.0
//
// Who of a pool may be chosen: the one place where checks, traffic, the operator and the guard
// against shared causes come together. Pure; the control thread feeds it and performs its actions.
//
// What a backend may be given, in the order in which one rule beats the next:
//
//   operator: maintenance, drain          nothing new, whatever else is known
//   operator: health forced up or down    instead of checks and traffic
//   a check fails                         unhealthy, unless the cause is shared (excused)
//   ejected by traffic                    unhealthy until its time is over, then on trial
//   otherwise                             serving; with a growing share after a return
//
//              traffic                 time is over             one request succeeds
//   serving ------------> ejected(n) ----------------> trial ------------------------> serving
//                             ^                           |
//                             +-----------(n + 1)---------+ one request fails
//
// The guard: when more than a share of the pool gets bad verdicts within one window, the cause is
// not theirs. Who fell in the window serves again, nobody else is ejected, and that lasts until
// the verdicts were good enough for a whole window. A backend at which nothing listens stays out
// as long as another one serves; and nobody is out when everybody would be.

public import WireCore

/// Decides which backends of one pool may be chosen.
///
/// Each method takes what happened and when, and returns what is to be done, in order. Call
/// `timerFired` at `nextDeadline`. Backends are named by their index in the configuration.
public struct PoolGovernor: Sendable {
    /// The rules in force.
    public internal(set) var settings: GovernorSettings
    /// When `timerFired` is due; `distantFuture` when nothing is waited for.
    public internal(set) var nextDeadline = Instant.distantFuture
    /// When rates are judged next; a `sweep` after it does so.
    public internal(set) var nextJudgement: Instant

    var backends: [GovernedState]
    var generator: SeededGenerator
    var guardState = CascadeGuard()
    var actions: [GovernorAction] = []
    /// True when a standing was issued since the pool as a whole was last looked at.
    var isUnsettled = false
    /// True while more verdicts are to come before the pool as a whole is looked at.
    var isTogether = false
    /// Backends that are not the operator's business, and those of them that are out, as of the
    /// last verdict of several that come together; `nil` until that matters.
    var outCountTogether: (total: Int, out: Int)?
    /// True when one of these was bad.
    var hasFallenTogether = false
    /// The peer has to hear of something.
    var owesReports = false
    /// When the verdicts are counted next, while the guard is active.
    var nextReview = Instant(nanoseconds: 0)
    /// Since when too few are healthy.
    var panicSince: Instant?

    /// Begins with every backend serving, at its full weight.
    ///
    /// A restart must not empty the pools, and a ramp helps nobody when all backends are new.
    /// - Parameters:
    ///   - backends: in the order of the configuration.
    ///   - settings: the rules.
    ///   - seed: for the jitter of ejections.
    ///   - now: the time.
    public init(
        backends: [GovernedBackend], settings: GovernorSettings, seed: UInt64, now: Instant
    ) {
        self.settings = settings
        self.backends = backends.map { GovernedState($0, now: now) }
        generator = SeededGenerator(seed: seed)
        nextJudgement = now + (settings.outlier?.interval ?? OutlierSettings().interval)
        for index in self.backends.indices {
            self.backends[index].issued = BackendStanding(
                admission: .serving, weight: self.backends[index].weight)
        }
    }

    /// How many backends there are.
    public var backendCount: Int { backends.count }

    /// What the workers were told last about a backend.
    public func standing(at backend: Int) -> BackendStanding {
        guard backends.indices.contains(backend), let issued = backends[backend].issued else {
            return BackendStanding(admission: .maintenance, weight: 0)
        }
        return issued
    }

    /// The index of a backend; looks through the pool.
    public func index(named name: String) -> Int? {
        backends.firstIndex { $0.name == name }
    }

    // MARK: What every event ends with

    /// Brings one backend's standing up to date.
    mutating func refresh(_ index: Int, now: Instant, ramps: Bool = true, repeats: Bool = false) {
        let before = backends[index].issued
        let admission = backends[index].admission
        if admission == .serving, before?.admission != .serving {
            beginRamp(index, now: now, ramps: ramps)
        } else if admission != .serving {
            backends[index].ramp = nil
        }
        var standing = BackendStanding(
            admission: admission, weight: backends[index].weight,
            rampPercent: backends[index].ramp?.percent(at: now) ?? 100)
        if let before, before.admission == .trial, admission == .trial, !repeats {
            // Another word would let another request through.
            standing = before
        }
        guard standing != before || repeats else { return }
        backends[index].issued = standing
        if backends[index].admin == .ready,
            (before?.admission == .serving) != (admission == .serving)
        {
            outCountTogether?.out += admission == .serving ? -1 : 1
        }
        isUnsettled = true
        actions.append(.standing(backend: index, standing))
        guard let before, before.admission != admission else { return }
        admissionChanged(index, from: before.admission, to: admission, now: now)
    }

    private mutating func admissionChanged(
        _ index: Int, from before: BackendStanding.Admission, to after: BackendStanding.Admission,
        now: Instant
    ) {
        guard (before == .serving) != (after == .serving) else { return }
        backends[index].changedAt = now
        if after == .unhealthy || after == .trial { backends[index].flapsTotal += 1 }
    }

    private mutating func beginRamp(_ index: Int, now: Instant, ramps: Bool) {
        backends[index].ramp = nil
        guard ramps, let slowStart = settings.slowStart,
            // The ramp spares one backend at the expense of the others; alone it spares nobody.
            backends.indices.contains(where: { $0 != index && hasFullShare($0) })
        else { return }
        backends[index].ramp = SlowStart(since: now, settings: slowStart)
        backends[index].rampToldAt = now
        owe(.ramp, about: index)
        report(.slowStartBegan(backend: backends[index].name, window: slowStart.window))
    }

    func hasFullShare(_ index: Int) -> Bool {
        backends[index].isIssuedServing && backends[index].ramp == nil
    }

    mutating func report(_ event: GovernorEvent) {
        actions.append(.report(event))
    }

    /// Looks at the pool as a whole, and hands over what is to be done.
    mutating func finish(now: Instant) -> [GovernorAction] {
        if isTogether { return [] }
        if isUnsettled {
            isUnsettled = false
            keepSomebody(now: now)
            endPointlessRamps(now: now)
            isUnsettled = false
            noticePanic(now: now)
        }
        nextDeadline = earliestDeadline()
        checkInvariants()
        defer { actions = [] }
        return actions
    }

    private mutating func endPointlessRamps(now: Instant) {
        guard backends.contains(where: { $0.ramp != nil }),
            !backends.indices.contains(where: hasFullShare)
        else { return }
        for index in backends.indices where backends[index].ramp != nil {
            endRamp(index, now: now)
        }
    }

    mutating func endRamp(_ index: Int, now: Instant) {
        guard let ramp = backends[index].ramp else { return }
        backends[index].ramp = nil
        owe(.ramp, about: index)
        report(.slowStartEnded(backend: backends[index].name, after: now - ramp.since))
        refresh(index, now: now)
    }

    private func checkInvariants() {
        #if DEBUG
            for state in backends {
                assert(state.issued != nil, "every backend has a standing")
                assert(state.ramp == nil || state.issued?.admission == .serving)
                assert(!state.isExcused || guardState.since != nil, "who is excused has a guard")
            }
        #endif
    }
}
