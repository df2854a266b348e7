// SPDX-License-Identifier: Apache-2.0
//
// Verdicts with a shared cause: when they are taken for one, who stays in, how it ends; and that
// one or two separate faults are still taken out.

import BalancerCore
import Testing
import WireCore

@Suite struct GovernorGuardTests {
    @Test func aSharedCauseNeverEmptiesThePool() {
        var script = GovernorScript(count: 5, settings: .guarded)
        var pictures: [String] = []
        for index in 0..<5 {
            script.fail(index)
            pictures.append(script.picture)
            script.wait(.seconds(1))
        }
        // Two may be two faults; the third within the window brings the others back.
        #expect(pictures == ["ussss", "uusss", "sssss", "sssss", "sssss"])
        script.wait(.seconds(3_600))
        #expect(script.picture == "sssss")
        #expect(script.governor.status(now: script.now).excusedCount == 5)
        for index in 0..<5 { script.pass(index) }
        #expect(script.governor.status(now: script.now).cascadeSince == nil)
        let events = script.takeEvents()
        #expect(
            events.contains(.cascadeBegan(badCount: 3, total: 5, window: .seconds(15))))
        #expect(events.last == .cascadeEnded(after: .seconds(3_603), badCount: 0))
    }

    @Test func oneOrTwoSeparateFaultsAreTakenOut() {
        for reason in [ProbeFailure.timedOut, .connectionRefused, .unexpectedStatus(500)] {
            var script = GovernorScript(count: 5, settings: .guarded)
            script.fail(1, reason)
            script.fail(3, reason)
            script.wait(.seconds(600))
            #expect(script.picture == "sususs".prefix(5))
        }
    }

    @Test func faultsFarApartAreNoSharedCause() {
        var script = GovernorScript(count: 5, settings: .guarded)
        for index in 0..<4 {
            script.fail(index)
            script.wait(.seconds(16))
        }
        #expect(script.picture == "uuuus")
        #expect(script.governor.status(now: script.now).cascadeSince == nil)
        // But nobody is out when everybody would be.
        script.fail(4)
        #expect(script.picture == "sssss")
        #expect(script.takeEvents().contains(.failedOpen(total: 5)))
    }

    @Test func whoRefusesConnectionsStaysOutAsLongAsOthersLive() {
        var script = GovernorScript(count: 5, settings: .guarded)
        script.fail(0, .connectionRefused)
        script.fail(1)
        script.fail(2)
        #expect(script.picture == "ussss")
        script.fail(3)
        script.fail(4)
        #expect(script.picture == "ussss")
        // One that was excused turns out to be dead.
        script.fail(1, .connectionRefused)
        #expect(script.picture == "uusss")
        // All are dead: whoever comes first may answer.
        for index in 2..<5 { script.fail(index, .connectionRefused) }
        #expect(script.picture == "sssss")
        // One lives again, and the dead ones go.
        script.pass(3)
        #expect(script.picture == "uuusu")
    }

    @Test func deadBackendsAloneAreNoSharedCause() {
        var script = GovernorScript(count: 5, settings: .guarded)
        for index in 0..<3 { script.fail(index, .connectionRefused) }
        #expect(script.picture == "uuuss")
        #expect(
            !script.takeEvents().contains { if case .cascadeBegan = $0 { true } else { false } })
        // The survivors are overloaded: that is no fault of theirs.
        script.fail(3)
        script.traffic(4)
        #expect(script.picture == "uuuss")
    }

    @Test func trafficVerdictsCountAndEjectionsEnd() {
        var script = GovernorScript(count: 5, settings: .guarded)
        script.traffic(0)
        script.traffic(1)
        #expect(script.picture == "uusss")
        script.traffic(2)
        #expect(script.picture == "sssss")
        #expect(script.governor.nextDeadline != .distantFuture)
        script.traffic(3)
        script.traffic(4)
        #expect(script.picture == "sssss")
        let events = script.takeEvents()
        #expect(
            events.contains(.ejectionRefused(backend: "b3", .serverErrors(count: 5), .cascade)))
        // Ejections that were not theirs do not make the next one longer.
        script.wait(.seconds(60))
        #expect(script.governor.status(now: script.now).cascadeSince == nil)
        _ = script.take()
        script.traffic(0)
        #expect(
            script.takeEvents() == [
                .ejected(
                    backend: "b0", .serverErrors(count: 5), time: .seconds(30), number: 1)
            ])
    }

    @Test func aRefusedEjectionIsSaidOnceAWindow() {
        var script = GovernorScript(count: 1, settings: .guarded)
        for _ in 0..<100 {
            script.traffic(0)
            script.wait(.milliseconds(100))
        }
        #expect(script.takeEvents().count == 1)
    }

    @Test func itEndsAfterAWindowOfBetterVerdicts() {
        var script = GovernorScript(count: 5, settings: .guarded)
        for index in 0..<4 { script.fail(index) }
        script.wait(.seconds(100))
        // Two are left, which two faults may explain; but not for the first moment.
        script.pass(0)
        script.pass(1)
        #expect(script.picture == "sssss")
        script.wait(.seconds(14))
        #expect(script.picture == "sssss")
        script.wait(.seconds(3))
        #expect(script.picture == "ssuus")
    }

    @Test func aCauseThatComesAndGoesKeepsEverybodyIn() {
        var script = GovernorScript(count: 5, settings: .guarded)
        for index in 0..<5 { script.fail(index) }
        var pictures = Set<String>()
        for _ in 0..<50 {
            for index in 0..<4 { script.pass(index) }
            script.wait(.seconds(10))
            pictures.insert(script.picture)
            for index in 0..<4 { script.fail(index) }
            script.wait(.seconds(10))
            pictures.insert(script.picture)
        }
        #expect(pictures == ["sssss"])
    }

    /// Whoever is left bad at the end is out then, and it takes as many new ones to begin again.
    @Test func theEndAndTheNextBeginningDoNotChase() {
        var script = GovernorScript(count: 5, settings: .guarded)
        for index in 0..<3 { script.fail(index) }
        script.pass(0)
        script.wait(.seconds(16))
        #expect(script.picture == "suuss")
        _ = script.take()
        script.wait(.seconds(3_600))
        #expect(script.take().isEmpty)
        script.fail(0)
        #expect(script.picture == "uuuss")
        #expect(script.governor.status(now: script.now).cascadeSince == nil)
    }

    @Test func smallPools() {
        var pair = GovernorScript(count: 2, settings: .guarded)
        pair.fail(0)
        #expect(pair.picture == "us")
        pair.fail(1)
        #expect(pair.picture == "ss")
        var three = GovernorScript(count: 3, settings: .guarded)
        three.fail(0, .connectionRefused)
        three.fail(1, .connectionRefused)
        #expect(three.picture == "uus")
    }

    @Test func withoutTheGuardEachVerdictCounts() {
        var script = GovernorScript(count: 3, settings: .exact)
        for index in 0..<3 { script.fail(index) }
        #expect(script.picture == "uuu")
    }

    @Test func whatTheOperatorTookOutStaysOut() {
        var script = GovernorScript(count: 4, settings: .guarded)
        script.event { $0.setForcedHealth(0, .down, now: $1) }
        script.event { $0.setAdminState(1, .maintenance, now: $1) }
        script.event { $0.setAdminState(2, .drain, now: $1) }
        script.fail(3)
        #expect(script.picture == "umds")
        script.pass(3)
        #expect(script.picture == "umds")
    }

    @Test func aReadinessVerdictKeepsConnectionsAndALivenessVerdictDoesNot() {
        var script = GovernorScript(count: 5, settings: .guarded)
        script.fail(0, .unexpectedStatus(503), .readiness)
        #expect(script.picture == "ussss")
        #expect(!script.take().contains(.closeIdle(backend: 0)))
        script.fail(0, .unexpectedStatus(503), .liveness)
        #expect(script.take().contains(.closeIdle(backend: 0)))
        script.pass(0, .readiness)
        #expect(script.picture == "ussss")
        script.pass(0, .liveness)
        #expect(script.picture == "sssss")
    }

    @Test func aDeadBackendsRequestsAreCutWhenTold() {
        for cuts in [false, true] {
            var settings = GovernorSettings.guarded
            settings.cutsExchangesWhenDown = cuts
            var script = GovernorScript(count: 5, settings: settings)
            script.fail(0, .connectionRefused)
            #expect(script.take().contains(.forceClose(backend: 0, tunnelsToo: false)) == cuts)
        }
    }

    @Test func panicIsSaidWhenItBeginsAndEnds() {
        var script = GovernorScript(count: 4, settings: .exact)
        script.fail(0)
        script.fail(1)
        #expect(!script.takeEvents().contains(.panicBegan(servingCount: 2, total: 4)))
        script.fail(2)
        #expect(script.takeEvents().contains(.panicBegan(servingCount: 1, total: 4)))
        #expect(script.governor.status(now: script.now).panicSince == script.now)
        script.wait(.seconds(7))
        script.pass(2)
        #expect(script.takeEvents().contains(.panicEnded(after: .seconds(7))))
    }
}
