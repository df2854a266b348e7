// SPDX-License-Identifier: Apache-2.0
//
// What one choice costs. Prints a table when TANDEM_BENCH is set; only a release build counts.

import BalancerCore
import Glibc
import Testing
import WireCore

@Suite struct ChooseBenchmark {
    private static let isWanted = unsafe getenv("TANDEM_BENCH") != nil

    /// Loads in stable memory, as a worker keeps them.
    private struct PointerLoads: BackendLoads {
        let inFlight: UnsafeMutablePointer<Int>

        func requestsInFlight(at index: Int) -> Int { unsafe inFlight[index] }
        func isAtLimit(at index: Int) -> Bool { unsafe inFlight[index] < 0 }
    }

    @Test(
        .enabled(if: isWanted), .serialized,
        arguments: SelectionPolicy.allCases, [10, 64, 1_000, 10_000])
    func nanosecondsPerChoice(policy: SelectionPolicy, count: Int) {
        var balancer = PoolBalancer(
            policy: policy, weights: [Int](repeating: 1, count: count), seed: 1)
        let memory = UnsafeMutablePointer<Int>.allocate(capacity: count)
        defer { unsafe memory.deallocate() }
        for index in 0..<count { unsafe memory[index] = index % 4 }
        for index in 0..<count {
            balancer.finished(
                index: index, latency: .milliseconds(UInt64(10 + index % 7)), failed: false,
                now: Instant(nanoseconds: 1))
        }
        let loads = unsafe PointerLoads(inFlight: memory)
        let rounds = count > 1_000 ? 20_000 : 500_000
        var now = Instant(nanoseconds: 2)
        var chosenCount = 0
        let start = clock()
        for _ in 0..<rounds {
            now = now + .microseconds(1)
            if balancer.choose(now: now, loads: loads).index != nil { chosenCount += 1 }
        }
        let chosen = clock()
        for round in 0..<rounds {
            now = now + .microseconds(1)
            balancer.finished(
                index: round % count, latency: .milliseconds(12), failed: false, now: now)
        }
        let choice = Double(chosen - start) * 1_000 / Double(rounds)
        let report = Double(clock() - chosen) * 1_000 / Double(rounds)
        print("\(policy) of \(count): choose \(choice) ns, finished \(report) ns")
        #expect(chosenCount == rounds)
    }
}
