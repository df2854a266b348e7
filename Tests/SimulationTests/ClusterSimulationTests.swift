// SPDX-License-Identifier: Apache-2.0
//
// Clusters of two to five nodes under seeded faults. TANDEM_SEEDS sets how many seeds run,
// TANDEM_SEED runs one alone and prints what happened. Tests/Simulation/run runs 10,000 optimised.

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

    static let seedCount = number("TANDEM_SEEDS") ?? 100
    static let firstSeed = number("TANDEM_FIRST_SEED") ?? 0
    static let onlySeed = number("TANDEM_SEED")

    /// Seeds come in batches so that the batches run in parallel.
    static let batchCount: UInt64 = 8

    static func seeds(ofBatch batch: UInt64) -> [UInt64] {
        if let onlySeed { return onlySeed % batchCount == batch ? [onlySeed] : [] }
        return stride(from: firstSeed + batch, to: firstSeed + seedCount, by: Int(batchCount))
            .map { $0 }
    }
}

@Suite("Simulated clusters")
struct ClusterSimulationTests {
    @Test("Two to five nodes survive overlapping faults", arguments: 0..<SeedSelection.batchCount)
    func clusterSurvivesFaults(batch: UInt64) throws {
        for seed in SeedSelection.seeds(ofBatch: batch) {
            let plan = SimulationPlan.chaotic(seed: seed)
            let simulation = try ClusterSimulation(
                plan, isTracing: SeedSelection.onlySeed != nil)
            let violations = simulation.run()
            #expect(
                violations.isEmpty,
                "seed \(seed): \(violations); replay: TANDEM_SEED=\(seed) Tests/Simulation/run")
        }
    }

    @Test("A driver that breaks a rule is found", arguments: DriverDefect.allCases)
    func defectsAreFound(defect: DriverDefect) throws {
        for seed in UInt64(0)..<300 {
            var plan = SimulationPlan.chaotic(seed: seed)
            plan.defect = defect
            if try !ClusterSimulation(plan).run().isEmpty { return }
        }
        Issue.record("nothing is wrong with a driver that \(defect)")
    }
}
