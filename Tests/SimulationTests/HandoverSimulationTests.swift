// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever fails in the middle of a planned switchover, one node serves and nothing of it
// stays. Method: seeded runs of two real machines; a failing seed is in the message and replays.

import ReplicationCore
import Testing
import WireCore

struct HandoverSimulationTests {
    private static let caseCount: UInt64 = 8
    private static let seedsPerCase: UInt64 = 250

    @Test func withoutFaultsNothingIsLostAndNobodyIsDoubled() throws {
        for seed in 0..<20 {
            var run = HandoverSimulation(seed: UInt64(seed), faultCountMax: 0)
            try run.run()
            #expect(run.twoHoldersLongest == .zero, "seed \(seed)")
            #expect(run.nobodyLongest <= .milliseconds(2), "seed \(seed)")
            #expect(!run.nodes[0].isActive && run.nodes[1].isActive, "seed \(seed)")
            guard case .finished(let connections, _) = run.nodes[0].reports.last else {
                Issue.record("seed \(seed): \(run.nodes[0].reports)")
                continue
            }
            #expect(connections == HandoverConnections(ended: 1, cut: 0), "seed \(seed)")
        }
    }

    @Test(arguments: 0..<caseCount)
    func whateverFailsOneServesAndNothingStays(part: UInt64) {
        for seed in part * Self.seedsPerCase..<(part + 1) * Self.seedsPerCase {
            var run = HandoverSimulation(seed: seed, faultCountMax: 3)
            do throws(HandoverViolation) {
                try run.run()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
    }
}
