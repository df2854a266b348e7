// SPDX-License-Identifier: Apache-2.0
//
// Trackers in virtual time: hysteresis as tables, verdicts, reports, and random results that must
// never make a tracker flap faster than its settings allow.

import Testing
import VRRPCore
import WireCore

/// One tracker's machine with a clock of its own.
struct TrackingBench {
    var machine: TrackingStateMachine
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var actions: [TrackingAction] = []

    init(_ trackers: TrackerSettings...) {
        machine = TrackingStateMachine(trackers: trackers)
    }

    mutating func pass(_ span: TimeSpan) {
        now = now + span
        machine.timePassed(now: now, into: &actions)
    }

    mutating func feed(
        _ identity: TrackerIdentity, _ isGood: Bool, after span: TimeSpan = .milliseconds(100)
    ) {
        now = now + span
        machine.resultReceived(identity, isGood: isGood, now: now, into: &actions)
    }

    func state(_ identity: TrackerIdentity) -> TrackerState? {
        machine.states.first { $0.settings.identity == identity }?.state
    }

    var reports: [TrackerReport] {
        actions.compactMap { if case .report(let report) = $0 { report } else { nil } }
    }

    var verdicts: [TrackingVerdict] {
        actions.compactMap { if case .verdictChanged(let verdict) = $0 { verdict } else { nil } }
    }
}

@Suite struct TrackingTests {
    static let disk = TrackerIdentity(.script, "disk")
    static let router = TrackerIdentity(.gateway, "10.0.0.1")
    static let link = TrackerIdentity(.interface, "eth1")
    static let workers = TrackerIdentity(.workers)

    /// Results as `+` and `-`, the state after each as `?`, `g` and `f`.
    @Test(
        arguments: [
            (1, 1, "+-+-", "gfgf"), (3, 2, "+--+---", "gggggggf"), (2, 2, "+--++", "ggffg"),
            (2, 3, "+--++-+++", "ggffffffg"), (2, 2, "-", "f"), (2, 2, "-+-++", "ffffg"),
            (2, 1, "+-+-+--+", "ggggggfg"),
        ])
    func runsDecide(fall: Int, rise: Int, results: String, states: String) throws {
        var bench = TrackingBench(
            TrackerSettings(Self.disk, effect: .fault, fall: fall, rise: rise))
        #expect(bench.state(Self.disk) == .unknown)
        var seen = ""
        for result in results {
            bench.feed(Self.disk, result == "+")
            seen += bench.state(Self.disk) == .good ? "g" : "f"
        }
        #expect(seen == String(states.suffix(results.count)))
    }

    /// Workers begin to turn after the watch begins: one look proves nothing.
    @Test func workersNeedTheirRunAlsoAtTheStart() {
        var bench = TrackingBench(
            TrackerSettings(Self.workers, effect: .fault, fall: 3, rise: 3))
        bench.feed(Self.workers, false)
        bench.feed(Self.workers, false)
        #expect(bench.state(Self.workers) == .unknown)
        bench.feed(Self.workers, false)
        #expect(bench.state(Self.workers) == .failing)
        #expect(bench.machine.verdict.isDataPlaneStalled)
        #expect(!bench.machine.verdict.hasTrackerFault)
    }

    @Test func goodResultsMustLastForTheUpDelay() {
        var bench = TrackingBench(
            TrackerSettings(Self.link, effect: .fault, upDelay: .seconds(1)))
        bench.feed(Self.link, true)
        #expect(bench.state(Self.link) == .good, "the first result counts at once")
        bench.feed(Self.link, false)
        #expect(bench.state(Self.link) == .failing)
        bench.feed(Self.link, true)
        let back = bench.now
        #expect(bench.machine.nextDeadline == back + .seconds(1))
        bench.pass(.milliseconds(999))
        #expect(bench.state(Self.link) == .failing)
        bench.feed(Self.link, false, after: .zero)
        bench.feed(Self.link, true, after: .milliseconds(1))
        bench.pass(.milliseconds(999))
        #expect(bench.state(Self.link) == .failing, "the delay begins anew")
        bench.pass(.milliseconds(1))
        #expect(bench.state(Self.link) == .good)
        #expect(bench.machine.nextDeadline == nil)
    }

    @Test func pointsAddUpAndNeverReachPriorityZero() {
        var bench = TrackingBench(
            TrackerSettings(Self.disk, effect: .points(200)),
            TrackerSettings(Self.link, effect: .points(100)))
        #expect(bench.machine.verdict.priority(base: 100) == 100)
        bench.feed(Self.link, false)
        #expect(bench.machine.verdict.penaltyPoints == 100)
        #expect(bench.machine.verdict.priority(base: 150) == 50)
        #expect(bench.machine.verdict.priority(base: 100) == 1)
        bench.feed(Self.disk, false)
        #expect(bench.machine.verdict.penaltyPoints == TrackingVerdict.penaltyPointsMax)
        #expect(bench.machine.verdict.priority(base: 254) == 1)
        #expect(bench.machine.verdict.priority(base: 255) == 255, "an owner stays")
        bench.feed(Self.link, true)
        bench.feed(Self.disk, true)
        #expect(bench.machine.verdict == TrackingVerdict())
    }

    @Test func faultsAreNamedInOrder() {
        var bench = TrackingBench(
            TrackerSettings(Self.link, effect: .fault), TrackerSettings(Self.disk, effect: .fault))
        bench.feed(Self.disk, false)
        bench.feed(Self.link, false)
        #expect(bench.machine.verdict.faults == [Self.link, Self.disk])
        #expect(bench.verdicts.count == 2)
        #expect(bench.machine.verdict.hasTrackerFault)
    }

    /// A node that never reached its witness is as blind as one that lost it.
    @Test func theWitnessIsMissingUntilItAnswers() {
        var bench = TrackingBench(
            TrackerSettings(Self.router, effect: .none, fall: 3, rise: 2))
        #expect(bench.machine.verdict.isWitnessMissing)
        bench.feed(Self.router, true)
        #expect(!bench.machine.verdict.isWitnessMissing)
        bench.feed(Self.router, false)
        bench.feed(Self.router, false)
        #expect(!bench.machine.verdict.isWitnessMissing)
        bench.feed(Self.router, false)
        #expect(bench.machine.verdict.isWitnessMissing)
        #expect(bench.machine.verdict.faults.isEmpty)
        #expect(bench.machine.verdict.penaltyPoints == 0)
        bench.feed(Self.router, true)
        #expect(bench.machine.verdict.isWitnessMissing)
        bench.feed(Self.router, true)
        #expect(!bench.machine.verdict.isWitnessMissing)
    }

    @Test func resultsOfUnknownTrackersAreIgnored() {
        var bench = TrackingBench(TrackerSettings(Self.disk, effect: .fault))
        bench.feed(Self.link, false)
        #expect(bench.actions.isEmpty)
        #expect(bench.machine.verdict == TrackingVerdict())
    }

    @Test(
        arguments: [
            (TrackerEffect.fault, "script disk failed (exit 3): this node does not serve"),
            (.points(50), "script disk failed (exit 3): the priority is lower by 50"),
            (.none, "script disk failed (exit 3): no consequence"),
        ])
    func aReportSaysWhatFollows(_ effect: TrackerEffect, _ text: String) {
        let report = TrackerReport(
            Self.disk, state: .failing, effect: effect, detail: "exit 3", suppressedCount: 0)
        #expect(report.description == text)
    }

    @Test func aReportOfTheWitnessSaysThatSilenceIsNoReason() {
        let report = TrackerReport(
            Self.router, state: .failing, effect: .none, detail: "no answer", suppressedCount: 0)
        #expect(
            report.description
                == "gateway 10.0.0.1 failed (no answer): silence is no reason to take over")
        let good = TrackerReport(
            Self.router, state: .good, effect: .none, detail: "", suppressedCount: 0)
        #expect(good.description == "gateway 10.0.0.1 is good again")
    }

    @Test func aGoodStartIsNotReportedAndABadOneIs() {
        var bench = TrackingBench(
            TrackerSettings(Self.disk, effect: .fault), TrackerSettings(Self.link, effect: .fault))
        bench.feed(Self.disk, true)
        #expect(bench.reports.isEmpty)
        bench.feed(Self.link, false)
        #expect(bench.reports.map(\.identity) == [Self.link])
    }

    /// A cable that flaps for an hour must not fill the log, and its last line must be true.
    @Test func reportsAreLimitedAndTheLastOneIsMadeUpFor() throws {
        var bench = TrackingBench(TrackerSettings(Self.link, effect: .fault))
        bench.feed(Self.link, true)
        var changes = 0
        for round in 0..<36_001 {
            bench.feed(Self.link, !round.isMultiple(of: 2))
            changes += 1
        }
        let limit = TrackingStateMachine.reportBurst + 361
        #expect(bench.reports.count <= limit)
        #expect(bench.reports.count >= 300)
        #expect(bench.state(Self.link) == .failing)
        while let deadline = bench.machine.nextDeadline {
            try #require(deadline >= bench.now)
            bench.pass(deadline - bench.now)
        }
        #expect(bench.reports.last?.state == .failing)
        let told = bench.reports.count + bench.reports.reduce(0) { $0 + Int($1.suppressedCount) }
        // A change that was undone before it could be told leaves nothing to tell at the end.
        #expect(told <= changes)
        #expect(told >= changes - 1)
    }

    /// Random results at random times: between two ends of a failure lie `fall` bad results in a
    /// row, and a failure ends only after `rise` good ones that lasted `up_delay`.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func nothingFlapsFasterThanItsHysteresis(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let fall = Int.random(in: 1...5, using: &generator)
        let rise = Int.random(in: 1...5, using: &generator)
        let upDelay = TimeSpan.milliseconds(UInt64.random(in: 0...2_000, using: &generator))
        var bench = TrackingBench(
            TrackerSettings(
                Self.disk, effect: .points(10), fall: fall, rise: rise, upDelay: upDelay))
        var badRun = 0
        var goodRun = 0
        var goodSince = bench.now
        var previous = TrackerState.unknown
        for _ in 0..<2_000 {
            let isResult = Int.random(in: 0..<3, using: &generator) > 0
            let span = TimeSpan.milliseconds(UInt64.random(in: 0...400, using: &generator))
            if isResult {
                let isGood = Int.random(in: 0..<4, using: &generator) > 0
                bench.feed(Self.disk, isGood, after: span)
                if isGood, goodRun == 0 { goodSince = bench.now }
                goodRun = isGood ? goodRun + 1 : 0
                badRun = isGood ? 0 : badRun + 1
            } else {
                bench.pass(span)
            }
            let state = bench.state(Self.disk) ?? .unknown
            switch (previous, state) {
            case (.good, .failing):
                #expect(badRun >= fall)
            case (.failing, .good):
                #expect(goodRun >= rise)
                #expect(bench.now - goodSince >= upDelay)
            case (.good, .good):
                #expect(badRun < fall)
            case (.failing, .failing):
                #expect(goodRun < rise || bench.now - goodSince < upDelay)
            default:
                #expect(previous == .unknown)
            }
            previous = state
            #expect(bench.machine.verdict.penaltyPoints == (state == .failing ? 10 : 0))
        }
    }
}
