// SPDX-License-Identifier: Apache-2.0
//
// How many retries a pool may add to its load: a share of the requests of the last ten seconds, and
// a few a second in any case. Without it a backend that fails turns into a storm.

public import WireCore

/// Hedged attempts have a budget of their own, by the same rules.
public typealias HedgeBudget = RetryBudget

/// The retries that one worker may make in one pool.
///
/// Retries never exceed the share of this worker's requests, plus the floor. Counting costs a few
/// instructions and no memory; time comes in seconds, so the window is nine to ten of them.
public struct RetryBudget: Hashable, Sendable {
    /// Seconds that requests stand for retries.
    public static let windowSeconds = 10
    /// Counters of a second stop here.
    static let countMax: UInt32 = 1 << 30

    private let percent: UInt64?
    /// Retries that are always allowed within `floorSeconds`.
    private let floorCount: UInt32
    private let floorSeconds: UInt64
    private var requests = SIMD16<UInt32>(repeating: 0)
    private var retries = SIMD16<UInt32>(repeating: 0)
    private var second: UInt64 = 0
    /// Requests counted since the beginning.
    public private(set) var requestsTotal: UInt64 = 0
    /// Retries allowed since the beginning.
    public private(set) var retriesTotal: UInt64 = 0
    /// Retries refused since the beginning.
    public private(set) var refusedTotal: UInt64 = 0

    /// Makes a budget.
    ///
    /// - Parameters:
    ///   - percent: the share; `nil` allows any number.
    ///   - floorPerSecond: retries a second that are always allowed, by all workers together.
    ///   - workerCount: workers that share the floor.
    public init(percent: Int?, floorPerSecond: Int, workerCount: Int = 1) {
        self.percent = percent.map { UInt64(min(max($0, 0), 1_000)) }
        let floor = UInt64(min(max(floorPerSecond, 0), 1_000_000))
        let workers = UInt64(min(max(workerCount, 1), 1_024))
        // Fewer than one a second is one in several seconds.
        let seconds = min(
            UInt64(Self.windowSeconds), max(1, floor == 0 ? 1 : (workers + floor - 1) / floor))
        floorSeconds = seconds
        floorCount = floor == 0 ? 0 : UInt32(max(1, floor * seconds / workers))
    }

    /// A request came that is no retry.
    public mutating func requestBegan(now: Instant) {
        advance(to: now)
        let slot = slot(second)
        requests[slot] = min(requests[slot] &+ 1, Self.countMax)
        requestsTotal &+= 1
    }

    /// Takes a retry from the budget; false when there is none left.
    public mutating func take(now: Instant) -> Bool {
        advance(to: now)
        guard isWithinShare || isWithinFloor else {
            refusedTotal &+= 1
            return false
        }
        let slot = slot(second)
        retries[slot] = min(retries[slot] &+ 1, Self.countMax)
        retriesTotal &+= 1
        return true
    }

    /// Gives a retry back that was not made after all.
    public mutating func giveBack(now: Instant) {
        advance(to: now)
        let slot = slot(second)
        guard retries[slot] > 0 else { return }
        retries[slot] &-= 1
        retriesTotal &-= 1
    }

    /// Retries of the window per request of the window; 0 without requests.
    public func ratio(now: Instant) -> Double {
        var current = self
        current.advance(to: now)
        let window = UInt64(Self.windowSeconds)
        let requests = sum(current.requests, seconds: window, until: current.second)
        let retries = sum(current.retries, seconds: window, until: current.second)
        return requests == 0 ? 0 : Double(retries) / Double(requests)
    }

    private var isWithinShare: Bool {
        guard let percent else { return true }
        let window = UInt64(Self.windowSeconds)
        return (sum(retries, seconds: window, until: second) + 1) * 100
            <= percent * sum(requests, seconds: window, until: second)
    }

    private var isWithinFloor: Bool {
        sum(retries, seconds: floorSeconds, until: second) < UInt64(floorCount)
    }

    private func sum(_ counts: SIMD16<UInt32>, seconds: UInt64, until second: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        for age in 0..<seconds { sum &+= UInt64(counts[slot(second &- age)]) }
        return sum
    }

    /// Sixteen places for ten seconds, so that a place is found without a division.
    private func slot(_ second: UInt64) -> Int { Int(truncatingIfNeeded: second & 15) }

    private mutating func advance(to now: Instant) {
        let target = now.nanoseconds / 1_000_000_000
        guard target > second else { return }
        guard target &- second < 16 else {
            requests = SIMD16(repeating: 0)
            retries = SIMD16(repeating: 0)
            second = target
            return
        }
        while second < target {
            second &+= 1
            requests[slot(second)] = 0
            retries[slot(second)] = 0
        }
    }
}
