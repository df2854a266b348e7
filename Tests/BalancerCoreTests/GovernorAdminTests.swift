// SPDX-License-Identifier: Apache-2.0
//
// What the operator does: drain with its times, maintenance, weights, forced health; reloads; and
// slow start, which follows a return.

import BalancerCore
import Testing
import WireCore

@Suite struct GovernorDrainTests {
    @Test func aDrainEndsWhenNothingIsLeft() {
        var script = GovernorScript(count: 2)
        script.event { $0.setAdminState(0, .drain, now: $1) }
        #expect(script.picture == "ds")
        #expect(script.governor.draining == [0])
        #expect(
            script.take() == [
                .standing(backend: 0, BackendStanding(admission: .draining)),
                .report(.drainBegan(backend: "b0", .drain)), .closeIdle(backend: 0),
            ])
        script.event { $0.inFlight(0, exchanges: 3, tunnels: 1, now: $1) }
        script.wait(.seconds(4))
        script.event { $0.inFlight(0, exchanges: 0, tunnels: 1, now: $1) }
        #expect(script.take().isEmpty)
        script.wait(.seconds(2))
        script.event { $0.inFlight(0, exchanges: 0, tunnels: 0, now: $1) }
        script.event { $0.inFlight(0, exchanges: 0, tunnels: 0, now: $1) }
        #expect(
            script.take() == [
                .report(
                    .drainEnded(
                        backend: "b0", after: .seconds(6), forcedCount: 0, isComplete: true))
            ])
        #expect(script.governor.draining.isEmpty)
        script.wait(.seconds(1_000))
        #expect(script.take().isEmpty)
        #expect(script.picture == "ds")
    }

    @Test func whatOutlivesItsTimeIsCut() {
        var script = GovernorScript(count: 2)
        script.event { $0.setAdminState(0, .maintenance, now: $1) }
        script.event { $0.inFlight(0, exchanges: 3, tunnels: 2, now: $1) }
        _ = script.take()
        script.wait(.milliseconds(29_999))
        #expect(script.take().isEmpty)
        script.wait(.milliseconds(1))
        #expect(
            script.take() == [
                .report(.drainForced(backend: "b0", exchanges: 3, tunnels: 0)),
                .forceClose(backend: 0, tunnelsToo: false),
            ])
        script.event { $0.inFlight(0, exchanges: 0, tunnels: 2, now: $1) }
        script.wait(.seconds(269))
        #expect(script.take().isEmpty)
        script.wait(.seconds(1))
        #expect(
            script.take() == [
                .report(.drainForced(backend: "b0", exchanges: 0, tunnels: 2)),
                .forceClose(backend: 0, tunnelsToo: true),
            ])
        script.event { $0.inFlight(0, exchanges: 0, tunnels: 0, now: $1) }
        #expect(
            script.takeEvents() == [
                .drainEnded(
                    backend: "b0", after: .seconds(300), forcedCount: 5, isComplete: true)
            ])
    }

    @Test func withoutReportsEverythingIsCutInTime() {
        var script = GovernorScript(count: 2)
        script.event { $0.setAdminState(0, .drain, now: $1) }
        script.wait(.seconds(301))
        let cuts = script.take().filter { if case .forceClose = $0 { true } else { false } }
        #expect(
            cuts == [
                .forceClose(backend: 0, tunnelsToo: false),
                .forceClose(backend: 0, tunnelsToo: true),
            ])
    }

    @Test func noTimeAtAllCutsAtOnce() {
        var settings = GovernorSettings()
        settings.drain.timeout = .zero
        settings.drain.tunnelTimeout = .zero
        var script = GovernorScript(count: 2, settings: settings)
        script.event { $0.setAdminState(0, .drain, now: $1) }
        script.event { $0.inFlight(0, exchanges: 1, tunnels: 1, now: $1) }
        script.wait(.zero)
        #expect(script.take().contains(.forceClose(backend: 0, tunnelsToo: true)))
    }

    @Test func tunnelsHaveAtLeastTheTimeOfRequests() {
        var settings = GovernorSettings()
        settings.drain.timeout = .seconds(60)
        settings.drain.tunnelTimeout = .seconds(10)
        var script = GovernorScript(count: 2, settings: settings)
        script.event { $0.setAdminState(0, .drain, now: $1) }
        script.event { $0.inFlight(0, exchanges: 1, tunnels: 1, now: $1) }
        script.wait(.seconds(59))
        #expect(!script.take().contains { if case .forceClose = $0 { true } else { false } })
    }

    @Test func beingMadeReadyEndsTheDrain() {
        var script = GovernorScript(count: 2)
        script.event { $0.setAdminState(0, .drain, now: $1) }
        script.event { $0.inFlight(0, exchanges: 1, tunnels: 0, now: $1) }
        script.wait(.seconds(5))
        script.event { $0.setAdminState(0, .maintenance, now: $1) }
        script.wait(.seconds(5))
        _ = script.take()
        script.event { $0.setAdminState(0, .ready, now: $1) }
        #expect(script.picture == "ss")
        #expect(
            script.takeEvents() == [
                .drainEnded(
                    backend: "b0", after: .seconds(10), forcedCount: 0, isComplete: false),
                .madeReady(backend: "b0"),
            ])
        script.wait(.seconds(600))
        #expect(script.take().isEmpty)
    }

    /// The operator beats checks and traffic, in every order.
    @Test func theOperatorWins() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.event { $0.setAdminState(0, .drain, now: $1) }
        script.fail(0)
        #expect(script.picture == "dss")
        script.traffic(0)
        script.event { $0.setForcedHealth(0, .up, now: $1) }
        #expect(script.picture == "dss")
        script.event { $0.setAdminState(0, .ready, now: $1) }
        #expect(script.picture == "sss")
        script.event { $0.setForcedHealth(0, nil, now: $1) }
        #expect(script.picture == "uss")
        script.event { $0.setForcedHealth(1, .down, now: $1) }
        script.pass(1)
        #expect(script.picture == "uus")
        script.event { $0.setForcedHealth(1, nil, now: $1) }
        #expect(script.picture == "uss")
    }

    @Test func workOnABackendMendsIt() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.traffic(0)
        script.event { $0.setAdminState(0, .maintenance, now: $1) }
        script.event { $0.setAdminState(0, .ready, now: $1) }
        #expect(script.picture == "sss")
        script.traffic(0)
        #expect(script.governor.nextDeadline - script.now == .seconds(30))
    }

    @Test func weightsAreSetAndTakenBack() {
        var script = GovernorScript(count: 2, weights: [3, 5])
        script.event { $0.setWeight(0, 100, now: $1) }
        #expect(script.governor.standing(at: 0).weight == 100)
        script.event { $0.setWeight(0, 100_000, now: $1) }
        #expect(script.governor.standing(at: 0).weight == 256)
        script.event { $0.setWeight(0, nil, now: $1) }
        #expect(script.governor.standing(at: 0).weight == 3)
        #expect(script.governor.standing(at: 1).weight == 5)
    }

    @Test func indexesOutsideThePoolAreIgnored() {
        var script = GovernorScript(count: 1)
        for index in [-1, 1, Int.max] {
            script.fail(index)
            script.pass(index)
            script.traffic(index)
            script.trial(index, .failed)
            script.event { $0.setAdminState(index, .drain, now: $1) }
            script.event { $0.setWeight(index, 3, now: $1) }
            script.event { $0.setForcedHealth(index, .up, now: $1) }
            script.event { $0.inFlight(index, exchanges: 0, tunnels: 0, now: $1) }
            script.event { $0.checkForgotten(index, .readiness, now: $1) }
        }
        #expect(script.take().isEmpty)
        #expect(script.governor.status(of: 1, now: script.now) == nil)
    }
}

@Suite struct GovernorReloadTests {
    private func names(_ names: String...) -> [GovernedBackend] {
        names.map { GovernedBackend(name: $0) }
    }

    @Test func whatIsKnownStaysWithTheName() {
        var script = GovernorScript(count: 4, settings: .exact)
        script.traffic(0)
        script.fail(1)
        script.event { $0.setAdminState(2, .drain, now: $1) }
        script.event { $0.setWeight(3, 9, now: $1) }
        _ = script.take()
        script.event {
            $0.reconfigure(
                backends: names("new", "b3", "b2", "b1", "b0"), settings: .exact, now: $1)
        }
        #expect(script.picture == "ssduu")
        #expect(script.governor.standing(at: 1).weight == 9)
        let told = script.take().filter { if case .standing = $0 { true } else { false } }
        #expect(told.count == 5)
        script.wait(.seconds(30))
        #expect(script.picture == "ssdut")
    }

    @Test func aBackendElsewhereIsAnotherOne() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.traffic(0)
        script.fail(1)
        script.event { $0.setAdminState(2, .maintenance, now: $1) }
        let elsewhereAddress = Endpoint(
            address: .v4(IPv4Address(rawValue: 0x0A00_0001)), port: 80)
        let elsewhere = (0..<3).map { index in
            GovernedBackend(
                name: "b\(index)",
                address: elsewhereAddress)
        }
        script.event { $0.reconfigure(backends: elsewhere, settings: .exact, now: $1) }
        #expect(script.picture == "ssm")
    }

    @Test func aConfiguredWeightThatChangedBeatsOneOfRunTime() {
        var script = GovernorScript(count: 2)
        script.event { $0.setWeight(0, 9, now: $1) }
        script.event { $0.setWeight(1, 9, now: $1) }
        let backends = [
            GovernedBackend(name: "b0", weight: 4), GovernedBackend(name: "b1", weight: 1),
        ]
        script.event { $0.reconfigure(backends: backends, settings: GovernorSettings(), now: $1) }
        #expect(script.governor.standing(at: 0).weight == 4)
        #expect(script.governor.standing(at: 1).weight == 9)
    }

    @Test func rulesThatWereTurnedOffLetEverybodyGo() {
        var script = GovernorScript(count: 5, settings: .guarded)
        script.traffic(0)
        for index in 1..<4 { script.fail(index) }
        #expect(script.picture == "sssss")
        var settings = GovernorSettings.guarded
        settings.cascade = nil
        settings.outlier = nil
        let backends = (0..<5).map { GovernedBackend(name: "b\($0)") }
        script.event { $0.reconfigure(backends: backends, settings: settings, now: $1) }
        #expect(script.picture == "suuus")
        script.traffic(4)
        #expect(script.picture == "suuus")
    }

    @Test func aCheckThatIsNoLongerMadeSaysNothing() {
        var script = GovernorScript(count: 3, settings: .exact)
        script.fail(0)
        script.fail(0, .timedOut, .readiness)
        script.event { $0.checkForgotten(0, .liveness, now: $1) }
        #expect(script.picture == "uss")
        script.event { $0.checkForgotten(0, .readiness, now: $1) }
        #expect(script.picture == "sss")
    }
}

@Suite struct SlowStartTests {
    @Test(
        arguments: [
            (100, 0, 10), (100, 6, 10), (100, 7, 11), (100, 30, 50), (100, 59, 98), (100, 60, 100),
            (200, 0, 12), (200, 15, 50), (200, 30, 70), (50, 30, 25), (50, 12, 10),
        ] as [(Int, UInt64, UInt8)])
    func theShareFollowsTheFormula(aggression: Int, seconds: UInt64, percent: UInt8) {
        var settings = SlowStartSettings()
        settings.aggressionPercent = aggression
        let start = Instant(nanoseconds: 5)
        let ramp = SlowStart(since: start, settings: settings)
        #expect(ramp.percent(at: start + .seconds(seconds)) == percent)
    }

    @Test func theShareNeverShrinks() {
        for aggression in [10, 50, 100, 300, 1_000] {
            var settings = SlowStartSettings()
            settings.aggressionPercent = aggression
            settings.window = .milliseconds(1_000)
            let ramp = SlowStart(since: Instant(nanoseconds: 0), settings: settings)
            let shares = (0...1_000).map {
                ramp.percent(at: Instant(nanoseconds: 0) + .milliseconds($0))
            }
            #expect(zip(shares, shares.dropFirst()).allSatisfy { $0 <= $1 })
            #expect(shares[0] >= 10)
            #expect(shares[1_000] == 100)
        }
    }

    private static var ramping: GovernorSettings {
        var settings = GovernorSettings.exact
        settings.slowStart = SlowStartSettings()
        return settings
    }

    @Test func aReturningBackendsShareGrowsInSteps() {
        var script = GovernorScript(count: 3, settings: Self.ramping)
        #expect(script.governor.standing(at: 0).rampPercent == 100)
        script.fail(0)
        script.wait(.seconds(5))
        script.pass(0)
        _ = script.take()
        #expect(script.governor.standing(at: 0).rampPercent == 10)
        var shares: [UInt8] = []
        let begin = script.now
        script.wait(.seconds(60))
        for action in script.take() {
            if case .standing(0, let standing) = action { shares.append(standing.rampPercent) }
        }
        #expect(shares == Array(11...100))
        #expect(script.now - begin == .seconds(60))
        script.wait(.seconds(60))
        #expect(script.take().isEmpty)
    }

    @Test func stepsAreATenthOfASecondApartAtLeast() {
        var settings = Self.ramping
        settings.slowStart?.window = .seconds(1)
        var script = GovernorScript(count: 2, settings: settings)
        script.fail(0)
        script.pass(0)
        _ = script.take()
        var last = script.now
        while script.governor.nextDeadline != .distantFuture {
            let due = script.governor.nextDeadline
            #expect(due - last >= .milliseconds(100))
            last = due
            script.wait(due - script.now)
        }
        #expect(script.take().count <= 11)
    }

    @Test func everyKindOfReturnRamps() {
        var script = GovernorScript(count: 3, settings: Self.ramping)
        let ramp = { (script: GovernorScript) in script.governor.standing(at: 0).rampPercent }
        script.traffic(0)
        script.wait(.seconds(30))
        script.trial(0, .succeeded)
        #expect(ramp(script) == 10)
        script.wait(.seconds(61))
        script.event { $0.setAdminState(0, .maintenance, now: $1) }
        script.event { $0.setAdminState(0, .ready, now: $1) }
        #expect(ramp(script) == 10)
        script.wait(.seconds(61))
        script.fail(0, .timedOut, .readiness)
        script.pass(0, .readiness)
        #expect(ramp(script) == 10)
        let added = ["new", "b0", "b1", "b2"].map { GovernedBackend(name: $0) }
        script.event { $0.reconfigure(backends: added, settings: Self.ramping, now: $1) }
        #expect(ramp(script) == 10)
        #expect(script.governor.standing(at: 1).rampPercent == 10)
        #expect(script.governor.standing(at: 2).rampPercent == 100)
    }

    @Test func backendsThatAreAllNewDoNotRamp() {
        var script = GovernorScript(count: 2, settings: Self.ramping)
        let others = ["x", "y"].map { GovernedBackend(name: $0) }
        script.event { $0.reconfigure(backends: others, settings: Self.ramping, now: $1) }
        #expect(script.governor.standing(at: 0).rampPercent == 100)
    }

    /// A share of the load and of the limits is worth something only while others have the rest.
    @Test func aRampEndsWhenNobodyElseHasAWholeShare() {
        var script = GovernorScript(count: 2, settings: Self.ramping)
        script.fail(0)
        script.pass(0)
        #expect(script.governor.standing(at: 0).rampPercent == 10)
        script.fail(1)
        #expect(script.picture == "su")
        #expect(script.governor.standing(at: 0).rampPercent == 100)
        script.pass(1)
        #expect(script.governor.standing(at: 1).rampPercent == 10)
    }

    @Test func whoWasExcusedHasItsWholeShare() {
        var settings = GovernorSettings.guarded
        settings.slowStart = SlowStartSettings()
        var script = GovernorScript(count: 5, settings: settings)
        for index in 0..<3 { script.fail(index) }
        for index in 0..<3 { script.pass(index) }
        #expect((0..<5).allSatisfy { script.governor.standing(at: $0).rampPercent == 100 })
    }
}
