// SPDX-License-Identifier: Apache-2.0
//
// Round robin: the exact order of smooth weighted turns, and who takes the turns of the absent.

import BalancerCore
import Testing
import WireCore

@Suite struct WeightedTurnsTests {
    private static let now = Instant(nanoseconds: 1)

    private static func picks(
        _ count: Int, weights: [Int], loads: ScriptedLoads? = nil,
        excluding attempted: AttemptedBackends = AttemptedBackends()
    ) -> [Int?] {
        var balancer = PoolBalancer.calm(.roundRobin, weights: weights)
        let loads = loads ?? ScriptedLoads(count: weights.count)
        balancer.obey(loads)
        return (0..<count).map { _ in
            balancer.pick(now, loads, excluding: attempted)
        }
    }

    /// The first row is the example of nginx's own commit message.
    @Test(arguments: [
        ([5, 1, 1], [0, 0, 1, 0, 2, 0, 0]),
        ([1, 1, 1], [0, 1, 2, 0, 1, 2, 0]),
        ([1, 2], [1, 0, 1, 1, 0, 1]),
        ([3, 2, 1], [0, 1, 0, 2, 1, 0]),
        ([4, 0, 1], [0, 0, 2, 0, 0]),
        ([7], [0, 0, 0]),
    ])
    func turnsComeInTheSmoothOrder(weights: [Int], expected: [Int]) {
        #expect(Self.picks(expected.count, weights: weights) == expected.map { $0 })
    }

    @Test func absentBackendsAreSkippedWithoutDistortingTheRest() {
        var loads = ScriptedLoads(count: 4)
        loads.available[1] = false
        #expect(Self.picks(6, weights: [1, 9, 1, 1], loads: loads) == [0, 2, 3, 0, 2, 3])
    }

    @Test func aTriedBackendIsNotChosenAgain() {
        var attempted = AttemptedBackends()
        attempted.insert(0)
        #expect(Self.picks(4, weights: [5, 1, 1], excluding: attempted) == [1, 2, 1, 2])
    }

    @Test func nothingIsChosenWhenNothingIsLeft() {
        var loads = ScriptedLoads(count: 2)
        loads.available = [false, false]
        #expect(Self.picks(1, weights: [1, 1], loads: loads) == [nil])
        #expect(Self.picks(1, weights: [0, 0]) == [nil])
        #expect(Self.picks(1, weights: []) == [nil])
        var attempted = AttemptedBackends()
        attempted.insert(0)
        attempted.insert(1)
        #expect(Self.picks(1, weights: [1, 1], excluding: attempted) == [nil])
    }

    @Test func changedWeightCountsFromTheNextRoundOn() {
        var balancer = PoolBalancer(policy: .roundRobin, weights: [1, 1], seed: 1)
        let loads = ScriptedLoads(count: 2)
        balancer.setWeight(3, at: 1)
        #expect(balancer.weight(at: 1) == 3)
        var counts = [0, 0]
        for _ in 0..<400 {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            counts[index] += 1
        }
        #expect(counts == [100, 300])
    }

    @Test func weightsOutOfRangeAreCut() {
        var balancer = PoolBalancer(policy: .roundRobin, weights: [-5, Int.max], seed: 1)
        #expect(balancer.weight(at: 0) == 0)
        #expect(balancer.weight(at: 1) == PoolBalancer.weightMax)
        balancer.setWeight(1, at: 7)
        #expect(balancer.weight(at: 7) == 0)
    }

    @Test func aLargePoolTakesTheSameTurns() {
        let weights = (0..<100).map { $0 == 3 ? 4 : 1 }
        var counts = [Int](repeating: 0, count: 100)
        for index in Self.picks(1_030, weights: weights).compactMap({ $0 }) { counts[index] += 1 }
        #expect(counts[3] == 40)
        #expect(counts.enumerated().allSatisfy { $0.offset == 3 || $0.element == 10 })
    }

    @Test func aReloadKeepsBackendsAndTakesNewOnes() {
        var balancer = PoolBalancer(policy: .leastTime, weights: [1, 1, 1], seed: 1)
        for index in 0..<3 {
            balancer.finished(
                index: index, latency: .milliseconds(UInt64(10 * (index + 1))), failed: false,
                now: Self.now)
        }
        balancer.reconfigure(
            policy: .roundRobin, weights: [2, 1], previousIndexes: [2, nil])
        #expect(balancer.policy == .roundRobin)
        #expect(balancer.backendCount == 2)
        #expect(balancer.averageLatency(at: 0, now: Self.now) == .milliseconds(30))
        #expect(balancer.averageLatency(at: 1, now: Self.now) == nil)
        #expect(balancer.averageLatency(at: 2, now: Self.now) == nil)
        let loads = ScriptedLoads(count: 2)
        let picks = (0..<3).map { _ in balancer.pick(Self.now, loads) }
        #expect(picks == [0, 1, 0])
    }
}
