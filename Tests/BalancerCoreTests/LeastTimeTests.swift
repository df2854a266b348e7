// SPDX-License-Identifier: Apache-2.0
//
// Least time: costs, the cap on requests in flight, penalty, decay, and backends that return.

import BalancerCore
import Testing
import WireCore

@Suite struct LeastTimeTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    /// A balancer that has seen one successful request per backend.
    private static func balancer(
        latenciesMilliseconds: [UInt64], weights: [Int]? = nil
    ) -> PoolBalancer {
        var balancer = PoolBalancer(
            policy: .leastTime,
            weights: weights ?? [Int](repeating: 1, count: latenciesMilliseconds.count), seed: 1)
        for (index, latency) in latenciesMilliseconds.enumerated() {
            balancer.finished(
                index: index, latency: .milliseconds(latency), failed: false, now: start)
        }
        return balancer
    }

    /// A backend that is as good as any was never asked again while others were below the median.
    @Test func aBackendThatNothingIsHeardOfIsAskedNowAndThen() {
        var balancer = Self.balancer(
            latenciesMilliseconds: [10, 11, 12, 50], weights: [8, 8, 8, 1])
        var loads = ScriptedLoads(count: 4)
        var counts = [0, 0, 0, 0]
        for step in 1...6_000 as ClosedRange<UInt64> {
            let now = Self.start + .milliseconds(step * 10)
            guard let index = balancer.choose(now: now, loads: loads).index else { continue }
            counts[index] += 1
            balancer.finished(
                index: index, latency: .milliseconds(index == 3 ? 50 : 10), failed: false,
                now: now)
        }
        // A minute: once in ten seconds, and no more than that.
        #expect((5...6).contains(counts[3]))
        // One that is busy and silent is not asked meanwhile.
        loads.inFlight[3] = 1
        let late = Self.start + .seconds(100)
        for index in 0..<3 {
            balancer.finished(index: index, latency: .milliseconds(10), failed: false, now: late)
        }
        #expect(balancer.choose(now: late, loads: loads).index != 3)
    }

    @Test(arguments: [
        // latency, in flight, weights, chosen: the smallest latency * (1 + in flight) / weight
        ([20, 30, 40], [0, 0, 0], [1, 1, 1], 0),
        ([20, 30, 40], [1, 0, 0], [1, 1, 1], 1),
        ([20, 30, 40], [2, 1, 0], [1, 1, 1], 2),
        ([20, 30, 40], [0, 0, 0], [1, 2, 1], 1),
        ([20, 100, 100], [0, 0, 0], [1, 4, 6], 2),
        ([10, 10], [3, 2], [1, 1], 1),
        ([10, 10], [3, 2], [2, 1], 0),
    ])
    func theSmallestCostIsChosen(
        latencies: [UInt64], inFlight: [Int], weights: [Int], expected: Int
    ) {
        var balancer = Self.balancer(latenciesMilliseconds: latencies, weights: weights)
        let loads = ScriptedLoads(inFlight: inFlight)
        for _ in 0..<5 {
            #expect(balancer.pick(Self.start, loads) == expected)
        }
    }

    @Test(arguments: [
        // The mean of [8, 1, 1, 1, 1] is 2.4, so the cap is 4.6.
        ([8, 1, 1, 1, 1], false),
        ([5, 1, 1, 1, 1], false),
        ([3, 1, 1, 1, 1], true),
        ([1, 0, 0, 0, 0], true),
    ])
    func aBackendAboveTheCapIsPassedOver(inFlight: [Int], isChosen: Bool) {
        // The first backend is a thousand times faster than the others.
        var balancer = Self.balancer(latenciesMilliseconds: [1, 1_000, 1_000, 1_000, 1_000])
        let loads = ScriptedLoads(inFlight: inFlight)
        #expect((balancer.pick(Self.start, loads) == 0) == isChosen)
    }

    @Test func equalCostsAreDrawnEvenly() {
        var balancer = Self.balancer(latenciesMilliseconds: [20, 20, 20, 20])
        let loads = ScriptedLoads(count: 4)
        var counts = [0, 0, 0, 0]
        for _ in 0..<8_000 {
            guard let index = balancer.pick(Self.start, loads) else { continue }
            counts[index] += 1
        }
        #expect(counts.allSatisfy { abs($0 - 2_000) < 150 })
    }

    @Test func withoutMeasurementsRequestsAreSpreadByWeight() {
        var balancer = PoolBalancer(policy: .leastTime, weights: [1, 2, 1], seed: 1)
        var loads = ScriptedLoads(count: 3)
        for _ in 0..<400 {
            guard let index = balancer.pick(Self.start, loads) else { continue }
            loads.inFlight[index] += 1
        }
        #expect(abs(loads.inFlight[1] - 200) <= 2)
        #expect(abs(loads.inFlight[0] - 100) <= 2)
    }

    @Test func averageTakesATenthOfEachObservation() {
        var balancer = Self.balancer(latenciesMilliseconds: [100])
        balancer.finished(
            index: 0, latency: .milliseconds(200), failed: false, now: Self.start)
        #expect(balancer.averageLatency(at: 0, now: Self.start) == .milliseconds(110))
    }

    @Test(arguments: [
        // latency, Retry-After in seconds, counted as milliseconds
        (TimeSpan.milliseconds(1), UInt64(0), UInt64(1_000)),
        (.seconds(7), 0, 7_000),
        (.milliseconds(1), 20, 20_000),
        // A hint below the penalty does not shorten it; a hostile one is cut at 300 s.
        (.milliseconds(1), 1, 1_000),
        (.milliseconds(1), 1_000_000, 300_000),
    ])
    func aFailureCountsAtLeastThePenalty(latency: TimeSpan, retryAfter: UInt64, counted: UInt64) {
        var balancer = PoolBalancer(policy: .leastTime, weights: [1, 1], seed: 1)
        balancer.finished(
            index: 0, latency: latency, failed: true, retryAfter: .seconds(retryAfter),
            now: Self.start)
        #expect(balancer.averageLatency(at: 0, now: Self.start) == .milliseconds(counted))
    }

    @Test func aPenaltyDecaysToTheMedianAndIsWrittenBack() throws {
        var balancer = Self.balancer(latenciesMilliseconds: [20, 20, 20])
        balancer.finished(
            index: 0, latency: .milliseconds(1), failed: true, now: Self.start)
        let penalised = try #require(balancer.averageLatency(at: 0, now: Self.start))
        #expect(penalised == .milliseconds(118))
        // After one time constant 1/e of the 98 ms above the median is left: 20 + 36.05.
        let later = Self.start + .seconds(10)
        let decayed = try #require(balancer.averageLatency(at: 0, now: later))
        #expect(abs(decayed.secondsAsDouble - 0.056_052) < 0.000_01)
        // A success blends with the decayed value, not with the one of ten seconds ago.
        balancer.finished(index: 0, latency: .milliseconds(20), failed: false, now: later)
        let blended = try #require(balancer.averageLatency(at: 0, now: later))
        #expect(abs(blended.secondsAsDouble - (0.056_052 * 0.9 + 0.002)) < 0.000_1)
    }

    @Test func aBackendThatReturnsBeginsAtTheMedian() {
        var balancer = Self.balancer(latenciesMilliseconds: [20, 20, 20])
        var loads = ScriptedLoads(count: 3)
        for _ in 0..<50 {
            balancer.finished(
                index: 2, latency: .milliseconds(1), failed: true, now: Self.start)
        }
        _ = balancer.pick(Self.start, loads)
        loads.available[2] = false
        balancer.obey(loads)
        _ = balancer.pick(Self.start, loads)
        #expect(balancer.averageLatency(at: 2, now: Self.start) != nil)
        loads.available[2] = true
        balancer.obey(loads)
        _ = balancer.pick(Self.start, loads)
        #expect(balancer.averageLatency(at: 2, now: Self.start) == nil)
        loads.inFlight = [1, 1, 0]
        #expect(balancer.pick(Self.start, loads) == 2)
    }

    @Test func failingBackendsDoNotDeclareFailureNormal() throws {
        // Three of five fail: the norm that penalties decay to is that of the healthy two.
        var balancer = Self.balancer(latenciesMilliseconds: [20, 20, 20, 20, 20])
        var now = Self.start
        for _ in 0..<100 {
            now = now + .milliseconds(200)
            for index in 0..<5 {
                balancer.finished(
                    index: index, latency: .milliseconds(20), failed: index < 3, now: now)
            }
        }
        let penalised = try #require(balancer.averageLatency(at: 0, now: now))
        #expect(penalised > .milliseconds(500))
        let later = try #require(balancer.averageLatency(at: 0, now: now + .seconds(60)))
        #expect(later < .milliseconds(30))
    }

    @Test func hostileNumbersDoNotTrap() {
        var balancer = PoolBalancer(policy: .leastTime, weights: [1, 1], seed: 1)
        let never = TimeSpan(nanoseconds: .max)
        for _ in 0..<3 {
            balancer.finished(
                index: 0, latency: never, failed: true, retryAfter: never, now: .distantFuture)
            balancer.finished(index: 1, latency: .zero, failed: false, now: Self.start)
        }
        balancer.finished(index: 2, latency: .zero, failed: false, now: Self.start)
        balancer.finished(index: -1, latency: .zero, failed: false, now: Self.start)
        let loads = ScriptedLoads(inFlight: [1_000_000, 0])
        #expect(balancer.pick(.distantFuture, loads) == 1)
        #expect(balancer.averageLatency(at: 0, now: Self.start) != nil)
    }
}
