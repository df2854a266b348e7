// SPDX-License-Identifier: Apache-2.0
//
// Goal: what the other node found out about a backend counts here as far as it should: an ejection
// holds for the rest of its time, never takes too many, and never comes back as a word of its own.

import Testing
import WireCore

@testable import BalancerCore

@Suite struct PeerVerdictTests {
    private func out(
        _ seconds: UInt64, number: Int = 1, _ cause: EjectionCause = .serverErrors(count: 5)
    ) -> EjectionReport {
        EjectionReport(
            phase: .out(remaining: .seconds(seconds)), cause: cause, number: number,
            age: .seconds(3))
    }

    private let over = EjectionReport(phase: .over, cause: .failedTrial, number: 1, age: .zero)

    /// True when it counted.
    private func hear(
        _ script: inout GovernorScript, _ index: Int, _ report: EjectionReport
    ) -> Bool {
        var isTaken = false
        script.event {
            let result = $0.peerEjected(index, report, now: $1)
            isTaken = result.isTaken
            return result.actions
        }
        return isTaken
    }

    private func reports(_ script: inout GovernorScript) -> [BackendReport] {
        let now = script.now
        return script.governor.takeReports(now: now).map(\.report)
    }

    // MARK: Telling

    @Test func whatTrafficCameToIsToldStepByStep() throws {
        var script = GovernorScript(count: 3, settings: .exact)
        #expect(reports(&script).isEmpty)
        script.traffic(1)
        guard case .ejection(let report)? = reports(&script).first else {
            Issue.record("an ejection is told")
            return
        }
        #expect(report.phase == .out(remaining: .seconds(30)))
        #expect(report.number == 1)
        #expect(reports(&script).isEmpty)
        // That its time is over the other node knows by itself.
        script.wait(.seconds(30))
        #expect(script.picture == "sts")
        #expect(reports(&script).isEmpty)
        script.event { $0.trialBegan(1, now: $1) }
        #expect(
            reports(&script).contains {
                if case .ejection(let report) = $0 {
                    report.phase == .trial(isTaken: true)
                } else {
                    false
                }
            })
        script.event { $0.trialEnded(1, .succeeded, now: $1) }
        #expect(
            reports(&script).contains {
                if case .ejection(let report) = $0 { report.phase == .over } else { false }
            })
    }

    @Test func whatWasHeardIsNotToldBack() {
        var script = GovernorScript(count: 4, settings: .exact)
        #expect(hear(&script, 1, out(20)))
        script.event { $0.peerChecked(2, .liveness, failure: .timedOut, now: $1) }
        #expect(hear(&script, 1, over))
        #expect(reports(&script).isEmpty)
    }

    @Test func checksAreToldWhenTheirVerdictChanges() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.pass(0)
        #expect(reports(&script).isEmpty)
        script.fail(0, .connectionRefused)
        script.fail(0, .connectionRefused)
        #expect(reports(&script) == [.check(.liveness, .connectionRefused)])
        script.pass(0)
        #expect(reports(&script) == [.check(.liveness, nil)])
    }

    // MARK: Ejections of the peer

    @Test func anEjectionHoldsForTheRestOfItsTime() {
        var script = GovernorScript(count: 3, settings: .exact)
        #expect(hear(&script, 1, out(20, number: 2)))
        #expect(script.picture == "sus")
        let now = script.now
        #expect(
            script.governor.status(of: 1, now: now)?.reason
                == .ejected(.serverErrors(count: 5), until: now + .seconds(20)))
        script.wait(.seconds(19))
        #expect(script.picture == "sus")
        script.wait(.seconds(1))
        #expect(script.picture == "sts")
        // It fails its trial here: the next ejection is as long as the third in a row.
        script.trial(1, .failed)
        let later = script.now
        #expect(
            script.governor.status(of: 1, now: later)?.reason
                == .ejected(.serverErrors(count: 5), until: later + .seconds(90)))
    }

    @Test func aReturnAtThePeerIsOneHere() {
        var script = GovernorScript(count: 3, settings: .exact)
        #expect(hear(&script, 1, out(20)))
        _ = script.take()
        #expect(hear(&script, 1, over))
        #expect(script.picture == "sss")
        #expect(
            script.takeEvents().contains {
                if case .returned("b1", _) = $0 { true } else { false }
            })
    }

    @Test func aTrialThatThePeerTookIsNotBegunASecondTime() {
        var script = GovernorScript(count: 3, settings: .exact)
        #expect(hear(&script, 1, out(20)))
        var trial = out(20)
        trial.phase = .trial(isTaken: true)
        #expect(hear(&script, 1, trial))
        #expect(script.picture == "sus")
        trial.phase = .trial(isTaken: false)
        #expect(hear(&script, 1, trial))
        #expect(script.picture == "sts")
    }

    @Test func theLastOneThatServesStays() {
        var script = GovernorScript(count: 2, settings: .exact)
        script.fail(0)
        #expect(script.picture == "us")
        #expect(!hear(&script, 1, out(20)))
        #expect(script.picture == "us")
        script.pass(0)
        // Asked again when another one serves.
        #expect(hear(&script, 1, out(20)))
        #expect(script.picture == "su")
    }

    @Test(arguments: [1, 2, 3, 5, 8, 20], [10, 34, 50, 100])
    func neverAreMoreOutThanMayBe(count: Int, percent: Int) {
        var settings = GovernorSettings.exact
        settings.outlier?.ejectedPercentMax = percent
        var script = GovernorScript(count: count, settings: settings)
        for index in 0..<count { _ = hear(&script, index, out(300)) }
        let outCount = script.picture.count { $0 != "s" }
        #expect(outCount == min(count * percent / 100, count - 1))
    }

    @Test func nobodyIsTakenOutWhileTheCauseIsShared() {
        var script = GovernorScript(count: 4, settings: .guarded)
        for index in 0..<3 { script.fail(index) }
        #expect(script.picture == "ssss")
        #expect(!hear(&script, 3, out(20)))
        #expect(script.picture == "ssss")
        // At which nothing listens is out all the same.
        #expect(hear(&script, 3, out(20, .refusedConnections(count: 5))))
        #expect(script.picture == "sssu")
    }

    @Test func aNodeThatDoesNotJudgeByTrafficTakesNothing() {
        var settings = GovernorSettings.exact
        settings.outlier = nil
        var script = GovernorScript(count: 3, settings: settings)
        #expect(hear(&script, 1, out(20)))
        #expect(script.picture == "sss")
    }

    @Test func noPeerEjectsForLongerThanThisNodeWould() {
        var script = GovernorScript(count: 3, settings: .exact)
        #expect(hear(&script, 1, out(4_000_000, number: 65_535)))
        script.wait(.seconds(300))
        #expect(script.picture == "sts")
    }

    @Test func theOperatorHasTheLastWord() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.event { $0.setAdminState(1, .maintenance, now: $1) }
        #expect(!hear(&script, 1, out(20)))
        script.event { $0.setAdminState(1, .ready, now: $1) }
        #expect(script.picture == "sss")
        #expect(hear(&script, 9, out(20)))
    }

    // MARK: Checks of the peer

    @Test func thePeersCheckCountsUntilTheOwnOneSpeaks() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.event { $0.peerChecked(1, .liveness, failure: .timedOut, now: $1) }
        #expect(script.picture == "sus")
        #expect(script.governor.failsAtPeer(1, .liveness))
        script.pass(1)
        #expect(script.picture == "sss")
        // A peer that lost its way to the backends takes none from us.
        script.event { $0.peerChecked(1, .liveness, failure: .timedOut, now: $1) }
        #expect(script.picture == "sss")
    }

    @Test func thePeersWordsOnAllBackendsLeaveSomebody() {
        var script = GovernorScript(count: 3, settings: .guarded)
        for index in 0..<3 {
            script.event { $0.peerChecked(index, .liveness, failure: .timedOut, now: $1) }
        }
        #expect(script.picture.contains("s"))
        for index in 0..<3 {
            script.event { $0.peerChecked(index, .liveness, failure: nil, now: $1) }
        }
        script.wait(.seconds(20))
        #expect(script.picture == "sss")
    }

    // MARK: Slow start

    @Test func aShareGoesOnGrowingWhereItStood() {
        var settings = GovernorSettings.exact
        settings.slowStart = SlowStartSettings()
        var script = GovernorScript(count: 3, settings: settings)
        script.event { $0.peerRamps(1, elapsed: .seconds(30), now: $1) }
        #expect(script.governor.standing(at: 1).rampPercent == 50)
        script.wait(.seconds(30))
        #expect(script.governor.standing(at: 1).rampPercent == 100)
        // Its own ramp is over: the peer's says nothing new.
        script.event { $0.peerRamps(1, elapsed: .seconds(10), now: $1) }
        #expect(script.governor.standing(at: 1).rampPercent == 100)
    }

    // MARK: Bytes

    private static let samples: [BackendReport] = [
        .ejection(
            EjectionReport(
                phase: .out(remaining: .milliseconds(31_200)),
                cause: .lowSuccessRate(rate: 4_000, threshold: 9_000), number: 3,
                age: .seconds(100))),
        .ejection(
            EjectionReport(
                phase: .trial(isTaken: true), cause: .refusedConnections(count: 7), number: 1,
                age: .zero)),
        .ejection(EjectionReport(phase: .over, cause: .failedTrial, number: 0, age: .zero)),
        .check(.liveness, .unexpectedStatus(503)), .check(.readiness, nil),
        .check(.readiness, .notServing(.notServing)), .check(.liveness, .system("no route")),
        .check(.liveness, .callStatus(14)), .ramp(.seconds(12)), .ramp(nil),
    ]

    @Test(arguments: samples)
    func reportsAreReadAsTheyWereWritten(report: BackendReport) {
        #expect(BackendReport(report.bytes, age: .zero) == report)
        #expect(BackendReport(report.bytes + [1, 2, 3], age: .zero) == report)
        for count in 0..<report.bytes.count {
            #expect(BackendReport(Array(report.bytes.prefix(count)), age: .zero) == nil)
        }
    }

    @Test func timeOnTheWayCounts() {
        let report = BackendReport(Self.samples[0].bytes, age: .seconds(31))
        guard case .ejection(let ejection)? = report else {
            Issue.record("it is an ejection")
            return
        }
        #expect(ejection.phase == .out(remaining: .milliseconds(200)))
        #expect(ejection.age == .seconds(131))
    }

    @Test func anyBytesAreAReportOrNothing() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            var bytes = Self.samples[Int(generator.next() % UInt64(Self.samples.count))].bytes
            for _ in 0..<1 + generator.next() % 4 {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            guard let report = BackendReport(bytes, age: .seconds(1)) else { continue }
            // Whatever a broken peer says leaves a governor that holds its rules.
            var script = GovernorScript(count: 3, settings: .guarded)
            switch report {
            case .ejection(let ejection): _ = hear(&script, 1, ejection)
            case .check(let kind, let failure):
                script.event { $0.peerChecked(1, kind, failure: failure, now: $1) }
            case .ramp(let elapsed):
                script.event { $0.peerRamps(1, elapsed: elapsed ?? .zero, now: $1) }
            }
            #expect(script.picture.contains("s"))
        }
    }
}
