// SPDX-License-Identifier: Apache-2.0
//
// Goal: an entry that was acknowledged is on the other node, whatever connections, processes and
// the network do; nobody says it is in sync without being it; and when the faults end, both nodes
// have the same. Method: seeded runs of the real machines; a failing seed is in the message with
// how to replay it.

import ReplicationCore
import Testing
import WireCore

struct StateSimulationTests {
    private static let faultyTicks = 3_000
    private static let settlingTicks = 4_000

    /// A run takes longer than one of a cluster: the unit tests make do with two in each batch.
    private static let seedCount =
        SeedSelection.number("TANDEM_STATE_SEEDS") ?? 2 * SeedSelection.batchCount

    private static func seeds(ofBatch batch: UInt64) -> [UInt64] {
        let seeds = SeedSelection.seeds(ofBatch: batch)
        return Array(seeds.prefix(Int(max(1, seedCount / SeedSelection.batchCount))))
    }

    private struct Outcome {
        var acknowledged = 0
        var resumptions: UInt64 = 0
    }

    /// 15 s of faults and writes, then quiet until both nodes have everything.
    private func run(
        seed: UInt64, defect: StateSimulation.Defect = .none
    ) throws(StateViolation) -> Outcome {
        var run = StateSimulation(seed: seed)
        run.defect = defect
        var random = SeededGenerator(seed: ~seed)
        let writesPercent = [2, 20, 80].randomElement(using: &random) ?? 20
        let keys: UInt32 = [10, 100, 400].randomElement(using: &random) ?? 100
        // One fault in so many ticks.
        let calm = [30, 200, 1_000].randomElement(using: &random) ?? 200
        for _ in 0..<Self.faultyTicks {
            if Int.random(in: 0..<100, using: &random) < writesPercent {
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    run.write(on: Int.random(in: 0..<2, using: &random), keys: keys)
                }
            }
            if Int.random(in: 0..<calm, using: &random) == 0 {
                disturb(&run, &random)
            }
            for node in 0..<2 where run.processes[node] == nil {
                if Int.random(in: 0..<60, using: &random) == 0 { run.start(node) }
            }
            try run.step()
        }
        for node in 0..<2 where run.processes[node] == nil { run.start(node) }
        for _ in 0..<Self.settlingTicks {
            try run.step()
            if run.isSettled { break }
        }
        guard run.isSettled else {
            throw StateViolation(description: "the nodes never came in sync")
        }
        guard run.areTablesEqual else {
            throw StateViolation(description: "both are in sync and have different entries")
        }
        let resumptions = run.processes.reduce(0) { $0 + ($1?.feed.resumptionCount ?? 0) }
        return Outcome(acknowledged: run.acknowledgedCount, resumptions: resumptions)
    }

    private func disturb(_ run: inout StateSimulation, _ random: inout SeededGenerator) {
        let node = Int.random(in: 0..<2, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0: run.kill(node, isPowerLoss: false)
        case 1: run.kill(node, isPowerLoss: true)
        case 2: run.stall(node, for: random.span(upTo: .seconds(10)))
        case 3: run.stallNetwork(for: random.span(upTo: .seconds(3)))
        case 4:
            run.breakStream(0)
            run.breakStream(1)
        default: run.breakStream(node)
        }
    }

    @Test(arguments: 0..<SeedSelection.batchCount)
    func acknowledgedEntriesAreNeverLost(batch: UInt64) {
        var total = Outcome()
        for seed in Self.seeds(ofBatch: batch) {
            do throws(StateViolation) {
                let outcome = try run(seed: seed)
                total.acknowledged += outcome.acknowledged
                total.resumptions += outcome.resumptions
            } catch {
                Issue.record(
                    "seed \(seed): \(error); replay: TANDEM_SEED=\(seed) Tests/Simulation/run")
            }
        }
        // Runs in which nothing happens prove nothing.
        guard SeedSelection.onlySeed == nil, Self.seeds(ofBatch: batch).count > 1 else { return }
        #expect(total.acknowledged > 100 && total.resumptions > 0)
    }

    @Test(arguments: [
        StateSimulation.Defect.acknowledgesEarly, .announcesLess, .losesItems,
    ])
    func defectsAreFound(_ defect: StateSimulation.Defect) {
        let isFound = (0..<UInt64(30)).contains { seed in
            do throws(StateViolation) {
                _ = try run(seed: seed, defect: defect)
                return false
            } catch {
                return true
            }
        }
        #expect(isFound)
    }
}
