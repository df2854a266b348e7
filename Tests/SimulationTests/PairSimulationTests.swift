// SPDX-License-Identifier: Apache-2.0
//
// The pair under seeded faults. TANDEM_SEEDS sets how many seeds run (2,000 by default),
// TANDEM_SEED runs one alone and prints what happened.

import Testing
import VRRPCore
import WireCore

#if canImport(Glibc)
    import Glibc
#endif

/// Seeds by environment.
enum SeedSelection {
    static func number(_ name: String) -> UInt64? {
        guard let value = unsafe getenv(name) else { return nil }
        return UInt64(unsafe String(cString: value))
    }

    static let seedCount = number("TANDEM_SEEDS") ?? 2_000
    static let onlySeed = number("TANDEM_SEED")

    /// Seeds come in batches so that the batches run in parallel.
    static let batchCount: UInt64 = 8

    static func seeds(ofBatch batch: UInt64) -> [UInt64] {
        if let onlySeed { return onlySeed % batchCount == batch ? [onlySeed] : [] }
        return stride(from: batch, to: seedCount, by: Int(batchCount)).map { $0 }
    }
}

@Suite("Simulated pair")
struct PairSimulationTests {
    /// Runs a plan; what was violated, with the way to see it again.
    private func expectPeace(_ plan: SimulationPlan) throws {
        let simulation = try PairSimulation(plan, isTracing: SeedSelection.onlySeed != nil)
        let violations = simulation.run()
        #expect(
            violations.isEmpty,
            "seed \(plan.seed): \(violations); replay: TANDEM_SEED=\(plan.seed) swift test")
    }

    @Test("Two nodes survive overlapping faults", arguments: 0..<SeedSelection.batchCount)
    func pairSurvivesFaults(batch: UInt64) throws {
        for seed in SeedSelection.seeds(ofBatch: batch) {
            try expectPeace(.chaotic(seed: seed, nodeCount: 2))
        }
    }

    @Test("Three nodes survive overlapping faults", arguments: 0..<SeedSelection.batchCount)
    func trioSurvivesFaults(batch: UInt64) throws {
        for seed in SeedSelection.seeds(ofBatch: batch) where seed % 4 == 1 {
            try expectPeace(.chaotic(seed: seed, nodeCount: 3))
        }
    }
}
