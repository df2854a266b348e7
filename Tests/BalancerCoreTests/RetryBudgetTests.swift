// SPDX-License-Identifier: Apache-2.0
//
// Retries never exceed their share of the requests, plus the floor; and how long they wait.

import BalancerCore
import Testing
import WireCore

@Suite struct RetryBudgetTests {
    private static let start = Instant(nanoseconds: 77_000_000_000)

    private func taken(_ budget: inout RetryBudget, of wanted: Int, at now: Instant) -> Int {
        var count = 0
        for _ in 0..<wanted where budget.take(now: now) { count += 1 }
        return count
    }

    @Test(arguments: [
        (20, 0, 1_000, 200), (20, 0, 4, 0), (20, 0, 5, 1), (20, 0, 9, 1), (0, 0, 1_000, 0),
        (100, 0, 50, 50), (20, 10, 0, 10), (20, 10, 1_000, 200), (20, 10, 20, 10),
    ])
    func retriesStopAtTheShareOrTheFloor(percent: Int, floor: Int, requests: Int, expected: Int) {
        var budget = RetryBudget(percent: percent, floorPerSecond: floor)
        for _ in 0..<requests { budget.requestBegan(now: Self.start) }
        #expect(taken(&budget, of: 10_000, at: Self.start) == expected)
        #expect(budget.refusedTotal == UInt64(10_000 - expected))
    }

    @Test func withoutAShareEverythingIsAllowed() {
        var budget = RetryBudget(percent: nil, floorPerSecond: 0)
        #expect(taken(&budget, of: 10_000, at: Self.start) == 10_000)
    }

    @Test func requestsStandForRetriesForTenSeconds() {
        var budget = RetryBudget(percent: 20, floorPerSecond: 0)
        for _ in 0..<100 { budget.requestBegan(now: Self.start) }
        var late = budget
        #expect(taken(&late, of: 100, at: Self.start + .milliseconds(9_999)) == 20)
        late = budget
        #expect(taken(&late, of: 100, at: Self.start + .seconds(10)) == 0)
        // Retries count as long: the same requests do not stand for others.
        var twice = budget
        #expect(taken(&twice, of: 100, at: Self.start) == 20)
        #expect(taken(&twice, of: 100, at: Self.start + .seconds(9)) == 0)
    }

    @Test func aLongPauseForgetsEverything() {
        for seconds in [10, 15, 16, 17, 1_000_000] as [UInt64] {
            var budget = RetryBudget(percent: 20, floorPerSecond: 0)
            for _ in 0..<100 { budget.requestBegan(now: Self.start) }
            let isAllowed = budget.take(now: Self.start + .seconds(seconds))
            #expect(!isAllowed)
            #expect(budget.ratio(now: Self.start + .seconds(seconds)) == 0)
        }
    }

    /// Floors below one a second and worker, and such as do not divide evenly.
    @Test(arguments: [(10, 1), (10, 3), (10, 4), (1, 4), (3, 2), (1, 8), (100, 16), (7, 10)])
    func workersShareTheFloor(floor: Int, workers: Int) {
        var budgets = (0..<workers).map { _ in
            RetryBudget(percent: 20, floorPerSecond: floor, workerCount: workers)
        }
        var total = 0
        for step in 0..<1_000 {
            let now = Self.start + .milliseconds(UInt64(step) * 100)
            for worker in budgets.indices { total += taken(&budgets[worker], of: 20, at: now) }
        }
        // A hundred seconds.
        #expect(total <= floor * 100 + workers)
        #expect(total >= floor * 100 / 2)
    }

    @Test func theClockMayStandStillOrGoBack() {
        var budget = RetryBudget(percent: 20, floorPerSecond: 0)
        for _ in 0..<100 { budget.requestBegan(now: Self.start) }
        budget.requestBegan(now: Instant(nanoseconds: 0))
        #expect(taken(&budget, of: 100, at: Instant(nanoseconds: 5)) == 20)
    }

    @Test func whatWasNotUsedIsGivenBack() {
        var budget = RetryBudget(percent: 20, floorPerSecond: 0)
        for _ in 0..<5 { budget.requestBegan(now: Self.start) }
        #expect(taken(&budget, of: 2, at: Self.start) == 1)
        #expect(budget.ratio(now: Self.start) == 0.2)
        budget.giveBack(now: Self.start)
        #expect(budget.ratio(now: Self.start) == 0)
        #expect(taken(&budget, of: 2, at: Self.start) == 1)
        #expect(budget.retriesTotal == 1)
    }

    @Test(arguments: 0..<20)
    func theShareHoldsInTheLongRun(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var budget = RetryBudget(percent: 20, floorPerSecond: 0)
        var now = Self.start
        for _ in 0..<20_000 {
            now = now + generator.span(upTo: .milliseconds(300))
            if Bool.random(using: &generator) {
                for _ in 0..<Int.random(in: 0...20, using: &generator) {
                    budget.requestBegan(now: now)
                }
            } else {
                _ = taken(&budget, of: Int.random(in: 0...40, using: &generator), at: now)
            }
            #expect(budget.retriesTotal * 5 <= budget.requestsTotal)
        }
        #expect(budget.retriesTotal * 6 > budget.requestsTotal)
    }
}

@Suite struct RetryBackoffTests {
    @Test(arguments: [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (100, 250), (0, 25)])
    func theBoundDoublesUpToTheLongest(number: Int, milliseconds: UInt64) {
        #expect(RetryBackoff().bound(ofRetry: number) == .milliseconds(milliseconds))
    }

    @Test func waitsAreDrawnFromTheWholeRange() {
        var generator = SeededGenerator(seed: 3)
        let waits = (0..<2_000).map { _ in
            RetryBackoff().wait(beforeRetry: 2, using: &generator)
        }
        #expect(waits.allSatisfy { $0 <= .milliseconds(50) })
        #expect((waits.min() ?? .seconds(1)) < .milliseconds(1))
        #expect((waits.max() ?? .zero) > .milliseconds(49))
        let mean = waits.reduce(0.0) { $0 + $1.secondsAsDouble } / 2_000
        #expect(abs(mean - 0.025) < 0.001)
    }

    @Test func hugeBasesDoNotOverflow() {
        let backoff = RetryBackoff(base: TimeSpan(nanoseconds: .max), longest: .seconds(1))
        #expect(backoff.bound(ofRetry: 33) == .seconds(1))
    }
}
