// SPDX-License-Identifier: Apache-2.0
//
// Choices in pools with groups: shares are drawn, and what has no room spills to the next group.

import BalancerCore
import Testing
import WireCore

@Suite struct SpillTests {
    private static let now = Instant(nanoseconds: 1)

    /// Backends of the own zone, of zone 1, and of priority 1.
    private static func balancer(
        _ policy: SelectionPolicy, local: Int, remote: Int, backup: Int
    ) -> PoolBalancer {
        let placements =
            [BackendPlacement](repeating: BackendPlacement(), count: local)
            + [BackendPlacement](repeating: BackendPlacement(zoneIndex: 1), count: remote)
            + [BackendPlacement](repeating: BackendPlacement(priority: 1), count: backup)
        let weights = [Int](repeating: 1, count: placements.count)
        let names = placements.indices.map { "b\($0)" }
        return PoolBalancer(
            PoolShape(
                policy: policy, weights: weights, placements: placements,
                hashTable: policy.usesHash ? .maglev(names: names, weights: weights) : nil),
            seed: 4)
    }

    @Test(arguments: SelectionPolicy.allCases)
    func aZoneAtItsLimitSpills(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, local: 2, remote: 2, backup: 1)
        var loads = ScriptedLoads(count: 5)
        loads.limits = [3, 3, 3, 3, 3]
        for number in 0..<15 {
            guard let index = balancer.pick(Self.now, loads, key: UInt64(number)) else {
                Issue.record("nobody although \(15 - number) places are free")
                return
            }
            // The own zone first, then the other one, the backup last.
            switch number {
            case 0..<6: #expect(index < 2)
            case 6..<12: #expect((2..<4).contains(index))
            default: #expect(index == 4)
            }
            loads.inFlight[index] += 1
        }
        #expect(balancer.choose(now: Self.now, loads: loads, key: 1) == .allAtLimit)
    }

    @Test(arguments: SelectionPolicy.allCases)
    func whoWasTriedEverywhereFindsNobody(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, local: 1, remote: 1, backup: 1)
        var loads = ScriptedLoads(count: 3)
        var attempted = AttemptedBackends()
        var order: [Int] = []
        while let index = balancer.pick(Self.now, loads, excluding: attempted, key: 9) {
            order.append(index)
            attempted.insert(index)
        }
        #expect(order == [0, 1, 2])
        #expect(
            balancer.choose(now: Self.now, loads: loads, excluding: attempted, key: 9)
                == .noneAvailable)
        // One that is at its limit was not tried: waiting for it may help.
        var some = AttemptedBackends()
        some.insert(0)
        some.insert(1)
        loads.limits[2] = 0
        #expect(
            balancer.choose(now: Self.now, loads: loads, excluding: some, key: 9) == .allAtLimit)
    }

    @Test(arguments: [SelectionPolicy.roundRobin, .leastTime, .random, .maglev])
    func sharesAreDrawnWithinTwoPercent(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, local: 5, remote: 5, backup: 0)
        for index in [0, 1] {
            balancer.setStanding(BackendStanding(admission: .unhealthy), at: index)
        }
        #expect(balancer.view.groups.map(\.shareBasisPoints) == [8_400, 1_600])
        let loads = ScriptedLoads(count: 10)
        var localCount = 0
        let draws = 100_000
        for number in 0..<draws {
            guard let index = balancer.pick(Self.now, loads, key: UInt64(number)) else { continue }
            if index < 5 { localCount += 1 }
        }
        #expect(abs(Double(localCount) / Double(draws) / 0.84 - 1) < 0.02)
    }

    @Test func aKeyStaysInItsGroup() {
        var balancer = Self.balancer(.maglev, local: 5, remote: 5, backup: 0)
        for index in [0, 1] {
            balancer.setStanding(BackendStanding(admission: .unhealthy), at: index)
        }
        let loads = ScriptedLoads(count: 10)
        for key in UInt64(0)..<300 {
            let first = balancer.pick(Self.now, loads, key: key)
            #expect((0..<5).allSatisfy { _ in balancer.pick(Self.now, loads, key: key) == first })
        }
    }

    @Test func spillGoesToTheOtherZonesByTheirWeight() {
        let placements = (0..<7).map { BackendPlacement(zoneIndex: $0 == 0 ? 0 : $0 < 5 ? 1 : 2) }
        var balancer = PoolBalancer(
            PoolShape(
                policy: .random, weights: [Int](repeating: 1, count: 7), placements: placements),
            seed: 1)
        var loads = ScriptedLoads(count: 7)
        loads.limits[0] = 0
        var counts = [0, 0, 0]
        for _ in 0..<60_000 {
            guard let index = balancer.pick(Self.now, loads) else { continue }
            counts[placements[index].zoneIndex] += 1
        }
        #expect(counts[0] == 0)
        #expect(abs(Double(counts[1]) / 40_000 - 1) < 0.02)
        #expect(abs(Double(counts[2]) / 20_000 - 1) < 0.03)
    }

    @Test(arguments: [SelectionPolicy.roundRobin, .leastRequests, .random, .leastTime, .maglev])
    func theOnlyOneWithRoomOfAThousandIsFound(policy: SelectionPolicy) {
        var balancer = Self.balancer(policy, local: 1_000, remote: 0, backup: 0)
        var loads = ScriptedLoads(count: 1_000)
        loads.limits = [Int](repeating: 0, count: 1_000)
        #expect(balancer.choose(now: Self.now, loads: loads, key: 3) == .allAtLimit)
        loads.limits[421] = 1
        #expect(balancer.choose(now: Self.now, loads: loads, key: 3) == .chosen(421))
        #expect(balancer.choose(now: Self.now, loads: loads, key: 4) == .chosen(421))
    }

    @Test func whoHadNoRoomIsNextInTurn() {
        var balancer = Self.balancer(.roundRobin, local: 100, remote: 0, backup: 0)
        var loads = ScriptedLoads(count: 100)
        loads.limits[0] = 0
        let passed = (0..<3).map { _ in balancer.pick(Self.now, loads) }
        #expect(passed == [1, 2, 3])
        loads.limits[0] = .max
        #expect(balancer.pick(Self.now, loads) == 0)
        #expect(balancer.pick(Self.now, loads) == 4)
    }
}
