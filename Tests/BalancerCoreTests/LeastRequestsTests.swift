// SPDX-License-Identifier: Apache-2.0
//
// Least requests and two random choices: who is chosen under which load, and in which proportion.

import BalancerCore
import Testing
import WireCore

@Suite struct LeastRequestsTests {
    private static let now = Instant(nanoseconds: 1)

    @Test(arguments: [
        // in flight, weights, chosen
        ([3, 2, 4], [1, 1, 1], 1),
        ([0, 1, 1], [1, 1, 1], 0),
        ([9, 9, 8], [1, 1, 1], 2),
        // 4/4 = 1 is less than 3/2 and 2/1.
        ([4, 3, 2], [4, 2, 1], 0),
        // 5/4 against 1/1.
        ([5, 1], [4, 1], 1),
        // A weight of 0 takes part in nothing.
        ([0, 7], [0, 1], 1),
        ([2_000_000_000, 1_999_999_999], [65_536, 65_536], 1),
        // Counters seen in the middle of a change neither attract nor trap.
        ([1, -7], [1, 1], 1),
        ([Int.max, 5], [1, 65_536], 1),
        ([5, Int.min], [65_536, 1], 1),
    ])
    func theSmallestShareIsChosen(inFlight: [Int], weights: [Int], expected: Int) {
        var balancer = PoolBalancer(policy: .leastRequests, weights: weights, seed: 1)
        let loads = ScriptedLoads(inFlight: inFlight)
        for _ in 0..<5 {
            #expect(balancer.pick(Self.now, loads) == expected)
        }
    }

    @Test func tiesTakeWeightedTurns() {
        var balancer = PoolBalancer(policy: .leastRequests, weights: [5, 1, 1], seed: 1)
        let loads = ScriptedLoads(count: 3)
        let picks = (0..<7).map { _ in balancer.pick(Self.now, loads) }
        #expect(picks == [0, 0, 1, 0, 2, 0, 0])
    }

    @Test func openRequestsSettleAtTheWeights() {
        var balancer = PoolBalancer(policy: .leastRequests, weights: [4, 2, 1, 1], seed: 1)
        var loads = ScriptedLoads(count: 4)
        for _ in 0..<800 {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            loads.inFlight[index] += 1
        }
        #expect(loads.inFlight == [400, 200, 100, 100])
    }

    @Test func theLeastLoadedIsAlwaysChosenAmongEquals() {
        var balancer = PoolBalancer(
            policy: .leastRequests, weights: [Int](repeating: 1, count: 64), seed: 1)
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<500 {
            let loads = ScriptedLoads(
                inFlight: (0..<64).map { _ in Int.random(in: 0...50, using: &generator) })
            let index = balancer.pick(Self.now, loads)
            #expect(index.map { loads.inFlight[$0] } == loads.inFlight.min())
        }
    }
}

@Suite struct TwoRandomChoicesTests {
    private static let now = Instant(nanoseconds: 1)

    @Test func theMostLoadedBackendIsNeverChosen() {
        var balancer = PoolBalancer(policy: .random, weights: [1, 1, 1, 1], seed: 3)
        let loads = ScriptedLoads(inFlight: [1, 2, 3, 9])
        var counts = [0, 0, 0, 0]
        for _ in 0..<6_000 {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            counts[index] += 1
        }
        // Of the six pairs, backend 0 wins three, 1 wins two, 2 wins one.
        #expect(counts[3] == 0)
        #expect(abs(counts[0] - 3_000) < 150)
        #expect(abs(counts[1] - 2_000) < 150)
        #expect(abs(counts[2] - 1_000) < 150)
    }

    /// 100 backends are beyond the full scan: the draw takes another path there.
    @Test(arguments: [4, 100])
    func weightsAreRespectedWithinTwoPercent(count: Int) {
        let weights = (0..<count).map { $0 % 4 + 1 }
        let total = weights.reduce(0, +)
        var balancer = PoolBalancer(policy: .random, weights: weights, seed: 11)
        let loads = ScriptedLoads(count: count)
        let draws = 200_000
        var byWeight = [Int](repeating: 0, count: 5)
        for _ in 0..<draws {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            byWeight[weights[index]] += 1
        }
        for weight in 1...4 {
            let backends = weights.count { $0 == weight }
            let expected = Double(draws * weight * backends) / Double(total)
            #expect(abs(Double(byWeight[weight]) - expected) < 0.02 * Double(draws))
            #expect(abs(Double(byWeight[weight]) / expected - 1) < 0.02)
        }
    }

    @Test(arguments: [SelectionPolicy.leastRequests, .random, .leastTime])
    func theOnlyAvailableOfAThousandIsFound(policy: SelectionPolicy) {
        var balancer = PoolBalancer.calm(policy, weights: [Int](repeating: 1, count: 1_000))
        var loads = ScriptedLoads(count: 1_000)
        loads.available = [Bool](repeating: false, count: 1_000)
        balancer.obey(loads)
        #expect(balancer.pick(Self.now, loads) == nil)
        loads.available[777] = true
        balancer.obey(loads)
        #expect(balancer.pick(Self.now, loads) == 777)
        var attempted = AttemptedBackends()
        attempted.insert(777)
        #expect(balancer.pick(Self.now, loads, excluding: attempted) == nil)
    }

    @Test(arguments: [SelectionPolicy.leastRequests, .random, .leastTime])
    func aLargePoolIsLoadedEvenly(policy: SelectionPolicy) {
        var balancer = PoolBalancer(
            policy: policy, weights: [Int](repeating: 1, count: 200), seed: 5)
        var loads = ScriptedLoads(count: 200)
        for _ in 0..<10_000 {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            loads.inFlight[index] += 1
        }
        // Two choices keep the excess over the mean of 50 at O(log log n).
        #expect((loads.inFlight.max() ?? 0) <= 54)
        #expect((loads.inFlight.min() ?? 0) >= 40)
    }
}

@Suite struct AttemptedBackendsTests {
    @Test func remembersEachBackendOnceUpToItsCapacity() {
        var attempted = AttemptedBackends()
        #expect(attempted.isEmpty)
        let accepted = [70_000, 70_000, 0, 63, 64, 5].map { attempted.insert($0) }
        #expect(accepted == [true, true, true, true, true, false])
        #expect(attempted.count == AttemptedBackends.capacity)
        #expect(attempted.isFull)
        #expect([70_000, 0, 63, 64].allSatisfy { attempted.contains($0) })
        #expect(!attempted.contains(5))
        #expect(!attempted.contains(1))
    }

    @Test func refusesWhatCannotBeAnIndex() {
        var attempted = AttemptedBackends()
        let accepted = [-1, Int.min, Int.max].map { attempted.insert($0) }
        #expect(accepted == [false, false, false])
        #expect(!attempted.contains(-1))
        #expect(attempted.isEmpty)
    }
}
