// SPDX-License-Identifier: Apache-2.0
//
// What must hold in every run, with its bounds. Times without a fault are judged, times with a
// fault are not, except where the fault is one that the invariant is about.

import VRRPCore
import WireCore

/// Watches a run after every event.
struct InvariantChecker {
    /// A run that goes wrong stops after so many findings.
    static let violationsMax = 3

    private let plan: SimulationPlan
    private(set) var violations: [String] = []

    // Since when something has been true without a break; `nil` while it is not.
    private var severalHoldSince: Instant?
    private var nobodyHoldsSince: Instant?
    private var calmSince: Instant? = Instant(nanoseconds: 0)
    private var networkCleanSince: Instant? = Instant(nanoseconds: 0)
    private var lastPauseAt: Instant?
    /// Packets of an ended fault may still be under way until then.
    var networkDisturbedUntil = Instant(nanoseconds: 0)
    /// The longest times seen without a fault, for the curious.
    private(set) var longestDouble = TimeSpan.zero
    private(set) var longestNobody = TimeSpan.zero

    init(plan: SimulationPlan) {
        self.plan = plan
    }

    // MARK: - Bounds

    /// A turn around the network and through two processes.
    static func turn(_ plan: SimulationPlan) -> TimeSpan {
        plan.delayMax.multiplied(by: 2) + plan.latencyMax.multiplied(by: 3)
    }

    /// From SIGKILL to the peer's claim: EOF within 3 ms, refusal, one turn.
    static func provenTakeoverMax(_ plan: SimulationPlan) -> TimeSpan {
        .milliseconds(3) + turn(plan)
    }

    /// Two holders on a clean network: the next advert of either ends it.
    ///
    /// A process killed keeps
    /// its address for 8 ms; last words of the dead may be ignored for 100 ms.
    private var severalMax: TimeSpan {
        drifted(plan.interval) + Self.turn(plan) + .milliseconds(110)
    }

    /// No holder although all is well: one Active_Down_Interval of the worst backup.
    private var nobodyMax: TimeSpan {
        let slowest =
            plan.priorities.map {
                AdvertisementTimers.activeDownInterval(priority: $0, interval: plan.interval)
            }.max() ?? .zero
        return drifted(slowest) + Self.turn(plan)
    }

    private func drifted(_ span: TimeSpan) -> TimeSpan {
        span + span.divided(by: 2_500)
    }

    // MARK: - Judgement

    func hasBeenCalm(for span: TimeSpan, now: Instant) -> Bool {
        // The fault that asks is active already: what counts is the time before it.
        guard let calmSince else { return false }
        return now - max(calmSince, networkDisturbedUntil) >= span
    }

    mutating func observe(
        now: Instant, holders: [Int], isAnyFaultActive: Bool, isNetworkFaultActive: Bool,
        isAnyPaused: Bool
    ) {
        if isAnyPaused { lastPauseAt = now }
        // Judge the time that just passed before noting what is new.
        judge(now: now)
        severalHoldSince = holders.count > 1 ? severalHoldSince ?? now : nil
        nobodyHoldsSince = holders.isEmpty ? nobodyHoldsSince ?? now : nil
        calmSince = isAnyFaultActive ? nil : calmSince ?? now
        networkCleanSince = isNetworkFaultActive ? nil : networkCleanSince ?? now
    }

    private mutating func judge(now: Instant) {
        if let since = severalHoldSince, let cleanSince = networkCleanSince {
            let start = max(since, max(cleanSince, networkDisturbedUntil))
            var allowed = severalMax
            if let lastPauseAt, now - lastPauseAt <= severalMax {
                allowed = allowed + drifted(plan.lease.multiplied(by: 103).divided(by: 100))
            }
            longestDouble = max(longestDouble, now - start)
            if now - start > allowed {
                report("several nodes held the address for \(now - start)", now: now)
                severalHoldSince = now
            }
        }
        if let since = nobodyHoldsSince, let calmSince {
            let start = max(since, max(calmSince, networkDisturbedUntil))
            longestNobody = max(longestNobody, now - start)
            if now - start > nobodyMax {
                report("nobody held the address for \(now - start)", now: now)
                nobodyHoldsSince = now
            }
        }
    }

    /// After a process was killed on a healthy network its peer holds the address.
    mutating func checkTakeover(
        from victim: Int, killedAt: Instant, now: Instant, holders: [Int]
    ) {
        if holders.allSatisfy({ $0 == victim }) {
            report("no takeover within \(now - killedAt) after a kill", now: now)
        }
    }

    /// A run ends in peace: one holder, the Active, known to the client, and for long.
    mutating func checkEnd(
        now: Instant, states: [VirtualRouterState], holders: [Int], clientEntry: Int?,
        lastTransitionAt: Instant?
    ) {
        let actives = states.indices.filter { states[$0] == .active }
        if holders.count != 1 || holders != actives {
            report("at the end \(holders) hold the address, \(actives) are Active", now: now)
        }
        if clientEntry != holders.first {
            report("the client talks to \(String(describing: clientEntry))", now: now)
        }
        if states.contains(.initialize) {
            report("a node is out of service at the end: \(states)", now: now)
        }
        let settled = plan.lastFaultEnd + plan.settlingTime.divided(by: 2) + plan.preemptDelay
        if let lastTransitionAt, lastTransitionAt > max(settled, networkDisturbedUntil + nobodyMax),
            plan.end > settled
        {
            report("still changing at \(lastTransitionAt.nanoseconds / 1_000) us", now: now)
        }
    }

    mutating func report(_ text: String, now: Instant) {
        violations.append("\(now.nanoseconds / 1_000) us: \(text)")
    }
}
