// SPDX-License-Identifier: Apache-2.0
//
// Choices by key: a key stays, only keys of the absent move, the bound of load holds.

import BalancerCore
import Testing
import WireCore

@Suite struct HashChoiceTests {
    private static let now = Instant(nanoseconds: 1)
    private static let policies = [SelectionPolicy.maglev, .ringHash, .ipHash]

    private static func balancer(
        _ policy: SelectionPolicy, weights: [Int], bound: Int? = nil, seed: UInt64 = 1
    ) -> PoolBalancer {
        let names = weights.indices.map { "backend-\($0)" }
        return PoolBalancer(
            PoolShape(
                policy: policy, weights: weights, sharing: PoolSharing(panicPercent: 0),
                hashTable: policy == .ringHash
                    ? .ring(names: names, weights: weights)
                    : .maglev(names: names, weights: weights),
                loadBoundPercent: bound), seed: seed)
    }

    private static func homes(
        _ balancer: inout PoolBalancer, keys: Int,
        excluding attempted: AttemptedBackends = AttemptedBackends()
    ) -> [Int?] {
        let loads = ScriptedLoads(count: balancer.backendCount)
        return (0..<keys).map {
            balancer.pick(now, loads, excluding: attempted, key: UInt64($0))
        }
    }

    @Test(arguments: policies)
    func everyWorkerChoosesAlike(policy: SelectionPolicy) {
        var one = Self.balancer(policy, weights: [1, 2, 3], seed: 1)
        var two = Self.balancer(policy, weights: [1, 2, 3], seed: 99)
        #expect(Self.homes(&one, keys: 500) == Self.homes(&two, keys: 500))
    }

    @Test(arguments: policies)
    func onlyKeysOfTheAbsentMove(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, weights: [Int](repeating: 1, count: 10))
        let before = Self.homes(&balancer, keys: 10_000)
        for admission in BackendStanding.Admission.allCases where admission != .serving {
            balancer.setStanding(BackendStanding(admission: admission), at: 3)
            let after = Self.homes(&balancer, keys: 10_000)
            var taken = [Int](repeating: 0, count: 10)
            var movedCount = 0
            for (home, other) in zip(before, after) {
                if home == 3 {
                    if let other { taken[other] += 1 }
                } else if home != other {
                    movedCount += 1
                }
            }
            #expect(movedCount == 0)
            // Its keys are spread over all others, not over its neighbour alone.
            #expect(taken[3] == 0)
            #expect(taken.enumerated().allSatisfy { $0.offset == 3 || $0.element > 60 })
        }
        balancer.setStanding(BackendStanding(), at: 3)
        #expect(Self.homes(&balancer, keys: 10_000) == before)
    }

    @Test(arguments: policies)
    func aTriedBackendIsLeftForAnother(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, weights: [1, 1, 1, 1])
        let before = Self.homes(&balancer, keys: 1_000)
        var attempted = AttemptedBackends()
        attempted.insert(2)
        let after = Self.homes(&balancer, keys: 1_000, excluding: attempted)
        #expect(!after.contains(2))
        #expect(zip(before, after).allSatisfy { $0 == 2 || $0 == $1 })
    }

    @Test(arguments: policies)
    func theLastOneTakesEveryKey(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, weights: [Int](repeating: 1, count: 1_000))
        balancer.setStandings(
            (0..<1_000).map { BackendStanding(admission: $0 == 700 ? .serving : .unhealthy) })
        #expect(Set(Self.homes(&balancer, keys: 50)) == [700])
        balancer.setStanding(BackendStanding(admission: .unhealthy), at: 700)
        #expect(Set(Self.homes(&balancer, keys: 5)) == [nil])
    }

    @Test func weightsAtRunTimeAreRespectedAndMoveFewKeys() {
        var balancer = Self.balancer(.maglev, weights: [4, 4, 4, 4, 4])
        let keys = 100_000
        let before = Self.homes(&balancer, keys: keys)
        balancer.setStanding(BackendStanding(weight: 1), at: 1)
        balancer.setStanding(BackendStanding(weight: 4, rampPercent: 50), at: 2)
        balancer.setStanding(BackendStanding(weight: 0), at: 3)
        let after = Self.homes(&balancer, keys: keys)
        // 4 + 1 + 2 + 0 + 4 = 11
        for (index, share) in [4.0, 1, 2, 0, 4].enumerated() {
            let count = Double(after.count { $0 == index })
            #expect(abs(count - share / 11 * Double(keys)) < 0.02 * Double(keys))
        }
        let stayed = zip(before, after).count { ($0 == 0 || $0 == 4) && $0 == $1 }
        #expect(stayed == before.count { $0 == 0 || $0 == 4 })
    }

    @Test func moreWeightAtRunTimeIsRespected() {
        var balancer = Self.balancer(.maglev, weights: [1, 1, 1])
        balancer.setStanding(BackendStanding(weight: 2), at: 0)
        let after = Self.homes(&balancer, keys: 60_000)
        #expect(abs(Double(after.count { $0 == 0 }) / 30_000 - 1) < 0.02)
        #expect(abs(Double(after.count { $0 == 1 }) / 15_000 - 1) < 0.03)
    }

    // MARK: Bounded load

    @Test(
        arguments: [SelectionPolicy.maglev, .ringHash], [[1, 1, 1, 1], [1, 2, 3, 10], [5, 1, 1]])
    func nobodyIsAboveTheBound(policy: SelectionPolicy, weights: [Int]) {
        var balancer = Self.balancer(policy, weights: weights, bound: 125)
        var loads = ScriptedLoads(count: weights.count)
        var generator = SeededGenerator(seed: 7)
        let whole = Double(weights.reduce(0, +))
        var open: [Int] = []
        for number in 0..<4_000 {
            // One key in two is the same hot one.
            let key = number % 2 == 0 ? 42 : generator.next()
            guard let index = balancer.pick(Self.now, loads, key: key) else {
                Issue.record("nobody below the bound")
                return
            }
            loads.inFlight[index] += 1
            open.append(index)
            let total = Double(loads.inFlight.reduce(0, +))
            let bound = (1.25 * total * Double(weights[index]) / whole).rounded(.up)
            if Double(loads.inFlight[index]) > bound {
                Issue.record("\(loads.inFlight[index]) of \(total), \(bound) allowed")
            }
            if open.count > 300 {
                loads.inFlight[open.remove(at: Int(generator.next() % 300))] -= 1
            }
        }
    }

    @Test func ipHashHasNoBound() {
        var balancer = Self.balancer(.ipHash, weights: [1, 1, 1, 1], bound: 125)
        var loads = ScriptedLoads(count: 4)
        let home = balancer.pick(Self.now, loads, key: 5)
        for _ in 0..<100 {
            #expect(balancer.pick(Self.now, loads, key: 5) == home)
            if let home { loads.inFlight[home] += 1 }
        }
    }

    /// Loads with a counter for the whole pool.
    private struct CountedLoads: BackendLoads {
        var loads: ScriptedLoads
        var total: Int

        func requestsInFlight(at index: Int) -> Int { loads.requestsInFlight(at: index) }
        func isAtLimit(at index: Int) -> Bool { false }
        func requestsInFlightInPool() -> Int? { total }
    }

    @Test func aLargePoolWithACounterKeepsTheBound() {
        let count = 300
        var balancer = Self.balancer(
            .maglev, weights: [Int](repeating: 1, count: count), bound: 150)
        var loads = CountedLoads(loads: ScriptedLoads(count: count), total: 0)
        for number in 0..<3_000 {
            let key = UInt64(number % 3)
            guard
                let index = balancer.choose(now: Self.now, loads: loads, key: key).index
            else { continue }
            loads.loads.inFlight[index] += 1
            loads.total += 1
            let bound = (1.5 * Double(loads.total) / Double(count)).rounded(.up)
            #expect(Double(loads.loads.inFlight[index]) <= bound)
        }
        #expect(loads.total == 3_000)
    }

    @Test func aLargePoolWithoutACounterIsNearTheBound() {
        let count = 100
        var balancer = Self.balancer(
            .maglev, weights: [Int](repeating: 1, count: count), bound: 125)
        var loads = ScriptedLoads(count: count)
        for _ in 0..<10_000 {
            guard let index = balancer.pick(Self.now, loads, key: 1) else { continue }
            loads.inFlight[index] += 1
        }
        // What is added up may be 64 choices old.
        #expect((loads.inFlight.max() ?? 0) <= 126)
    }

    @Test func theBoundGivesWayBeforeARequestIsLost() {
        var balancer = Self.balancer(.maglev, weights: [1, 1], bound: 125)
        var loads = ScriptedLoads(inFlight: [0, 9])
        var attempted = AttemptedBackends()
        attempted.insert(0)
        let choice = balancer.choose(now: Self.now, loads: loads, excluding: attempted, key: 1)
        #expect(choice == .chosen(1))
        loads.limits[1] = 9
        let full = balancer.choose(now: Self.now, loads: loads, excluding: attempted, key: 1)
        #expect(full == .allAtLimit)
    }

    @Test func withoutAKeyKeysAreDrawn() {
        var balancer = Self.balancer(.maglev, weights: [1, 1, 1])
        let loads = ScriptedLoads(count: 3)
        #expect(Set((0..<60).compactMap { _ in balancer.pick(Self.now, loads) }) == [0, 1, 2])
    }

    @Test(arguments: policies)
    func withoutATableTheDrawIsRandom(policy: SelectionPolicy) {
        var balancer = PoolBalancer(policy: policy, weights: [1, 1, 1], seed: 1)
        let loads = ScriptedLoads(count: 3)
        let chosen = Set((0..<60).compactMap { _ in balancer.pick(Self.now, loads, key: 1) })
        #expect(chosen == [0, 1, 2])
    }
}
