// SPDX-License-Identifier: Apache-2.0
//
// Token buckets for any number of keys in a table of fixed size that threads share without locks.
// The memory is the caller's; this is what happens to its words.
//
// A bucket is one word: 24 bits that tell its key from others of the same set, and 40 bits for the
// time at which it will be full again (the "theoretical arrival time" of the generic cell rate
// algorithm, ITU-T I.371). Taking a token moves that time by one token; a token may be taken while
// the bucket would be full within its size. Nothing has to run while nobody asks.
//
// A key belongs to one set of eight buckets, one cache line. When its set has no bucket of it, it
// gets one that is full, which says as much as none; when all eight are in use, it gets the one
// that is nearest to being full, whose key is forgiven what it took. So a flood of new keys evicts
// other new keys: a bucket that is nearly empty goes only when the seven others of its set are
// emptier still, each at the price of as many requests.
//
// What it errs by. Time has the resolution of a sixteenth of a token. Two threads that meet the
// same new key at once may give it two buckets, of which one is never found again: at most one
// token too many for each thread and new key. A thread that loses `racesMax` races for one bucket
// admits its request without taking a token. A bucket that nobody asked for while the 40 bits went
// round (at 100 requests a second 21 years, at a million 19 hours) may look used for as long as it
// takes to fill. Keys with equal 24 bits in one set share a bucket: with every set full, one key in
// two million.

public import WireCore

/// The shared words that buckets live in; all zero at the beginning.
///
/// Conform a small struct of pointers to atomics, never a class or an existential.
public protocol BucketCells: ~Copyable {
    /// A power of two, `TokenBuckets.wayCount` at least.
    var count: Int { get }
    /// The word at an index below `count`.
    func load(at index: Int) -> UInt64
    /// Replaces the word at `index` if it is still `expected`; false when it was not.
    func compareExchange(at index: Int, expected: UInt64, desired: UInt64) -> Bool
}

/// What a request for a token came to.
public enum TokenDecision: Hashable, Sendable {
    /// A token was taken.
    case admitted
    /// A token was taken from a new bucket that took the place of one in use.
    case admittedByEviction
    /// There is none; the next comes back after this time.
    case refused(retryAfter: TimeSpan)
}

/// The rules by which keys take tokens from a table.
public struct TokenBuckets: Hashable, Sendable {
    /// Buckets in a set: one cache line.
    public static let wayCount = 8
    /// How far the clocks of two threads may be apart: each reads it once a turn.
    public static let clockSkewMax = TimeSpan.seconds(2)
    /// Lost races for one bucket before a request is admitted for nothing.
    public static let racesMax = 64

    @usableFromInline static let timeBits: UInt64 = 40
    @usableFromInline static let timeMask: UInt64 = 1 << 40 - 1

    private let rate: TokenRate
    /// The furthest ahead that a bucket's time can be; what is further is behind.
    @usableFromInline let aheadMax: UInt64

    /// Buckets that fill at this rate.
    public init(_ rate: TokenRate) {
        self.rate = rate
        let skewEnd = rate.ticks(Instant(nanoseconds: Self.clockSkewMax.nanoseconds))
        aheadMax = min(rate.windowTicks + skewEnd, Self.timeMask / 2)
    }

    @usableFromInline var window: UInt64 { rate.windowTicks }
    @usableFromInline var token: UInt64 { TokenRate.ticksPerToken }

    @usableFromInline
    func clock(_ now: Instant) -> UInt64 { rate.ticks(now) & Self.timeMask }

    @usableFromInline
    func span(ticks: UInt64) -> TimeSpan { rate.span(ticks: ticks) }

    /// How much was taken from a bucket and has not come back, in ticks; 0 for a full one.
    @inlinable
    func level(of word: UInt64, clock: UInt64) -> UInt64 {
        let ahead = (word &- clock) & Self.timeMask
        return ahead <= aheadMax ? ahead : 0
    }

    /// Takes a token from the bucket of a key.
    ///
    /// - Parameters:
    ///   - hash: of the key, by a function that strangers cannot predict.
    ///   - now: the time of this turn.
    ///   - cells: the table.
    /// - Returns: whether there was one.
    @inlinable
    public func take(
        hash: UInt64, now: Instant, from cells: borrowing some BucketCells & ~Copyable
    ) -> TokenDecision {
        let clock = clock(now)
        // 24 bits that are never all zero, so that no bucket looks like an unused word.
        let tag = max(1, hash &>> Self.timeBits) &<< Self.timeBits
        let setMask = cells.count / Self.wayCount &- 1
        let first = (Int(truncatingIfNeeded: hash) & setMask) &* Self.wayCount
        for _ in 0..<Self.racesMax {
            var lightest = 0
            var lightestWord: UInt64 = 0
            var lightestLevel = UInt64.max
            var found = -1
            for index in first..<first &+ Self.wayCount {
                let word = cells.load(at: index)
                let level = level(of: word, clock: clock)
                if word & ~Self.timeMask == tag {
                    found = index
                    lightestWord = word
                    lightestLevel = level
                    break
                }
                if level < lightestLevel {
                    lightest = index
                    lightestWord = word
                    lightestLevel = level
                }
            }
            let isNew = found < 0
            let level = isNew ? 0 : lightestLevel
            guard level &+ token <= window else {
                return .refused(retryAfter: span(ticks: level &+ token &- window))
            }
            let desired = tag | (clock &+ level &+ token) & Self.timeMask
            guard
                cells.compareExchange(
                    at: isNew ? lightest : found, expected: lightestWord, desired: desired)
            else { continue }
            return isNew && lightestLevel > 0 ? .admittedByEviction : .admitted
        }
        return .admitted
    }
}
