// SPDX-License-Identifier: Apache-2.0
//
// Token buckets in virtual time: rates and bursts are exact, keys do not disturb each other, and
// floods of keys cannot buy a heavy user a new bucket.

import BalancerCore
import Testing
import WireCore

/// Words that one thread uses; races are made on purpose.
private final class ScriptedCells: BucketCells {
    private var words: [UInt64]
    /// Called before an exchange, with the chance to change the word first.
    var interference: ((Int) -> UInt64?)?

    init(count: Int) {
        words = Array(repeating: 0, count: count)
    }

    var count: Int { words.count }

    func load(at index: Int) -> UInt64 { words[index] }

    func compareExchange(at index: Int, expected: UInt64, desired: UInt64) -> Bool {
        if let other = interference?(index) { words[index] = other }
        guard words[index] == expected else { return false }
        words[index] = desired
        return true
    }

    var usedCount: Int { words.count { $0 != 0 } }
}

@Suite struct TokenBucketsTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    private func buckets(_ requests: Int, per span: TimeSpan, burst: Int) -> TokenBuckets {
        TokenBuckets(TokenRate(requests: requests, per: span, burst: burst))
    }

    /// A key whose set and tag both follow from its number.
    private func hash(set: UInt64, tag: UInt64) -> UInt64 { tag << 40 | set }

    @Test func aBurstIsAdmittedThenTheRate() {
        let buckets = buckets(10, per: .seconds(1), burst: 5)
        let cells = ScriptedCells(count: 64)
        for _ in 0..<5 { #expect(buckets.take(hash: 7, now: start, from: cells) == .admitted) }
        #expect(
            buckets.take(hash: 7, now: start, from: cells)
                == .refused(retryAfter: .milliseconds(100)))
        let soon = start + .milliseconds(40)
        guard case .refused(let wait) = buckets.take(hash: 7, now: soon, from: cells) else {
            Issue.record("a token came back too early")
            return
        }
        // A sixteenth of a token is the resolution.
        #expect(wait >= .microseconds(53_750) && wait <= .microseconds(66_250))
        let later = start + .milliseconds(107)
        #expect(buckets.take(hash: 7, now: later, from: cells) == .admitted)
        #expect(buckets.take(hash: 7, now: later, from: cells) != .admitted)
    }

    @Test func refusedRequestsCostNothing() {
        let buckets = buckets(1, per: .seconds(1), burst: 1)
        let cells = ScriptedCells(count: 8)
        #expect(buckets.take(hash: 1, now: start, from: cells) == .admitted)
        for step in 1..<1_000 {
            let now = start + .milliseconds(UInt64(step) * 930 / 1_000)
            #expect(buckets.take(hash: 1, now: now, from: cells) != .admitted)
        }
        #expect(buckets.take(hash: 1, now: start + .milliseconds(1_063), from: cells) == .admitted)
    }

    @Test(arguments: [
        (1, TimeSpan.seconds(86_400), 1), (3, .seconds(7), 2), (100, .seconds(1), 200),
        (10_000_000, .milliseconds(1), 10_000_000), (10_000_000, .seconds(1), 1),
        (7, .milliseconds(1), 3),
    ])
    func theLongRunRateIsTheConfiguredOne(requests: Int, span: TimeSpan, burst: Int) {
        let buckets = buckets(requests, per: span, burst: burst)
        let cells = ScriptedCells(count: 8)
        // Ask four times as often as tokens come back, over 4,000 tokens' time.
        let interval = span.nanoseconds / UInt64(requests)
        var admitted = 0
        var now = start
        let step = max(1, interval / 4)
        let askCount = 16_000
        for _ in 0..<askCount {
            if buckets.take(hash: 9, now: now, from: cells) == .admitted { admitted += 1 }
            now = now + TimeSpan(nanoseconds: step)
        }
        let elapsed = Double(step) * Double(askCount)
        let earned = elapsed * Double(requests) / Double(span.nanoseconds)
        let expected = min(Double(askCount), earned + Double(burst))
        #expect(abs(Double(admitted) - expected) <= max(2, expected * 0.001))
    }

    @Test func keysDoNotShareTokens() {
        let buckets = buckets(1, per: .seconds(60), burst: 1)
        let cells = ScriptedCells(count: 64)
        for tag in 1...8 as ClosedRange<UInt64> {
            #expect(
                buckets.take(hash: hash(set: 3, tag: tag), now: start, from: cells) == .admitted)
        }
        for tag in 1...8 as ClosedRange<UInt64> {
            #expect(
                buckets.take(hash: hash(set: 3, tag: tag), now: start, from: cells) != .admitted)
        }
        #expect(cells.usedCount == 8)
    }

    @Test func fullBucketsAreGivenAwayFirst() {
        let buckets = buckets(1, per: .seconds(1), burst: 4)
        let cells = ScriptedCells(count: 8)
        for tag in 1...8 as ClosedRange<UInt64> {
            _ = buckets.take(hash: hash(set: 0, tag: tag), now: start, from: cells)
        }
        // The third key comes again and again; all others are full after a second.
        let later = start + .milliseconds(1_500)
        for _ in 0..<3 {
            _ = buckets.take(hash: hash(set: 0, tag: 3), now: later, from: cells)
        }
        for tag in 101...107 as ClosedRange<UInt64> {
            #expect(
                buckets.take(hash: hash(set: 0, tag: tag), now: later, from: cells) == .admitted)
        }
        #expect(buckets.take(hash: hash(set: 0, tag: 3), now: later, from: cells) == .admitted)
        #expect(buckets.take(hash: hash(set: 0, tag: 3), now: later, from: cells) != .admitted)
    }

    /// Ten thousand keys in its set, each with one request, do not free a key that is over.
    @Test func aFloodOfKeysEvictsOnlyItself() {
        let buckets = buckets(10, per: .seconds(1), burst: 20)
        let cells = ScriptedCells(count: 8)
        let victim = hash(set: 0, tag: 0xABCDEF)
        for _ in 0..<20 { _ = buckets.take(hash: victim, now: start, from: cells) }
        var evictions = 0
        for tag in 1...10_000 as ClosedRange<UInt64> {
            let decision = buckets.take(hash: hash(set: 0, tag: tag), now: start, from: cells)
            if decision == .admittedByEviction { evictions += 1 }
            if tag % 100 == 0 {
                let again = buckets.take(hash: victim, now: start, from: cells)
                #expect(again == .refused(retryAfter: .milliseconds(100)))
            }
        }
        #expect(evictions == 10_000 - 7)
    }

    @Test func evictingAHeavyUserCostsAsManyRequestsAsItSaves() {
        let buckets = buckets(1, per: .seconds(60), burst: 10)
        let cells = ScriptedCells(count: 8)
        let victim = hash(set: 0, tag: 99)
        for _ in 0..<9 { _ = buckets.take(hash: victim, now: start, from: cells) }
        // Seven keys that used as much, and still the victim is as light as they are.
        var spent = 0
        for tag in 1...7 as ClosedRange<UInt64> {
            for _ in 0..<10 {
                _ = buckets.take(hash: hash(set: 0, tag: tag), now: start, from: cells)
                spent += 1
            }
        }
        let decision = buckets.take(hash: hash(set: 0, tag: 500), now: start, from: cells)
        #expect(decision == .admittedByEviction)
        #expect(spent >= 7 * 9)
    }

    @Test func clocksThatDifferDoNotRefill() {
        let buckets = buckets(1, per: .milliseconds(1), burst: 1)
        let cells = ScriptedCells(count: 8)
        #expect(buckets.take(hash: 5, now: start + .milliseconds(1_900), from: cells) == .admitted)
        // A thread that read its clock almost two seconds earlier.
        #expect(buckets.take(hash: 5, now: start, from: cells) != .admitted)
        #expect(buckets.take(hash: 5, now: start + .milliseconds(1_902), from: cells) == .admitted)
    }

    @Test func aLostRaceIsRunAgainOnWhatTheOtherLeft() {
        let buckets = buckets(1, per: .seconds(60), burst: 2)
        let cells = ScriptedCells(count: 8)
        let other = ScriptedCells(count: 8)
        _ = buckets.take(hash: 5, now: start, from: other)
        var races = 0
        cells.interference = { index in
            races += 1
            return races == 1 ? other.load(at: index) : nil
        }
        // The other thread takes the first token while we try; we get the second, nobody a third.
        #expect(buckets.take(hash: 5, now: start, from: cells) == .admitted)
        #expect(races == 2)
        #expect(buckets.take(hash: 5, now: start, from: cells) != .admitted)
    }

    @Test func endlessRacesEnd() {
        let buckets = buckets(1, per: .seconds(60), burst: 1_000)
        let cells = ScriptedCells(count: 8)
        var races: UInt64 = 0
        cells.interference = { _ in
            races += 1
            return (1 << 40 | races << 8) & (1 << 40 - 1) | 3 << 40
        }
        #expect(buckets.take(hash: 3 << 40, now: start, from: cells) == .admitted)
        #expect(races <= UInt64(TokenBuckets.racesMax))
    }

    @Test func aKeyWhoseTagIsZeroHasABucketToo() {
        let buckets = buckets(1, per: .seconds(60), burst: 1)
        let cells = ScriptedCells(count: 8)
        #expect(buckets.take(hash: 0, now: start, from: cells) == .admitted)
        #expect(buckets.take(hash: 0, now: start, from: cells) != .admitted)
    }
}
