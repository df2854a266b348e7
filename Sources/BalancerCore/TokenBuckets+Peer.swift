// SPDX-License-Identifier: Apache-2.0
//
// Buckets of two nodes that should be the same: what is told about them, and how both are merged.
// What crosses is the debt, not the time at which a bucket is full: clocks differ.

public import WireCore

/// What was taken from a bucket and has not come back.
public struct BucketDebt: Hashable, Sendable {
    /// The set of the bucket.
    public var set: UInt32
    /// The 24 bits that tell its key from others of the set.
    public var tag: UInt32
    /// Ticks until it is full.
    public var ticks: UInt32

    /// Makes a debt.
    public init(set: UInt32, tag: UInt32, ticks: UInt32) {
        self.set = set
        self.tag = tag
        self.ticks = ticks
    }
}

/// What became of a peer's debt.
public enum BucketMerge: Hashable, Sendable {
    /// The bucket at this index has it now, in this word.
    case taken(index: Int, word: UInt64)
    /// The own debt is as large or larger.
    case less
    /// All buckets of its set are emptier.
    case full
    /// It is no debt of a table like this one.
    case invalid
}

extension TokenBuckets {
    /// A peer is told of a bucket when this part of its size was taken since it was told last.
    public static let toldParts: UInt64 = 8

    /// Whether something was taken from the bucket that has not come back.
    public func isInUse(_ word: UInt64, now: Instant) -> Bool {
        word != 0 && level(of: word, clock: clock(now)) > 0
    }

    /// What the peer has to hear of a bucket; `nil` when it knows enough.
    ///
    /// Takings are told by the eighth of a burst, and whenever the bucket refuses: so a peer that
    /// takes over forgives an eighth at most.
    ///
    /// - Parameters:
    ///   - index: of the bucket in its table.
    ///   - word: the bucket.
    ///   - told: the word when the peer heard of it last; 0 for never.
    ///   - now: the time.
    /// - Returns: the debt to tell.
    @inlinable
    public func debt(at index: Int, _ word: UInt64, told: UInt64, now: Instant) -> BucketDebt? {
        let clock = clock(now)
        let level = level(of: word, clock: clock)
        guard level > 0 else { return nil }
        let isSameKey = (word ^ told) & ~Self.timeMask == 0
        let known = isSameKey ? self.level(of: told, clock: clock) : 0
        guard level > known else { return nil }
        let taken = level &- known
        let isEmpty = level &+ token > window
        guard isEmpty || taken >= max(token, window / Self.toldParts) else { return nil }
        return BucketDebt(
            set: UInt32(truncatingIfNeeded: index / Self.wayCount),
            tag: UInt32(truncatingIfNeeded: word &>> Self.timeBits),
            ticks: UInt32(clamping: min(level, window)))
    }

    /// Takes over a debt of the peer when it is larger than the own one.
    ///
    /// A key that is unknown here gets the bucket of its set that is nearest to being full, unless
    /// that one is emptier than the debt.
    public func merge(
        _ debt: BucketDebt, now: Instant, into cells: borrowing some BucketCells & ~Copyable
    ) -> BucketMerge {
        let setCount = cells.count / Self.wayCount
        guard debt.set < setCount, (1..<1 << 24).contains(debt.tag), debt.ticks > 0 else {
            return .invalid
        }
        let clock = clock(now)
        let level = min(UInt64(debt.ticks), window)
        let tag = UInt64(debt.tag) &<< Self.timeBits
        let desired = tag | (clock &+ level) & Self.timeMask
        let first = Int(debt.set) * Self.wayCount
        for _ in 0..<Self.racesMax {
            var place = first
            var placeWord: UInt64 = 0
            var placeLevel = UInt64.max
            var isKnown = false
            for index in first..<first + Self.wayCount {
                let word = cells.load(at: index)
                let present = self.level(of: word, clock: clock)
                isKnown = word & ~Self.timeMask == tag
                guard isKnown || present < placeLevel else { continue }
                place = index
                placeWord = word
                placeLevel = present
                if isKnown { break }
            }
            guard placeLevel < level else { return isKnown ? .less : .full }
            if cells.compareExchange(at: place, expected: placeWord, desired: desired) {
                return .taken(index: place, word: desired)
            }
        }
        return .less
    }
}
