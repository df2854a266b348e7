// SPDX-License-Identifier: Apache-2.0
//
// Which backend gave a client the application's cookie, as all workers know it: a table of fixed
// size without locks. Old entries make room for new ones.

internal import LinuxIO
internal import Synchronization

/// A shared table from hashes of cookie values to backends.
///
/// Entries lie in buckets of a fixed number of ways. An entry is two words: the key, and backend
/// (32 bits), whether the peer told it (1) and time of last use (31). Whoever changes the backend
/// of an entry holds it by the key's `busy` value meanwhile; readers read the key again behind the
/// rest and believe nothing that changed. What is lost when two workers meet is one memory of one
/// client, never an invented one.
final class StickyTable: Sendable {
    /// An entry as reports and replication see it.
    struct Entry: Hashable, Sendable {
        /// The seeded hash of the cookie's value.
        let key: UInt64
        /// `PoolAffinity.backendID` of the backend.
        let backendID: UInt32
        /// When it was used last, in whole seconds of the monotonic clock, 31 bits of them.
        let usedAtSeconds: UInt32
        /// The other node told it, and no client has used it here since.
        let isHeard: Bool

        init(key: UInt64, backendID: UInt32, usedAtSeconds: UInt32, isHeard: Bool = false) {
            self.key = key
            self.backendID = backendID
            self.usedAtSeconds = usedAtSeconds & StickyTable.secondsMask
            self.isHeard = isHeard
        }

        fileprivate init(key: UInt64, value: UInt64) {
            self.init(
                key: key, backendID: UInt32(truncatingIfNeeded: value &>> 32),
                usedAtSeconds: UInt32(truncatingIfNeeded: value),
                isHeard: value & StickyTable.heardBit != 0)
        }

        fileprivate var value: UInt64 {
            UInt64(backendID) &<< 32 | (isHeard ? StickyTable.heardBit : 0)
                | UInt64(usedAtSeconds)
        }
    }

    /// What became of an entry of the peer.
    enum MergeOutcome: Hashable, Sendable {
        /// It is in the table as it was told.
        case taken
        /// The present one is newer.
        case older
        /// Both nodes gave the client a backend within the same second; the present one stays on
        /// both, so the peer has to hear of it.
        case refuted
        /// All entries of its bucket were used later.
        case full
    }

    /// Ages this near to each other are equal: each node counts whole seconds of its own.
    static let tieSeconds: Int32 = 1
    fileprivate static let secondsMask: UInt32 = 0x7FFF_FFFF
    fileprivate static let heardBit: UInt64 = 0x8000_0000

    /// A use is told to the other node when the last one was in another span of so many seconds.
    static let toldSpanSeconds: UInt32 = 8
    /// How many tables there were so far.
    private static let madeCount = Atomic<UInt32>(0)

    /// Entries that one key may be in: two cache lines.
    private static let ways = 8
    private static let entryByteCount = 16
    private static let emptyKey: UInt64 = 0
    private static let busyKey: UInt64 = 1

    /// Names it within this process.
    let number: UInt32
    /// Entries it has room for.
    let capacity: Int
    private let pages: ZeroedPages
    private let bucketMask: UInt64
    private let inserted = Atomic<Int>(0)

    /// A table of at least `entriesMax` entries, rounded up to a power of two.
    ///
    /// - Throws: when there is no memory for it.
    init(entriesMax: Int) throws(Errno) {
        var buckets = 1
        while buckets * Self.ways < entriesMax { buckets *= 2 }
        number = Self.madeCount.wrappingAdd(1, ordering: .relaxed).newValue
        capacity = buckets * Self.ways
        bucketMask = UInt64(buckets - 1)
        // Zeroed pages are empty entries, and cost nothing until they are used.
        pages = try ZeroedPages(byteCount: capacity * Self.entryByteCount)
    }

    /// How many entries were ever filled; those that expired count until they are replaced.
    var count: Int { inserted.load(ordering: .relaxed) }

    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (pages.base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func firstWay(_ key: UInt64) -> Int {
        Int(key &>> 32 & bucketMask) * Self.ways
    }

    /// Keys that mean something else are moved aside.
    @inline(__always)
    private func usable(_ key: UInt64) -> UInt64 { key <= Self.busyKey ? key &+ 2 : key }

    /// How long ago an entry was used.
    ///
    /// Another worker's clock, read once a turn, may be ahead of ours: what was used in our future
    /// was used just now.
    @inline(__always)
    static func ageSeconds(of used: UInt32, nowSeconds: UInt32) -> UInt32 {
        // The difference of two numbers of 31 bits, as one with a sign.
        UInt32(max(0, Int32(bitPattern: (nowSeconds &- used) &<< 1) &>> 1))
    }

    /// The backend that a key was given, unless it was not used for `expireSeconds`; refreshes it.
    func find(_ key: UInt64, nowSeconds: UInt32, expireSeconds: UInt32) -> UInt32? {
        var isNews = false
        return find(
            key, nowSeconds: nowSeconds, expireSeconds: expireSeconds, isNews: &isNews)
    }

    /// The same; `isNews` becomes true when the other node should hear of the use.
    func find(
        _ key: UInt64, nowSeconds: UInt32, expireSeconds: UInt32, isNews: inout Bool
    ) -> UInt32? {
        let key = usable(key)
        let first = firstWay(key)
        for way in first..<first + Self.ways {
            let keyWord = word(way * 2)
            guard keyWord.pointee.load(ordering: .acquiring) == key else { continue }
            let valueWord = word(way * 2 + 1)
            let value = valueWord.pointee.load(ordering: .acquiring)
            guard keyWord.pointee.load(ordering: .relaxed) == key else { return nil }
            let used = UInt32(truncatingIfNeeded: value) & Self.secondsMask
            let age = Self.ageSeconds(of: used, nowSeconds: nowSeconds)
            guard age < expireSeconds else { return nil }
            if age > 0 {
                // Lost when somebody changes the entry at the same time, who then has used it.
                let isFirst = valueWord.pointee.compareExchange(
                    expected: value,
                    desired: value & ~0xFFFF_FFFF | UInt64(nowSeconds & Self.secondsMask),
                    ordering: .relaxed
                ).exchanged
                let spans = (used / Self.toldSpanSeconds, nowSeconds / Self.toldSpanSeconds)
                isNews = isFirst && spans.0 != spans.1
            }
            return UInt32(truncatingIfNeeded: value &>> 32)
        }
        return nil
    }

    /// Remembers a backend for a key; the entry used least recently makes room.
    func insert(_ key: UInt64, backendID: UInt32, nowSeconds: UInt32) {
        let key = usable(key)
        let place = place(of: key, nowSeconds: nowSeconds)
        replace(place.way, Entry(key: key, backendID: backendID, usedAtSeconds: nowSeconds))
    }

    /// Takes over what another node remembers: the newer use counts.
    ///
    /// Within `tieSeconds` nobody can tell which of two backends is newer. Then what a client did
    /// at a node counts more than what that node was told; of what clients did at both nodes, the
    /// backend with the larger number. The peer's words come in order, so a later one takes the
    /// place of an earlier one, and both nodes end up alike.
    func merge(_ told: Entry, nowSeconds: UInt32) -> MergeOutcome {
        let key = usable(told.key)
        let told = Entry(
            key: key, backendID: told.backendID, usedAtSeconds: told.usedAtSeconds,
            isHeard: told.isHeard)
        let age = UInt64(Self.ageSeconds(of: told.usedAtSeconds, nowSeconds: nowSeconds))
        let place = place(of: key, nowSeconds: nowSeconds)
        if let present = place.present {
            if let refusal = refusal(of: told, age: age, beside: present, age: place.age) {
                return refusal
            }
        } else if place.age < age {
            return .full
        }
        replace(
            place.way,
            Entry(
                key: key, backendID: told.backendID, usedAtSeconds: told.usedAtSeconds,
                isHeard: true))
        return .taken
    }

    /// Why what was told does not take the place of what is here; `nil` when it does.
    private func refusal(
        of told: Entry, age: UInt64, beside present: Entry, age presentAge: UInt64
    ) -> MergeOutcome? {
        let tie = UInt64(Self.tieSeconds)
        let isTie = age <= presentAge + tie && presentAge <= age + tie
        guard isTie, told.backendID != present.backendID else {
            return presentAge > age ? nil : .older
        }
        switch (told.isHeard, present.isHeard) {
        case (false, true): return nil
        case (true, false): return .older
        case (false, false): return told.backendID > present.backendID ? nil : .refuted
        case (true, true): return told.backendID > present.backendID ? nil : .older
        }
    }

    /// Where an entry of a key is, or the one of its bucket that makes room; an empty one has no
    /// age.
    private func place(
        of key: UInt64, nowSeconds: UInt32
    ) -> (way: Int, age: UInt64, present: Entry?) {
        let first = firstWay(key)
        var victim = first
        var victimAge: UInt64 = 0
        for way in first..<first + Self.ways {
            let present = word(way * 2).pointee.load(ordering: .acquiring)
            let entry = Entry(
                key: present, value: word(way * 2 + 1).pointee.load(ordering: .relaxed))
            let age =
                present == Self.emptyKey
                ? .max : UInt64(Self.ageSeconds(of: entry.usedAtSeconds, nowSeconds: nowSeconds))
            if present == key { return (way, age, entry) }
            if present != Self.busyKey, age >= victimAge {
                victim = way
                victimAge = age
            }
        }
        return (victim, victimAge, nil)
    }

    /// The entry of a key as it is now; refreshes nothing.
    func entry(_ key: UInt64) -> Entry? {
        let key = usable(key)
        let first = firstWay(key)
        for way in first..<first + Self.ways {
            guard word(way * 2).pointee.load(ordering: .acquiring) == key else { continue }
            return entry(at: way)
        }
        return nil
    }

    /// What is in a place, unless nothing is, or somebody changes it at this moment.
    private func entry(at way: Int) -> Entry? {
        let key = word(way * 2).pointee.load(ordering: .acquiring)
        let value = word(way * 2 + 1).pointee.load(ordering: .acquiring)
        guard key > Self.busyKey, word(way * 2).pointee.load(ordering: .relaxed) == key else {
            return nil
        }
        return Entry(key: key, value: value)
    }

    /// Calls `body` with the entries in `places` that are not older than `expireSeconds`, and how
    /// old they are, until it returns false.
    ///
    /// - Returns: the first place that was not looked at.
    func walk(
        _ places: Range<Int>, nowSeconds: UInt32, expireSeconds: UInt32,
        _ body: (Entry, _ ageSeconds: UInt32) -> Bool
    ) -> Int {
        for way in places.clamped(to: 0..<capacity) {
            guard let entry = entry(at: way) else { continue }
            let age = Self.ageSeconds(of: entry.usedAtSeconds, nowSeconds: nowSeconds)
            guard age < expireSeconds else { continue }
            guard body(entry, age) else { return way }
        }
        return min(places.upperBound, capacity)
    }

    private func replace(_ way: Int, _ entry: Entry) {
        let keyWord = word(way * 2)
        let present = keyWord.pointee.load(ordering: .relaxed)
        guard present != Self.busyKey else { return }
        // Another worker that was faster has as good a claim to the place.
        guard
            keyWord.pointee.compareExchange(
                expected: present, desired: Self.busyKey, ordering: .acquiringAndReleasing
            ).exchanged
        else { return }
        word(way * 2 + 1).pointee.store(entry.value, ordering: .releasing)
        keyWord.pointee.store(entry.key, ordering: .releasing)
        if present == Self.emptyKey { inserted.wrappingAdd(1, ordering: .relaxed) }
    }

    /// Up to `limit` entries that are not older than `expireSeconds`, from place `start` on.
    ///
    /// - Returns: the entries, and where to go on; `nil` at the end of the table.
    func entries(
        from start: Int, limit: Int, nowSeconds: UInt32, expireSeconds: UInt32
    ) -> (entries: [Entry], next: Int?) {
        var entries: [Entry] = []
        var way = max(0, start)
        while way < capacity {
            guard entries.count < limit else { return (entries, way) }
            let entry = entry(at: way)
            way += 1
            guard let entry,
                Self.ageSeconds(of: entry.usedAtSeconds, nowSeconds: nowSeconds) < expireSeconds
            else { continue }
            entries.append(entry)
        }
        return (entries, nil)
    }
}
