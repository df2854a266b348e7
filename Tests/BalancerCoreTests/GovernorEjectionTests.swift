// SPDX-License-Identifier: Apache-2.0
//
// Ejection by traffic, trial, return: who goes, for how long, who must stay.

import BalancerCore
import Testing
import WireCore

@Suite struct GovernorEjectionTests {
    @Test func anEjectedBackendReturnsThroughATrial() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.traffic(2)
        #expect(script.picture == "ssuss")
        script.wait(.milliseconds(29_999))
        #expect(script.picture == "ssuss")
        script.wait(.milliseconds(1))
        #expect(script.picture == "sstss")
        script.trial(2, .succeeded)
        #expect(script.picture == "sssss")
        #expect(
            script.takeEvents() == [
                .ejected(
                    backend: "b2", .serverErrors(count: 5), time: .seconds(30), number: 1),
                .trialBegan(backend: "b2"),
                .returned(backend: "b2", after: .seconds(30)),
            ])
    }

    @Test func aFailedTrialEjectsForLonger() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.traffic(0)
        var times: [TimeSpan] = []
        for _ in 0..<3 {
            let before = script.now
            script.wait(script.governor.nextDeadline - script.now)
            times.append(script.now - before)
            #expect(script.picture == "tssss")
            script.trial(0, .failed)
            #expect(script.picture == "ussss")
        }
        #expect(times == [.seconds(30), .seconds(60), .seconds(90)])
    }

    @Test func ejectionsAreForgottenWhileItServes() {
        for (served, expected) in [(0, 60), (29, 60), (31, 30), (600, 30)] as [(UInt64, UInt64)] {
            var script = GovernorScript(count: 5, settings: .exact)
            script.traffic(0)
            script.wait(.seconds(30))
            script.trial(0, .succeeded)
            script.wait(.seconds(served))
            _ = script.take()
            script.traffic(0)
            #expect(script.governor.nextDeadline - script.now == .seconds(expected))
        }
    }

    /// The numbers of pools below ten, and of one that is a product of a whole share.
    @Test(arguments: 1...12)
    func neverMoreThanTheShareAndNeverTheLast(count: Int) {
        for percent in [10, 50, 100] {
            var settings = GovernorSettings.exact
            settings.outlier?.ejectedPercentMax = percent
            var script = GovernorScript(count: count, settings: settings)
            for index in 0..<count { script.traffic(index) }
            let ejected = script.picture.filter { $0 == "u" }.count
            #expect(ejected == min(count * percent / 100, count - 1))
            #expect(script.picture.contains("s"))
        }
    }

    @Test func theOnlyBackendIsNeverEjected() {
        for settings in [GovernorSettings.exact, .guarded] {
            var script = GovernorScript(count: 1, settings: settings)
            script.traffic(0)
            #expect(script.picture == "s")
            #expect(
                script.takeEvents() == [
                    .ejectionRefused(backend: "b0", .serverErrors(count: 5), .lastBackend)
                ])
        }
    }

    @Test func theOnlyBackendWithAWeightIsNeverEjected() {
        var script = GovernorScript(count: 3, settings: .exact, weights: [1, 0, 0])
        script.traffic(0)
        #expect(script.picture == "sss")
        script.traffic(1)
        #expect(script.picture == "sus")
    }

    /// One active check, one backend, load: the balancer answered 503 for half of the run while
    /// the application was well.
    @Test func theOnlyBackendServesWhateverItsCheckSays() {
        var script = GovernorScript(count: 1, settings: .guarded)
        for round in 0..<20 {
            script.fail(0, round % 2 == 0 ? .timedOut : .connectionRefused)
            #expect(script.picture == "s")
            script.traffic(0, .localErrors(count: 5))
            #expect(script.picture == "s")
            script.wait(.seconds(20))
            #expect(script.picture == "s")
            script.pass(0)
            #expect(script.picture == "s")
        }
        let events = script.takeEvents()
        #expect(events.contains(.failedOpen(total: 1)))
        #expect(!events.contains { if case .ejected = $0 { true } else { false } })
    }

    @Test func backendsThatChecksTookOutCountAsOut() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.fail(0, .connectionRefused)
        script.traffic(1)
        #expect(script.picture == "uusss")
        script.traffic(2)
        #expect(script.picture == "uusss")
        #expect(
            script.takeEvents().last
                == .ejectionRefused(
                    backend: "b2", .serverErrors(count: 5), .limit(outCount: 2, outMax: 2)))
        // A place is free again, and the next failures take it.
        script.pass(0)
        script.traffic(2)
        #expect(script.picture == "suuss")
    }

    @Test func backendsTheOperatorTookOutAreNoPartOfTheShare() {
        var script = GovernorScript(count: 4, settings: .exact)
        script.event { $0.setAdminState(0, .maintenance, now: $1) }
        script.event { $0.setAdminState(1, .drain, now: $1) }
        script.traffic(2)
        #expect(script.picture == "mdus")
        script.traffic(3)
        #expect(script.picture == "mdus")
    }

    @Test func anEjectedBackendReturnsWhenTheOthersAreLost() {
        var script = GovernorScript(count: 2, settings: .exact)
        script.traffic(0)
        script.event { $0.setAdminState(1, .maintenance, now: $1) }
        #expect(script.picture == "sm")
    }

    @Test func reportsAboutABackendThatIsOutAreOfThePast() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.traffic(0)
        script.wait(.seconds(10))
        script.traffic(0)
        script.wait(.seconds(20))
        #expect(script.picture == "tssss")
        script.traffic(0)
        #expect(script.picture == "tssss")
        #expect(script.governor.status(of: 0, now: script.now)?.ejectionsTotal == 1)
        script.fail(1, .connectionRefused)
        script.traffic(1)
        script.pass(1)
        #expect(script.picture == "tssss")
    }

    @Test func aPassingCheckDoesNotEndAnEjection() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.pass(0)
        script.wait(.seconds(100))
        script.traffic(0)
        for _ in 0..<5 {
            script.pass(0)
            script.wait(.seconds(5))
            #expect(script.picture == "ussss")
        }
        #expect(
            script.takeEvents().contains(
                .checkLies(
                    backend: "b0", .serverErrors(count: 5), passingFor: .seconds(100),
                    ejections: 1)))
    }

    @Test func aPassedCheckOpensTheTrialOfOneThatRefusedOnce() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.pass(0)
        script.traffic(0, .refusedConnections(count: 5))
        #expect(script.picture == "ussss")
        script.wait(.seconds(1))
        script.pass(0)
        #expect(script.picture == "tssss")
        #expect(!script.takeEvents().contains { if case .checkLies = $0 { true } else { false } })
    }

    @Test func aCheckLiesOnlyWhenItPassesAfterwards() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.pass(0)
        script.traffic(0)
        #expect(!script.takeEvents().contains { if case .checkLies = $0 { true } else { false } })
        script.pass(0)
        script.pass(0)
        let lies = script.takeEvents().filter { if case .checkLies = $0 { true } else { false } }
        #expect(lies.count == 1)
    }

    @Test func aPassingCheckEndsAnEjectionWhenTold() {
        var settings = GovernorSettings.exact
        settings.outlier?.returnsOnPassedCheck = true
        var script = GovernorScript(count: 5, settings: settings)
        script.traffic(0)
        script.pass(0)
        #expect(script.picture == "sssss")
    }

    @Test func aCheckThatFailedTooOpensTheTrialWhenItRecovers() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.pass(0)
        script.traffic(0, .refusedConnections(count: 5))
        script.wait(.seconds(3))
        script.fail(0, .connectionRefused)
        script.wait(.seconds(3))
        #expect(script.picture == "ussss")
        script.pass(0)
        #expect(script.picture == "tssss")
    }

    @Test func aTrialWaitsWhileTheCheckFails() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.traffic(0)
        script.fail(0)
        script.wait(.seconds(40))
        #expect(script.picture == "ussss")
        script.pass(0)
        #expect(script.picture == "tssss")
    }

    @Test func aCheckThatWasNeverMadeDoesNotLie() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.traffic(0)
        #expect(!script.takeEvents().contains { if case .checkLies = $0 { true } else { false } })
    }
}

@Suite struct GovernorTrialTests {
    private func onTrial() -> GovernorScript {
        var script = GovernorScript(count: 3, settings: .exact)
        script.traffic(0)
        script.wait(.seconds(30))
        _ = script.take()
        return script
    }

    private func grants(_ actions: [GovernorAction]) -> Int {
        actions.filter { action in
            if case .standing(0, let standing) = action {
                standing.admission == .trial
            } else {
                false
            }
        }.count
    }

    @Test func aTrialThatNobodyTakesStaysOpen() {
        var script = onTrial()
        #expect(script.governor.nextDeadline == .distantFuture)
        script.wait(.seconds(3_600))
        #expect(script.picture == "tss")
        #expect(grants(script.take()) == 0)
    }

    private func sweep(
        _ script: inout GovernorScript, _ requests: [UInt64], failures: [UInt64] = [0, 0, 0]
    ) {
        let tallies = zip(requests, failures).map {
            BackendTally(requests: $0.0, failures: $0.1)
        }
        script.event { $0.sweep(tallies, now: $1) }
        script.wait(.seconds(1))
    }

    /// A panicking level uses backends on trial without asking for the one request.
    @Test func requestsSentInPanicDecideATrialToo() {
        var good = onTrial()
        sweep(&good, [5, 100, 100], failures: [5, 0, 0])
        sweep(&good, [5, 200, 200], failures: [5, 0, 0])
        #expect(good.picture == "tss")
        var bad = good
        sweep(&good, [6, 300, 300], failures: [5, 0, 0])
        #expect(good.picture == "sss")
        sweep(&bad, [7, 300, 300], failures: [6, 0, 0])
        #expect(bad.picture == "uss")
        #expect(bad.governor.status(of: 0, now: bad.now)?.ejectionNumber == 2)
    }

    /// Nothing but requests that are not risked on a trial must not keep a backend out for ever.
    @Test func aTrialThatABusyPoolDoesNotTakeEnds() {
        var script = onTrial()
        for round in 0..<60 as Range<UInt64> {
            sweep(&script, [0, round * 10, round * 10])
            #expect(script.picture == "tss")
        }
        sweep(&script, [0, 700, 700])
        #expect(script.picture == "sss")
    }

    @Test func aTrialOfAQuietPoolStaysOpen() {
        var script = onTrial()
        for round in 0..<90 as Range<UInt64> { sweep(&script, [0, round, 0]) }
        #expect(script.picture == "tss")
    }

    @Test func aTrialThatWasNeverReportedIsGrantedAgain() {
        var script = onTrial()
        script.event { $0.trialBegan(0, now: $1) }
        script.wait(.milliseconds(59_999))
        #expect(grants(script.take()) == 0)
        script.wait(.milliseconds(1))
        #expect(grants(script.take()) == 1)
        #expect(script.picture == "tss")
        // That one is not taken yet, so nothing more is granted.
        script.wait(.seconds(600))
        #expect(grants(script.take()) == 0)
    }

    @Test func anAbandonedTrialIsGrantedAgainAtOnce() {
        var script = onTrial()
        script.trial(0, .abandoned)
        #expect(grants(script.take()) == 1)
        #expect(script.picture == "tss")
    }

    /// Each word that says trial lets one request through.
    @Test func nothingElseGrantsASecondRequest() {
        var script = onTrial()
        script.event { $0.trialBegan(0, now: $1) }
        script.event { $0.setWeight(0, 7, now: $1) }
        script.event { $0.trialBegan(0, now: $1) }
        script.pass(0)
        script.traffic(0)
        #expect(grants(script.take()) == 0)
        // Interrupted while its request is on its way: it waits for that one.
        script.event { $0.setForcedHealth(1, .down, now: $1) }
        script.fail(0, .unexpectedStatus(503), .readiness)
        script.pass(0, .readiness)
        #expect(script.picture == "uus")
        #expect(grants(script.take()) == 0)
        script.event { $0.trialEnded(0, .succeeded, now: $1) }
        #expect(script.picture == "sus")
        #expect(script.governor.standing(at: 0).weight == 7)
    }

    @Test func aTrialIsNotGrantedAgainByAReload() {
        var script = onTrial()
        script.event { $0.trialBegan(0, now: $1) }
        let names = (0..<3).map { GovernedBackend(name: "b\($0)") }
        script.event { $0.reconfigure(backends: names, settings: .exact, now: $1) }
        #expect(grants(script.take()) == 0)
        #expect(script.picture == "uss")
        script.wait(.seconds(60))
        #expect(grants(script.take()) == 1)
    }

    @Test func theEndOfATrialThatIsNotThereIsIgnored() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.trial(0, .failed)
        script.traffic(0)
        script.trial(0, .succeeded)
        script.event { $0.trialEnded(9, .succeeded, now: $1) }
        #expect(script.picture == "uss")
    }
}

@Suite struct GovernorSweepTests {
    private func tallies(_ failures: [UInt64], requests: UInt64) -> [BackendTally] {
        failures.map { BackendTally(requests: requests, failures: $0) }
    }

    @Test func ratesAreOfWholeIntervals() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.wait(.seconds(10))
        // What was counted before the first look belongs to no interval.
        script.event { $0.sweep(tallies([0, 0, 0, 0, 500], requests: 1_000), now: $1) }
        #expect(script.picture == "sssss")
        script.wait(.seconds(9))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 900], requests: 2_000), now: $1) }
        #expect(script.picture == "sssss")
        script.wait(.seconds(1))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 900], requests: 2_000), now: $1) }
        #expect(script.picture == "ssssu")
    }

    @Test func theWorstGoFirstWhenNotAllMay() {
        var script = GovernorScript(count: 10, settings: .exact)
        var settings = GovernorSettings.exact
        settings.outlier?.ejectedPercentMax = 10
        settings.outlier?.successRateFactorMilli = 1_000
        script.governor = PoolGovernor(
            backends: (0..<10).map { GovernedBackend(name: "b\($0)") }, settings: settings, seed: 1,
            now: script.now)
        let none = tallies([UInt64](repeating: 0, count: 10), requests: 0)
        script.wait(.seconds(10))
        script.event { $0.sweep(none, now: $1) }
        script.wait(.seconds(10))
        script.event {
            $0.sweep(tallies([0, 0, 0, 70, 0, 90, 0, 0, 0, 0], requests: 100), now: $1)
        }
        #expect(script.picture == "sssssussss")
    }

    /// A zone lost its power and came back within one interval: its failures are of before.
    @Test func aReturnedBackendIsNotEjectedForWhatItFailedBefore() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.wait(.seconds(10))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 0], requests: 1_000), now: $1) }
        script.traffic(4, .localErrors(count: 5))
        script.fail(4)
        #expect(script.picture == "ssssu")
        script.wait(.seconds(7))
        script.pass(4)
        script.trial(4, .succeeded)
        #expect(script.picture == "sssss")
        script.wait(.seconds(3))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 400], requests: 2_000), now: $1) }
        #expect(script.picture == "sssss")
        // What it fails from now on counts.
        script.wait(.seconds(10))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 800], requests: 3_000), now: $1) }
        #expect(script.picture == "ssssu")
    }

    /// The same for a backend that only its check took out.
    @Test func aBackendThatCameUpIsNotEjectedForWhatItFailedBefore() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.wait(.seconds(10))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 0], requests: 1_000), now: $1) }
        script.fail(4)
        script.wait(.seconds(7))
        script.pass(4)
        #expect(script.picture == "sssss")
        script.wait(.seconds(3))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 400], requests: 2_000), now: $1) }
        #expect(script.picture == "sssss")
    }

    @Test func countersThatBeganAnewAreNoRate() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.wait(.seconds(10))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 0], requests: 1_000), now: $1) }
        script.wait(.seconds(10))
        script.event { $0.sweep(tallies([0, 0, 0, 0, 400], requests: 400), now: $1) }
        #expect(script.picture == "sssss")
    }

    @Test func aWrongNumberOfTalliesIsIgnored() {
        var script = GovernorScript(count: 5, settings: .exact)
        script.wait(.seconds(60))
        script.event { $0.sweep([], now: $1) }
        script.event { $0.sweep(tallies([0], requests: 9), now: $1) }
        #expect(script.take().isEmpty)
    }
}
