// SPDX-License-Identifier: Apache-2.0
//
// Verdicts taken in together end where the same verdicts end one by one.

import BalancerCore
import Testing
import WireCore

@Suite struct GovernorTogetherTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    private static func governor(_ count: Int) -> PoolGovernor {
        PoolGovernor(
            backends: (0..<count).map { GovernedBackend(name: "be\($0)") },
            settings: GovernorSettings(), seed: 3, now: start)
    }

    @Test(arguments: [
        ProbeFailure.timedOut, .connectionRefused, .unexpectedStatus(500), .notServing(.unknown),
    ])
    func theEndIsTheSame(failure: ProbeFailure) {
        for failingCount in 0...8 {
            var single = Self.governor(8)
            var together = Self.governor(8)
            let now = Self.start + .seconds(1)
            for index in 0..<failingCount {
                _ = single.checkVerdict(index, .liveness, failure: failure, now: now)
            }
            let actions = together.together(now: now) { governor in
                for index in 0..<failingCount {
                    let none = governor.checkVerdict(index, .liveness, failure: failure, now: now)
                    #expect(none.isEmpty)
                }
            }
            for index in 0..<8 {
                #expect(together.standing(at: index) == single.standing(at: index))
                let told = actions.compactMap { action -> BackendStanding? in
                    guard case .standing(index, let standing) = action else { return nil }
                    return standing
                }
                #expect((told.last ?? BackendStanding()) == together.standing(at: index))
            }
            #expect(together.status(now: now) == single.status(now: now))
            #expect(together.nextDeadline == single.nextDeadline)
        }
    }

    @Test func passesAndForgottenChecksCountToo() {
        var governor = Self.governor(4)
        let now = Self.start + .seconds(1)
        _ = governor.checkVerdict(0, .liveness, failure: .timedOut, now: now)
        _ = governor.checkVerdict(1, .readiness, failure: .timedOut, now: now)
        #expect(governor.standing(at: 0).admission == .unhealthy)
        let actions = governor.together(now: now + .seconds(1)) { governor in
            _ = governor.checkVerdict(
                0, .liveness, failure: nil, now: now + .seconds(1))
            _ = governor.checkForgotten(1, .readiness, now: now + .seconds(1))
        }
        #expect(governor.standing(at: 0).admission == .serving)
        #expect(governor.standing(at: 1).admission == .serving)
        #expect(!actions.isEmpty)
        #expect(governor.together(now: now + .seconds(2)) { _ in }.isEmpty)
    }

    @Test(arguments: [10, 50, 100])
    func trafficEjectsAsManyAsOneByOne(percentMax: Int) {
        var settings = GovernorSettings.exact
        settings.outlier?.ejectedPercentMax = percentMax
        for failingCount in 0...20 {
            let backends = (0..<20).map { GovernedBackend(name: "be\($0)") }
            var single = PoolGovernor(
                backends: backends, settings: settings, seed: 3, now: Self.start)
            var together = single
            let now = Self.start + .seconds(1)
            for index in 0..<failingCount {
                _ = single.trafficFailed(index, .serverErrors(count: 5), now: now)
            }
            let actions = together.together(now: now) { governor in
                for index in 0..<failingCount {
                    _ = governor.trafficFailed(index, .serverErrors(count: 5), now: now)
                }
            }
            #expect(actions.isEmpty == (failingCount == 0))
            #expect(together.status(now: now) == single.status(now: now))
            for index in 0..<20 {
                #expect(together.standing(at: index) == single.standing(at: index))
            }
        }
    }
}
