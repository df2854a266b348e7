// SPDX-License-Identifier: Apache-2.0
//
// Rate limits as a replicated table. Workers write nothing down: their buckets are looked through
// now and then, and compared with what the peer was told.
//
//     section   no name, fingerprint of the limit
//     entry     set (2), tag (3), ticks until the bucket is full (4)

internal import BalancerCore
internal import LinuxIO
public import ReplicationCore
internal import Synchronization
internal import WireCore

/// The buckets of all rate limits, for the replication thread.
public final class RateLimitReplication {
    /// How often a bucket is looked at.
    static let scanInterval = TimeSpan.milliseconds(100)
    /// How old the count of buckets in use may be.
    static let countInterval = TimeSpan.seconds(1)
    /// Buckets that are looked at in one call; those of more limits take turns.
    static let bucketsPerCallMax = 262_144
    static let entryByteCount = 9

    /// A limit and what the peer was told of its buckets.
    private final class Watched {
        let limit: SharedRateLimit
        /// The word of each bucket when the peer heard of it last.
        private let pages: ZeroedPages
        let told: UnsafeMutablePointer<UInt64>

        init(_ limit: SharedRateLimit) throws(Errno) {
            self.limit = limit
            let count = limit.cells.count
            pages = try ZeroedPages(byteCount: count * MemoryLayout<UInt64>.stride)
            told = pages.base.bindMemory(to: UInt64.self, capacity: count)
        }

        /// Buckets from which something was taken that has not come back.
        func inUseCount(at now: Instant) -> Int {
            (0..<limit.cells.count).count {
                limit.buckets.isInUse(limit.cells.load(at: $0), now: now)
            }
        }
    }

    /// Its number among the replicated tables.
    public let tableID: UInt8 = 2
    /// What it is called.
    public let name: StaticString = "rates"
    /// Never called: changes are looked for.
    public var onChange: (() -> Void)?
    private let dataPlane: DataPlane
    private let counts: SharedStateTally
    private var seen: DataPlaneSnapshot?
    private var limits: [Watched] = []
    private var places: [UInt64: Int] = [:]
    private var pace = TablePace(every: scanInterval, from: (limit: 0, bucket: 0))
    private var used = (count: 0, at: Instant(nanoseconds: 0))

    init(_ dataPlane: DataPlane) {
        self.dataPlane = dataPlane
        counts = dataPlane.stateTallies.rates
    }

    /// Buckets that are not full, at most a second ago.
    public var entryCount: Int {
        let limits = watched()
        let now = Clock.now()
        if now - used.at >= Self.countInterval {
            used = (limits.reduce(0) { $0 + $1.inUseCount(at: now) }, now)
        }
        return used.count
    }

    /// What a look finds is told at once; what was taken since then counts as nothing.
    public var waitingCount: Int { 0 }

    private func watched() -> [Watched] {
        let snapshot = dataPlane.currentSnapshot
        guard snapshot !== seen else { return limits }
        seen = snapshot
        var known: [ObjectIdentifier: Watched] = [:]
        for one in limits { known[ObjectIdentifier(one.limit)] = one }
        // Without memory for what was told a limit is not told at all.
        limits = snapshot.rateLimits.compactMap {
            known[ObjectIdentifier($0)] ?? (try? Watched($0))
        }
        places = [:]
        for (place, one) in limits.enumerated() { places[one.limit.fingerprint] = place }
        pace.giveUp()
        used.at = Instant(nanoseconds: 0)
        return limits
    }

    // MARK: Telling

    /// What was taken from buckets since the peer was told, as far as it is worth telling.
    public func nextChanges(byteCountMax: Int) -> StateBlob? {
        let limits = watched()
        guard !limits.isEmpty else { return nil }
        let now = Clock.now()
        guard let place = pace.place(at: now) else { return nil }
        var writer = StateSectionWriter(fitting: byteCountMax)
        let next = tell(limits, from: place, to: &writer, now: now)
        pace.stopped(before: next.limit < limits.count ? next : nil)
        return counts.finish(&writer, table: tableID)
    }

    /// The piece of all buckets from a place on; 0 begins.
    public func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        let limits = watched()
        if cursor <= 0 {
            for one in limits { one.told.update(repeating: 0, count: one.limit.cells.count) }
            pace.giveUp()
        }
        // Limits are of one size, or smaller.
        let (limit, bucket) = max(0, cursor).quotientAndRemainder(
            dividingBy: SharedRateLimit.keyCountMax)
        var writer = StateSectionWriter(fitting: byteCountMax)
        let next = tell(limits, from: (limit, bucket), to: &writer, now: Clock.now())
        let isOver = next.limit >= limits.count
        return (
            counts.finish(&writer, table: tableID),
            isOver ? nil : next.limit * SharedRateLimit.keyCountMax + next.bucket
        )
    }

    /// Looks at some buckets and writes what the peer lacks; returns where to go on.
    private func tell(
        _ limits: [Watched], from start: (limit: Int, bucket: Int),
        to writer: inout StateSectionWriter, now: Instant
    ) -> (limit: Int, bucket: Int) {
        var (place, bucket) = start
        var budget = Self.bucketsPerCallMax
        while place < limits.count {
            let watched = limits[place]
            let limit = watched.limit
            let end = min(limit.cells.count, bucket + budget)
            guard
                bucket >= end
                    || writer.begin(
                        name: [], fingerprint: limit.fingerprint,
                        entryByteCount: Self.entryByteCount)
            else { return (place, bucket) }
            while bucket < end {
                let word = limit.cells.load(at: bucket)
                let told = watched.told[bucket]
                if word != told,
                    let debt = limit.buckets.debt(at: bucket, word, told: told, now: now)
                {
                    guard writer.room > 0 else { return (place, bucket) }
                    Self.append(debt, to: &writer)
                    watched.told[bucket] = word
                }
                bucket += 1
                budget -= 1
            }
            guard bucket >= limit.cells.count else { return (place, bucket) }
            place += 1
            bucket = 0
        }
        return (place, 0)
    }

    private static func append(_ debt: BucketDebt, to writer: inout StateSectionWriter) {
        writer.append { bytes in
            bytes.appendBigEndian(UInt16(truncatingIfNeeded: debt.set))
            bytes.append(UInt8(truncatingIfNeeded: debt.tag >> 16))
            bytes.appendBigEndian(UInt16(truncatingIfNeeded: debt.tag))
            bytes.appendBigEndian(debt.ticks)
        }
    }

    // MARK: Hearing

    /// Takes the peer's debts: of each bucket the fuller one counts.
    public func apply(_ blob: StateBlob) {
        let limits = watched()
        let now = Clock.now()
        counts.read(
            blob, entryByteCount: Self.entryByteCount,
            about: { places[$0.fingerprint].map { limits[$0] } }
        ) { Self.take(&$0, into: $1, now: now, &$2) }
    }

    private static func take(
        _ reader: inout ByteReader, into watched: Watched, now: Instant,
        _ tally: inout StateTally
    ) {
        guard let set = reader.readUInt16(), let high = reader.readUInt8(),
            let low = reader.readUInt16(), let ticks = reader.readUInt32()
        else { return }
        let debt = BucketDebt(
            set: UInt32(set), tag: UInt32(high) << 16 | UInt32(low), ticks: ticks)
        switch watched.limit.buckets.merge(debt, now: now, into: watched.limit.cells) {
        case .taken(let index, let word):
            // What the peer said needs no telling.
            watched.told[index] = word
            tally.taken &+= 1
        case .less: tally.older &+= 1
        case .full: tally.full &+= 1
        case .invalid: tally.faults &+= 1
        }
    }
}

extension DataPlaneSnapshot {
    /// The rate limits of all listeners and routes.
    var rateLimits: [SharedRateLimit] {
        listeners.flatMap { listener -> [SharedRateLimit] in
            guard case .http(_, let routes, let limits) = listener.service else { return [] }
            return limits + routes.flatMap(\.rateLimits)
        }
    }
}
