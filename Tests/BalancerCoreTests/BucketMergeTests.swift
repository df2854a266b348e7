// SPDX-License-Identifier: Apache-2.0
//
// Goal: a client that has used up its limit at one node has used it up at the other, and nobody
// else pays for it.

import Testing
import WireCore

@testable import BalancerCore

/// Words of one thread.
private final class PlainCells: BucketCells {
    var words: [UInt64]

    init(count: Int) { words = Array(repeating: 0, count: count) }

    var count: Int { words.count }

    func load(at index: Int) -> UInt64 { words[index] }

    func compareExchange(at index: Int, expected: UInt64, desired: UInt64) -> Bool {
        guard words[index] == expected else { return false }
        words[index] = desired
        return true
    }
}

@Suite struct BucketMergeTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)
    /// The other host was started at another time.
    private let there = Instant(nanoseconds: 77_000_000_000)

    private func buckets(_ requests: Int = 10, burst: Int = 10) -> TokenBuckets {
        TokenBuckets(TokenRate(requests: requests, per: .seconds(1), burst: burst))
    }

    private func take(_ count: Int, _ hash: UInt64, _ buckets: TokenBuckets, _ cells: PlainCells) {
        for _ in 0..<count { _ = buckets.take(hash: hash, now: start, from: cells) }
    }

    /// Everything that is worth telling.
    private func debts(
        _ buckets: TokenBuckets, _ cells: PlainCells, told: inout [UInt64], now: Instant
    ) -> [BucketDebt] {
        var debts: [BucketDebt] = []
        for index in cells.words.indices {
            guard
                let debt = buckets.debt(
                    at: index, cells.words[index], told: told[index], now: now)
            else { continue }
            told[index] = cells.words[index]
            debts.append(debt)
        }
        return debts
    }

    @Test(arguments: [1, 3, 10, 100])
    func whoIsRefusedHereIsRefusedThere(burst: Int) {
        let buckets = buckets(burst: burst)
        let here = PlainCells(count: 64)
        let other = PlainCells(count: 64)
        var told = [UInt64](repeating: 0, count: 64)
        let hash: UInt64 = 0xABCD_EF12_3456_7890
        take(burst + 5, hash, buckets, here)
        for debt in debts(buckets, here, told: &told, now: start) {
            guard case .taken = buckets.merge(debt, now: there, into: other) else {
                Issue.record("the debt is larger than none")
                return
            }
        }
        guard case .refused = buckets.take(hash: hash, now: there, from: other) else {
            Issue.record("it has no token left")
            return
        }
        #expect(buckets.take(hash: hash &+ 1 << 50, now: there, from: other) == .admitted)
        // And it comes back as fast as it would have.
        let later = there + .milliseconds(107)
        #expect(buckets.take(hash: hash, now: later, from: other) == .admitted)
    }

    @Test func aTakeoverForgivesAnEighthAtMost() {
        let buckets = buckets(1, burst: 80)
        let here = PlainCells(count: 8)
        let other = PlainCells(count: 8)
        var told = [UInt64](repeating: 0, count: 8)
        for count in 1...80 {
            take(1, 5, buckets, here)
            for debt in debts(buckets, here, told: &told, now: start) {
                _ = buckets.merge(debt, now: there, into: other)
            }
            let clock = buckets.clock(there)
            let known = other.words.map { buckets.level(of: $0, clock: clock) }.max() ?? 0
            let missing = UInt64(count) - known / TokenRate.ticksPerToken
            #expect(missing < 10)
        }
        // It refuses: everything is known.
        take(1, 5, buckets, here)
        #expect(buckets.take(hash: 5, now: there, from: other) != .admitted)
    }

    @Test func whatWasToldIsNotToldAgainAndWhatComesBackIsNotTold() {
        let buckets = buckets(10, burst: 10)
        let here = PlainCells(count: 8)
        var told = [UInt64](repeating: 0, count: 8)
        take(10, 3, buckets, here)
        #expect(debts(buckets, here, told: &told, now: start).count == 1)
        #expect(debts(buckets, here, told: &told, now: start).isEmpty)
        #expect(debts(buckets, here, told: &told, now: start + .seconds(2)).isEmpty)
    }

    @Test func theFullerDebtWinsAndOldOnesDoNotComeBack() {
        let buckets = buckets(10, burst: 10)
        let cells = PlainCells(count: 8)
        take(8, 3, buckets, cells)
        let tag = UInt32(1)
        #expect(
            buckets.merge(BucketDebt(set: 0, tag: tag, ticks: 16), now: start, into: cells)
                == .less)
        guard
            case .taken(let index, let word) = buckets.merge(
                BucketDebt(set: 0, tag: tag, ticks: 150), now: start, into: cells)
        else {
            Issue.record("a larger debt counts")
            return
        }
        #expect(cells.words[index] == word)
        #expect(cells.words.count { $0 != 0 } == 1)
    }

    @Test func aFullSetKeepsItsFullerDebts() {
        let buckets = buckets(1, burst: 10)
        let cells = PlainCells(count: 8)
        for key in 1...8 as ClosedRange<UInt64> { take(5, key << 40, buckets, cells) }
        let before = cells.words
        #expect(
            buckets.merge(BucketDebt(set: 0, tag: 99, ticks: 64), now: start, into: cells)
                == .full)
        #expect(cells.words == before)
        guard
            case .taken = buckets.merge(
                BucketDebt(set: 0, tag: 99, ticks: 96), now: start, into: cells)
        else {
            Issue.record("it is the emptiest")
            return
        }
    }

    @Test func debtsOfAnotherTableAreRefused() {
        let buckets = buckets()
        let cells = PlainCells(count: 16)
        for debt in [
            BucketDebt(set: 2, tag: 1, ticks: 10), BucketDebt(set: .max, tag: 1, ticks: 10),
            BucketDebt(set: 0, tag: 0, ticks: 10), BucketDebt(set: 0, tag: 1 << 24, ticks: 10),
            BucketDebt(set: 0, tag: 1, ticks: 0),
        ] {
            #expect(buckets.merge(debt, now: start, into: cells) == .invalid)
        }
        // However much a peer says, a bucket is not emptier than empty.
        _ = buckets.merge(BucketDebt(set: 1, tag: 5, ticks: .max), now: start, into: cells)
        let later = start + .milliseconds(1_010)
        #expect(buckets.take(hash: 5 << 40 | 1, now: later, from: cells) == .admitted)
    }
}
