// SPDX-License-Identifier: Apache-2.0
//
// Remembered cookies as a replicated table. Nothing is copied: pieces are made from the tables that
// the workers use, and the peer's entries go straight into them.
//
//     section   the pool's name, fingerprint of the key of its hash
//     entry     key (8), backend (4), seconds since its last use (4), whether the receiver told it
//               itself: 1, or 0 for what a client did at the sender (1)
//
// All bytes of an entry behind the age may be absent.

internal import BalancerCore
internal import ConfigurationCore
public import EventLoop
public import LinuxIO
public import ReplicationCore
internal import Synchronization
internal import WireCore

/// The cookies that pools learned, for the replication thread.
public final class StickyReplication: EventHandler {
    /// Entries that may wait for the peer; with more it gets the whole table.
    public static let waitingCountMax = 262_144
    /// Places that are looked at for one piece.
    static let placesPerPieceMax = 65_536
    static let entryByteCount = 17
    /// Those that every version tells.
    static let entryByteCountMin = 16
    /// Ages beyond mean nothing: a table tells times apart that are half its clock's turn away.
    static let ageSecondsMax: UInt32 = 1 << 30 - 1
    /// What workers report is fetched at most this often.
    static let fetchInterval = TimeSpan.milliseconds(1)

    /// A pool that learns.
    struct Pool {
        let name: [UInt8]
        let affinity: PoolAffinity
        let table: StickyTable
        let expireSeconds: UInt32

        init?(_ plan: PoolPlan) {
            guard let affinity = plan.affinity, let table = affinity.table,
                let sticky = affinity.sticky
            else { return nil }
            name = Array(plan.name.utf8)
            self.affinity = affinity
            self.table = table
            expireSeconds = sticky.expireSeconds
        }
    }

    /// Its number among the replicated tables.
    public let tableID: UInt8 = 1
    /// What it is called.
    public let name: StaticString = "sticky"
    /// Called when something waits.
    public var onChange: (() -> Void)?
    /// Changes were lost: the peer needs a snapshot.
    public private(set) var hasLostChanges = false
    private let dataPlane: DataPlane
    private let journal: StickyJournal
    private let counts: SharedStateTally
    private let loop: EventLoop?
    private var isFetchDue = false
    private var seen: DataPlaneSnapshot?
    private var pools: [Pool] = []
    /// The pools of a snapshot under way.
    private var walked: [Pool] = []
    private var waiting = UniqueQueue<StickyChange>()

    /// Serves the tables of a data plane; `nil` when it has no other node.
    ///
    /// - Parameters:
    ///   - dataPlane: whose tables.
    ///   - loop: the loop of the replication thread; without one the owner polls.
    /// - Throws: when the loop can watch no further descriptor.
    init?(_ dataPlane: DataPlane, on loop: EventLoop?) throws(Errno) {
        guard let journal = dataPlane.stickyJournal else { return nil }
        self.dataPlane = dataPlane
        self.journal = journal
        self.loop = loop
        counts = dataPlane.stateTallies.sticky
        _ = try loop?.add(journal.mailbox.wakeUp.descriptor, .readable, handler: self)
    }

    /// Entries of all pools.
    public var entryCount: Int { presentPools().reduce(0) { $0 + $1.table.count } }

    /// Entries that wait for the peer.
    ///
    /// What workers reported and nobody fetched yet, at most a millisecond's, counts as nothing.
    public var waitingCount: Int { waiting.count }

    private func presentPools() -> [Pool] {
        let snapshot = dataPlane.currentSnapshot
        if snapshot !== seen {
            seen = snapshot
            pools = snapshot.pools.compactMap { Pool($0) }
        }
        return pools
    }

    private static func nowSeconds() -> UInt32 {
        UInt32(truncatingIfNeeded: Clock.now().nanoseconds / 1_000_000_000)
    }

    // MARK: Telling

    /// Workers reported something: leaves them alone for a moment, so that they wake nobody.
    public func handle(_ events: EpollEvents, from source: EventSource) {
        journal.mailbox.wakeUp.acknowledge()
        guard !isFetchDue, let loop else { return }
        isFetchDue = true
        loop.schedule(after: Self.fetchInterval) { [weak self] in
            guard let self else { return }
            isFetchDue = false
            fetch()
            onChange?()
        }
    }

    private func fetch() {
        for changes in journal.mailbox.drain() {
            for change in changes { note(change) }
        }
        if journal.hasLost.exchange(false, ordering: .acquiringAndReleasing) {
            hasLostChanges = true
        }
    }

    /// Puts an entry in the line of those that the peer has to hear of.
    private func note(_ change: StickyChange) {
        guard waiting.count < Self.waitingCountMax else {
            waiting.removeAll()
            hasLostChanges = true
            return
        }
        waiting.insert(change)
    }

    /// What changed since the last call.
    public func nextChanges(byteCountMax: Int) -> StateBlob? {
        fetch()
        guard waiting.count > 0 else { return nil }
        let pools = presentPools()
        let nowSeconds = Self.nowSeconds()
        var writer = StateSectionWriter(fitting: byteCountMax)
        var open: Pool?
        while let change = waiting.first {
            if open?.table.number != change.table {
                guard let pool = pools.first(where: { $0.table.number == change.table }) else {
                    // A reload has replaced the table.
                    waiting.removeFirst()
                    continue
                }
                guard Self.begin(&writer, pool) else { break }
                open = pool
            }
            guard writer.room > 0 else { break }
            waiting.removeFirst()
            guard let entry = open?.table.entry(change.key) else { continue }
            Self.append(entry, nowSeconds: nowSeconds, to: &writer)
        }
        return counts.finish(&writer, table: tableID)
    }

    /// The piece of the tables from a place on; 0 begins.
    public func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        if cursor == 0 {
            walked = presentPools()
            journal.isWanted.store(true, ordering: .relaxed)
            journal.hasLost.store(false, ordering: .relaxed)
            hasLostChanges = false
            _ = journal.mailbox.drain()
            waiting.removeAll()
        }
        let nowSeconds = Self.nowSeconds()
        var writer = StateSectionWriter(fitting: byteCountMax)
        var places = Self.placesPerPieceMax
        var start = 0
        var position = max(0, cursor)
        for pool in walked {
            defer { start += pool.table.capacity }
            guard position < start + pool.table.capacity else { continue }
            guard places > 0, Self.begin(&writer, pool) else { break }
            let first = position - start
            let next = pool.table.walk(
                first..<first + places, nowSeconds: nowSeconds, expireSeconds: pool.expireSeconds
            ) { entry, _ in
                guard writer.room > 0 else { return false }
                Self.append(entry, nowSeconds: nowSeconds, to: &writer)
                return true
            }
            places -= next - first
            position = start + next
            guard next == pool.table.capacity else { break }
        }
        let end = walked.reduce(0) { $0 + $1.table.capacity }
        let isOver = position >= end
        if isOver { walked = [] }
        return (counts.finish(&writer, table: tableID), isOver ? nil : position)
    }

    private static func begin(_ writer: inout StateSectionWriter, _ pool: Pool) -> Bool {
        writer.begin(
            name: pool.name, fingerprint: pool.affinity.hashFingerprint,
            entryByteCount: entryByteCount)
    }

    private static func append(
        _ entry: StickyTable.Entry, nowSeconds: UInt32, to writer: inout StateSectionWriter
    ) {
        let age = StickyTable.ageSeconds(of: entry.usedAtSeconds, nowSeconds: nowSeconds)
        writer.append { bytes in
            bytes.appendBigEndian(entry.key)
            bytes.appendBigEndian(entry.backendID)
            bytes.appendBigEndian(age)
            bytes.append(entry.isHeard ? 1 : 0)
        }
    }

    // MARK: Hearing

    /// Takes what the peer remembers: of each cookie the newer use counts.
    public func apply(_ blob: StateBlob) {
        let pools = presentPools()
        let nowSeconds = Self.nowSeconds()
        counts.read(
            blob, entryByteCount: Self.entryByteCountMin,
            about: { section in
                pools.first {
                    $0.name == section.name && $0.affinity.hashFingerprint == section.fingerprint
                }
            }
        ) { take(&$0, into: $1, nowSeconds: nowSeconds, &$2) }
    }

    private func take(
        _ reader: inout ByteReader, into pool: Pool, nowSeconds: UInt32, _ tally: inout StateTally
    ) {
        guard let key = reader.readUInt64(), let backendID = reader.readUInt32(),
            let age = reader.readUInt32()
        else { return }
        guard age < pool.expireSeconds, age <= Self.ageSecondsMax else {
            tally.older &+= 1
            return
        }
        if pool.affinity.backend(withID: backendID) == nil {
            // It may come with a reload; until then nobody is sent there.
            tally.unknown &+= 1
        }
        let told = StickyTable.Entry(
            key: key, backendID: backendID, usedAtSeconds: nowSeconds &- age,
            isHeard: reader.readUInt8() == 1)
        switch pool.table.merge(told, nowSeconds: nowSeconds) {
        case .taken: tally.taken &+= 1
        case .older: tally.older &+= 1
        case .refuted:
            tally.older &+= 1
            note(StickyChange(key: key, table: pool.table.number))
        case .full: tally.full &+= 1
        }
    }
}

extension PoolAffinity {
    /// Tells whether two nodes mean the same cookie by the same key.
    var hashFingerprint: UInt64 { cookieHash.hash(0x7374_6963_6B79, 1) }
}
