// SPDX-License-Identifier: Apache-2.0
//
// Goal: the policies keep the promises that only show under load: a backend that fails fast is no
// sink, a recovered one is not starved, a slow one gets its share and no more.
// Method: the seeded pool of PoolSimulation, ten backends, tens of thousands of requests.

import BalancerCore
import Testing
import WireCore

@Suite struct PoolSimulationTests {
    private static func run(
        _ policy: SelectionPolicy, backends: [SimulatedBackend], utilisation: Double,
        requests: Int = 30_000, seed: UInt64 = 1
    ) -> PoolSimulation.Outcome {
        var balancer = PoolBalancer(
            policy: policy, weights: [Int](repeating: 1, count: backends.count), seed: seed)
        var simulation = PoolSimulation(
            backends: backends, utilisation: utilisation, seed: seed &+ 100)
        return simulation.run(&balancer, requests: requests)
    }

    private static func pool(first: SimulatedBackend) -> [SimulatedBackend] {
        [first] + [SimulatedBackend](repeating: SimulatedBackend(), count: 9)
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func leastTimeIsNoSinkForABackendThatFailsFast(seed: UInt64) {
        let backends = Self.pool(first: SimulatedBackend(failsBetween: 0..<1e9))
        let outcome = Self.run(.leastTime, backends: backends, utilisation: 0.7, seed: seed)
        #expect(outcome.failures * 1_000 < outcome.latencies.count, "\(outcome.failures) failed")
    }

    /// The danger is real: without the penalty's protection the sink draws traffic.
    @Test func leastRequestsIsASinkForABackendThatFailsFast() {
        let backends = Self.pool(first: SimulatedBackend(failsBetween: 0..<1e9))
        let outcome = Self.run(.leastRequests, backends: backends, utilisation: 0.7)
        #expect(outcome.failures * 5 > outcome.latencies.count)
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func aRecoveredBackendIsNotStarved(seed: UInt64) throws {
        // 70 % of ten times 400 a second is 2,800 a second: 60,000 requests last 21 s.
        let backends = Self.pool(first: SimulatedBackend(failsBetween: 4..<9))
        let outcome = Self.run(
            .leastTime, backends: backends, utilisation: 0.7, requests: 60_000, seed: seed)
        let firstAfter = try #require(outcome.sentToFirst.first { $0 >= 9 })
        #expect(firstAfter < 13)
        // Half of the fair share at the least, once it is back for some seconds.
        let settled = outcome.sentToFirst.count { $0 >= 15 && $0 < 20 }
        #expect(settled > 280 * 5 / 2)
        #expect(outcome.failures < 60)
    }

    @Test func leastTimeBeatsLeastRequestsAndTurnsWhenBackendsDiffer() {
        let backends = (0..<10).map { SimulatedBackend(slowness: $0 < 2 ? 3 : 1) }
        let byTime = Self.run(.leastTime, backends: backends, utilisation: 0.85)
        let byCount = Self.run(.leastRequests, backends: backends, utilisation: 0.85)
        let byTurns = Self.run(.roundRobin, backends: backends, utilisation: 0.85)
        #expect(byTime.percentile(0.99) < byCount.percentile(0.99))
        #expect(byCount.percentile(0.99) < byTurns.percentile(0.99))
        // The slow ones get less than their third of the work, but are not starved.
        let slow = Double(byTime.served[0] + byTime.served[1]) / 2
        let fast = Double(byTime.served[2...].reduce(0, +)) / 8
        #expect((0.1...0.4).contains(slow / fast))
    }

    @Test(arguments: [SelectionPolicy.leastTime, .leastRequests, .random, .roundRobin])
    func equalBackendsGetEqualShares(policy: SelectionPolicy) {
        let outcome = Self.run(
            policy, backends: Self.pool(first: SimulatedBackend()), utilisation: 0.7)
        let fair = Double(outcome.latencies.count) / 10
        for served in outcome.served {
            #expect(abs(Double(served) / fair - 1) < 0.15)
        }
        #expect(outcome.failures == 0)
    }

    @Test func aRunReplaysFromItsSeed() {
        let backends = Self.pool(first: SimulatedBackend(slowness: 2))
        let one = Self.run(.leastTime, backends: backends, utilisation: 0.8, requests: 3_000)
        let two = Self.run(.leastTime, backends: backends, utilisation: 0.8, requests: 3_000)
        #expect(one.latencies == two.latencies)
        #expect(one.served == two.served)
    }
}
