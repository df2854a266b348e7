// SPDX-License-Identifier: Apache-2.0
//
// The verdict on a backend: fall and rise, the schedule with its jitter, the time limit.

import BalancerCore
import Testing
import WireCore

/// Drives a machine through whole probes in virtual time.
private struct HealthScript {
    var machine: HealthStateMachine
    var generator: SeededGenerator
    var now = Instant(nanoseconds: 1_000_000_000)

    init(plan: HealthCheckPlan, seed: UInt64 = 1) {
        generator = SeededGenerator(seed: seed)
        machine = HealthStateMachine(plan: plan, now: now, using: &generator)
    }

    /// Runs one probe; `nil` passes it.
    mutating func probe(_ failure: ProbeFailure?) -> HealthStateMachine.Action? {
        now = machine.nextDeadline
        #expect(machine.timerFired(now: now) == .startProbe)
        #expect(machine.isProbing)
        now = now + .milliseconds(2)
        guard let failure else {
            return machine.probeSucceeded(now: now, using: &generator)
        }
        return machine.probeFailed(failure, now: now, using: &generator)
    }
}

@Suite struct HealthStateMachineTests {
    private static let plan = HealthCheckPlan(
        interval: .seconds(5), timeout: .seconds(3), fall: 3, rise: 2)

    /// One letter a probe, `+` passed, `-` failed; below it the verdict after it:
    /// `?` unverified, `U` up, `D` down.
    @Test(arguments: [
        ("+", "U"),
        ("-+", "?U"),
        ("--+", "??U"),
        ("---", "??D"),
        ("---+", "??DD"),
        ("---++", "??DDU"),
        ("---+-++", "??DDDDU"),
        ("+--+--+---", "UUUUUUUUUD"),
        ("+---++---", "UUUDDUUUD"),
        ("+---+++", "UUUDDUU"),
    ])
    func verdictFollowsResultsInARow(results: String, verdicts: String) {
        var script = HealthScript(plan: Self.plan)
        var seen = ""
        var serving = true
        for result in results {
            let action = script.probe(result == "+" ? nil : .connectionRefused)
            switch script.machine.verdict {
            case .unverified: seen += "?"
            case .up: seen += "U"
            case .down: seen += "D"
            }
            // An action exactly when the verdict changes.
            switch action {
            case .becameUp:
                serving = true
            case .becameDown(let failures, let reason):
                #expect(serving)
                #expect(failures == Self.plan.fall)
                #expect(reason == .connectionRefused)
                serving = false
            case .startProbe, .abandonProbe:
                Issue.record("a result leads to no probe")
            case nil:
                break
            }
            #expect(script.machine.verdict.isServing == serving)
        }
        #expect(seen == verdicts)
    }

    @Test func everyFlapIsReportedOnce() {
        var script = HealthScript(plan: Self.plan)
        var actions = 0
        for result in "+---++---++---" where script.probe(result == "+" ? nil : .timedOut) != nil {
            actions += 1
        }
        #expect(actions == 6)
    }

    @Test func countersFollowTheResults() {
        var script = HealthScript(plan: Self.plan)
        #expect(script.machine.lastProbeEndedAt == nil)
        _ = script.probe(nil)
        _ = script.probe(nil)
        #expect(script.machine.consecutivePasses == 2)
        let changedAt = script.machine.changedAt
        _ = script.probe(.unexpectedStatus(500))
        #expect(script.machine.consecutivePasses == 0)
        #expect(script.machine.consecutiveFailures == 1)
        #expect(script.machine.lastFailure == .unexpectedStatus(500))
        #expect(script.machine.lastProbeEndedAt == script.now)
        #expect(script.machine.lastProbeLatency == .milliseconds(2))
        #expect(script.machine.changedAt == changedAt)
        _ = script.probe(nil)
        #expect(script.machine.lastFailure == nil)
    }

    @Test func waitsAreJitteredAroundTheInterval() {
        var shortest = TimeSpan(nanoseconds: .max)
        var longest = TimeSpan.zero
        var script = HealthScript(plan: Self.plan)
        for _ in 0..<2_000 {
            _ = script.probe(nil)
            let wait = script.machine.nextDeadline - script.now
            shortest = min(shortest, wait)
            longest = max(longest, wait)
        }
        #expect(shortest >= .milliseconds(4_250) && shortest < .milliseconds(4_300))
        #expect(longest <= .milliseconds(5_750) && longest > .milliseconds(5_700))
    }

    @Test func waitsAreShortWhileResultsSpeakAgainstTheVerdict() {
        var script = HealthScript(plan: Self.plan)
        let short = TimeSpan.milliseconds(1_150)
        _ = script.probe(nil)
        _ = script.probe(.timedOut)
        #expect(script.machine.nextDeadline - script.now <= short)
        _ = script.probe(.timedOut)
        _ = script.probe(.timedOut)
        // Settled down: the full interval again.
        #expect(script.machine.verdict == .down)
        #expect(script.machine.nextDeadline - script.now > short)
        _ = script.probe(nil)
        #expect(script.machine.nextDeadline - script.now <= short)
    }

    @Test func aBackendThatIsDownHasAnIntervalOfItsOwn() {
        let plan = HealthCheckPlan(
            interval: .seconds(5), timeout: .seconds(3), fall: 2, rise: 2, jitterPercent: 0,
            transitionInterval: .milliseconds(300), downInterval: .seconds(20))
        var script = HealthScript(plan: plan)
        var waits: [UInt64] = []
        for isGood in [true, true, false, false, false, true, true, true] {
            _ = script.probe(isGood ? nil : .timedOut)
            waits.append((script.machine.nextDeadline - script.now).milliseconds)
        }
        #expect(waits == [5_000, 5_000, 300, 20_000, 20_000, 300, 5_000, 5_000])
        // A reload cuts a wait to what is due in this state.
        for _ in 0..<2 { _ = script.probe(.timedOut) }
        var quicker = plan
        quicker.interval = .seconds(1)
        script.machine.replacePlan(quicker, now: script.now)
        #expect(script.machine.nextDeadline == script.now + .seconds(20))
        quicker.downInterval = .seconds(2)
        script.machine.replacePlan(quicker, now: script.now)
        #expect(script.machine.nextDeadline == script.now + .seconds(2))
    }

    @Test func firstProbeComesWithinTheStartSpread() {
        let start = Instant(nanoseconds: 1_000_000_000)
        var deadlines = Set<Instant>()
        for seed in 0..<100 {
            let script = HealthScript(plan: Self.plan, seed: UInt64(seed))
            #expect(script.machine.nextDeadline - start <= HealthStateMachine.startSpread)
            deadlines.insert(script.machine.nextDeadline)
        }
        #expect(deadlines.count > 90)
        let quick = HealthCheckPlan(
            interval: .milliseconds(10), timeout: .milliseconds(5), fall: 1, rise: 1)
        #expect(HealthScript(plan: quick).machine.nextDeadline - start <= .milliseconds(10))
    }

    @Test func aProbeBeyondItsTimeLimitIsAbandoned() {
        var script = HealthScript(plan: Self.plan)
        script.now = script.machine.nextDeadline
        #expect(script.machine.timerFired(now: script.now) == .startProbe)
        #expect(script.machine.nextDeadline == script.now + .seconds(3))
        #expect(script.machine.timerFired(now: script.now + .milliseconds(2_999)) == nil)
        let late = script.now + .seconds(3)
        #expect(script.machine.timerFired(now: late) == .abandonProbe)
        #expect(
            script.machine.probeFailed(.timedOut, now: late, using: &script.generator) == nil)
        #expect(script.machine.lastFailure == .timedOut)
        #expect(!script.machine.isProbing)
    }

    @Test func earlyTimersAndLateResultsChangeNothing() {
        var script = HealthScript(plan: Self.plan)
        let deadline = script.machine.nextDeadline
        #expect(script.machine.timerFired(now: Instant(nanoseconds: 0)) == nil)
        #expect(
            script.machine.probeFailed(.timedOut, now: script.now, using: &script.generator)
                == nil)
        #expect(script.machine.probeSucceeded(now: script.now, using: &script.generator) == nil)
        #expect(script.machine.nextDeadline == deadline)
        #expect(script.machine.consecutiveFailures == 0)
        #expect(script.machine.verdict == .unverified)
    }

    @Test func aProbeThatCouldNotBeMadeCountsForNothing() {
        var script = HealthScript(plan: Self.plan)
        _ = script.probe(.timedOut)
        _ = script.probe(.timedOut)
        for _ in 0..<5 {
            script.now = script.machine.nextDeadline
            #expect(script.machine.timerFired(now: script.now) == .startProbe)
            script.machine.probeSkipped(now: script.now, using: &script.generator)
            #expect(!script.machine.isProbing)
            #expect(script.machine.nextDeadline > script.now)
        }
        #expect(script.machine.consecutiveFailures == 2)
        #expect(script.machine.verdict == .unverified)
    }

    @Test func aReloadedPlanKeepsWhatIsKnown() {
        var script = HealthScript(plan: Self.plan)
        for _ in 0..<3 { _ = script.probe(.timedOut) }
        #expect(script.machine.verdict == .down)
        let quick = HealthCheckPlan(
            interval: .milliseconds(100), timeout: .milliseconds(50), fall: 1, rise: 1)
        script.machine.replacePlan(quick, now: script.now)
        #expect(script.machine.verdict == .down)
        #expect(script.machine.nextDeadline <= script.now + .milliseconds(100))
        #expect(script.probe(nil) == .becameUp)
        #expect(script.probe(.timedOut) == .becameDown(failures: 1, reason: .timedOut))
    }

    @Test func numbersOutOfRangeAreCut() {
        let plan = HealthCheckPlan(
            interval: TimeSpan(nanoseconds: .max), timeout: TimeSpan(nanoseconds: .max),
            fall: 0, rise: -3, jitterPercent: 500)
        #expect(plan.fall == 1)
        #expect(plan.rise == 1)
        #expect(plan.jitterPercent == 100)
        var script = HealthScript(plan: plan)
        #expect(script.probe(nil) == .becameUp)
        #expect(script.machine.nextDeadline > script.now)
    }

    @Test(arguments: [
        (ProbeFailure.connectionRefused, "connection refused"),
        (.notServing(.serviceUnknown), "gRPC health SERVICE_UNKNOWN"),
        (.callStatus(12), "gRPC status UNIMPLEMENTED"), (.callStatus(300), "gRPC status 300"),
        (.bodyMismatch, "body without the expected text"),
        (.unexpectedAnswer, "answer without the expected bytes"),
        (.timedOut, "timed out"),
        (.unexpectedStatus(503), "status 503"),
        (.system("no route to host"), "no route to host"),
    ])
    func reasonsReadAsWords(reason: ProbeFailure, text: String) {
        #expect(reason.description == text)
    }
}
