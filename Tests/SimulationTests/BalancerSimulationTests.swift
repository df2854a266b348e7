// SPDX-License-Identifier: Apache-2.0
//
// Pools under seeded faults. TANDEM_BALANCER_SEEDS sets how many seeds run (12 by default),
// TANDEM_BALANCER_SEED runs one alone and prints what happened.

import Testing

@Suite("Simulated pools")
struct BalancerSimulationTests {
    private static let seedCount = SeedSelection.number("TANDEM_BALANCER_SEEDS") ?? 12
    private static let onlySeed = SeedSelection.number("TANDEM_BALANCER_SEED")
    private static let batchCount: UInt64 = 6

    @Test("A pool keeps its promises through hours of faults", arguments: 0..<batchCount)
    func promisesHold(batch: UInt64) {
        let seeds =
            Self.onlySeed.map { $0 % Self.batchCount == batch ? [$0] : [] }
            ?? Array(stride(from: batch, to: Self.seedCount, by: Int(Self.batchCount)))
        for seed in seeds {
            let simulation = BalancerSimulation(
                BalancerPlan(seed: seed), isTracing: Self.onlySeed != nil)
            let violations = simulation.run()
            #expect(
                violations.isEmpty,
                "seed \(seed): \(violations); replay: TANDEM_BALANCER_SEED=\(seed) swift test")
        }
    }
}
