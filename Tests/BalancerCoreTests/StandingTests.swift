// SPDX-License-Identifier: Apache-2.0
//
// Standings as words, and what a balancer makes of them: weights at run time, ramps, trials,
// clients that stick.

import BalancerCore
import Testing
import WireCore

@Suite struct StandingTests {
    private static let now = Instant(nanoseconds: 1)

    @Test(arguments: BackendStanding.Admission.allCases, [UInt16(0), 1, 256, .max])
    func aStandingSurvivesItsWord(admission: BackendStanding.Admission, weight: UInt16) {
        for ramp in [UInt8(1), 10, 100] {
            let standing = BackendStanding(
                admission: admission, weight: weight, rampPercent: ramp)
            #expect(BackendStanding(rawValue: standing.rawValue) == standing)
        }
    }

    @Test func wordsThatNobodyWroteAreSafe() {
        #expect(BackendStanding(rawValue: .max).admission == .maintenance)
        #expect(BackendStanding(rawValue: 0x7700_0001).admission == .maintenance)
        #expect(BackendStanding(rawValue: 0x0000_0005).effectiveWeight == 5)
        #expect(BackendStanding(rawValue: 0x00FF_0005).effectiveWeight == 500)
        // The word is a contract between threads, and shown in no place where it could change.
        #expect(BackendStanding(admission: .draining, weight: 2).rawValue == 0x0364_0002)
    }

    private static func counts(
        _ policy: SelectionPolicy, _ standings: [BackendStanding], draws: Int
    ) -> [Int] {
        var balancer = PoolBalancer.calm(policy, weights: standings.map { _ in 1 })
        balancer.setStandings(standings)
        let loads = ScriptedLoads(count: standings.count)
        var counts = [Int](repeating: 0, count: standings.count)
        for _ in 0..<draws {
            guard let index = balancer.pick(now, loads) else { continue }
            counts[index] += 1
        }
        return counts
    }

    @Test(arguments: [SelectionPolicy.roundRobin, .leastRequests, .random])
    func weightsAndRampsAreRespectedWithinTwoPercent(policy: SelectionPolicy) {
        let standings = [
            BackendStanding(weight: 1), BackendStanding(weight: 3),
            BackendStanding(weight: 10, rampPercent: 10),
            BackendStanding(weight: 256, rampPercent: 1), BackendStanding(weight: 0),
            BackendStanding(admission: .draining, weight: 9),
        ]
        // 1 + 3 + 1 + 2.56 = 7.56
        let draws = 151_200
        let counts = Self.counts(policy, standings, draws: draws)
        for (index, expected) in [20_000, 60_000, 20_000, 51_200].enumerated() {
            #expect(abs(Double(counts[index]) / Double(expected) - 1) < 0.02)
        }
        #expect(counts[4] == 0)
        #expect(counts[5] == 0)
    }

    @Test(arguments: [SelectionPolicy.leastRequests, .leastTime])
    func openRequestsSettleAtTheRampedWeights(policy: SelectionPolicy) {
        var balancer = PoolBalancer.calm(policy, weights: [1, 1, 1])
        balancer.setStanding(BackendStanding(weight: 1, rampPercent: 10), at: 2)
        var loads = ScriptedLoads(count: 3)
        for _ in 0..<2_100 {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            loads.inFlight[index] += 1
        }
        #expect(abs(loads.inFlight[0] - 1_000) <= 10)
        #expect(abs(loads.inFlight[2] - 100) <= 10)
    }

    @Test func turnsOfALargePoolRespectWeightsAcrossChanges() {
        let count = 200
        var balancer = PoolBalancer.calm(
            .roundRobin, weights: [Int](repeating: 2, count: count))
        let loads = ScriptedLoads(count: count)
        var standings = [BackendStanding](
            repeating: BackendStanding(weight: 2), count: count)
        standings[7].weight = 20
        standings[9].rampPercent = 50
        standings[11].admission = .unhealthy
        balancer.setStandings(standings)
        var counts = [Int](repeating: 0, count: count)
        // A cycle: 197 of weight 2, one of 20, one of 1.
        let cycle = 197 * 2 + 20 + 1
        for number in 0..<cycle * 20 {
            // Changes in between that concern nobody here must not cost anybody's turn.
            if number % 100 == 0 { balancer.setStandings(standings) }
            guard let index = balancer.pick(Self.now, loads) else { continue }
            counts[index] += 1
        }
        #expect(abs(counts[7] - 400) <= 8)
        #expect(abs(counts[9] - 20) <= 1)
        #expect(counts[11] == 0)
        #expect(
            counts.enumerated().allSatisfy {
                [7, 9, 11].contains($0.offset) || abs($0.element - 40) <= 1
            })
    }

    @Test func trialsAreListedAndNeverChosen() {
        var balancer = PoolBalancer.calm(.leastRequests, weights: [1, 1, 1, 1])
        #expect(balancer.trialCount == 0)
        balancer.setStanding(BackendStanding(admission: .trial), at: 1)
        balancer.setStanding(BackendStanding(admission: .trial), at: 3)
        #expect(balancer.trialCount == 2)
        #expect([balancer.trialIndex(at: 0), balancer.trialIndex(at: 1)] == [1, 3])
        let loads = ScriptedLoads(count: 4)
        let chosen = Set((0..<20).compactMap { _ in balancer.pick(Self.now, loads) })
        #expect(chosen == [0, 2])
        balancer.setStanding(BackendStanding(), at: 1)
        #expect(balancer.trialCount == 1)
        #expect(Set((0..<20).compactMap { _ in balancer.pick(Self.now, loads) }) == [0, 1, 2])
    }

    @Test func inPanicATrialIsServedAndNoTrial() {
        var balancer = PoolBalancer(policy: .roundRobin, weights: [1, 1, 1], seed: 1)
        for index in 0..<3 {
            balancer.setStanding(BackendStanding(admission: .trial), at: index)
        }
        #expect(balancer.isPanicking)
        #expect(balancer.trialCount == 0)
        let loads = ScriptedLoads(count: 3)
        #expect(Set((0..<6).compactMap { _ in balancer.pick(Self.now, loads) }) == [0, 1, 2])
    }

    @Test func onlyTrialsIsNobody() {
        var balancer = PoolBalancer.calm(.leastTime, weights: [1])
        balancer.setStanding(BackendStanding(admission: .trial), at: 0)
        let loads = ScriptedLoads(count: 1)
        #expect(balancer.choose(now: Self.now, loads: loads) == .noneAvailable)
    }

    @Test(arguments: [
        // admission, weight, in panic, while draining, admitted
        (BackendStanding.Admission.serving, UInt16(1), false, false, true),
        (.serving, 0, false, false, true),
        (.draining, 1, false, true, true),
        (.draining, 1, false, false, false),
        (.draining, 1, true, true, true),
        (.maintenance, 1, false, true, false),
        (.maintenance, 1, true, true, false),
        (.unhealthy, 1, false, true, false),
        (.unhealthy, 1, true, true, true),
        (.trial, 1, false, true, false),
    ])
    func whoSticksIsAdmitted(
        admission: BackendStanding.Admission, weight: UInt16, panics: Bool, draining: Bool,
        expected: Bool
    ) {
        var balancer = PoolBalancer(policy: .leastTime, weights: [1, 1, 1, 1], seed: 1)
        if panics {
            for index in 1..<4 {
                balancer.setStanding(BackendStanding(admission: .unhealthy), at: index)
            }
        }
        balancer.setStanding(BackendStanding(admission: admission, weight: weight), at: 0)
        #expect(balancer.admitsPersistent(at: 0, whileDraining: draining) == expected)
        #expect(!balancer.admitsPersistent(at: 4, whileDraining: true))
        #expect(!balancer.admitsPersistent(at: -1, whileDraining: true))
    }

    @Test func aReloadKeepsVerdictsAndTakesNewWeights() {
        var balancer = PoolBalancer.calm(.roundRobin, weights: [1, 1, 1])
        balancer.setStanding(BackendStanding(admission: .draining, weight: 7), at: 1)
        balancer.reconfigure(
            PoolShape(policy: .roundRobin, weights: [2, 3]), previousIndexes: [1, nil])
        #expect(balancer.standing(at: 0) == BackendStanding(admission: .draining, weight: 2))
        #expect(balancer.standing(at: 1) == BackendStanding(weight: 3))
        #expect(balancer.standing(at: 2).admission == .maintenance)
    }
}
