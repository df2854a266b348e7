// SPDX-License-Identifier: Apache-2.0
//
// The latencies that choices go by as a replicated table: a node that takes over knows which
// backends are fast. Only pools that choose by time have them, and only a node that has heard
// nothing itself of late takes the other's.
//
//     section   the pool's name, no fingerprint
//     entry     backend (4), microseconds (4)

internal import BalancerCore
internal import LinuxIO
public import ReplicationCore
internal import Synchronization
internal import WireCore

/// Average latencies of backends, for the replication thread.
public final class ClockReplication {
    /// How often averages are compared with what the peer was told.
    static let interval = TimeSpan.seconds(1)
    /// What did not change is told again after so long, or the peer took it for old.
    static let repeatInterval = TimeSpan.seconds(10)
    /// A change by less than this part of it is not told.
    static let toldParts: UInt32 = 10
    static let entryByteCount = 8

    /// What the peer was told of a backend.
    private struct Told {
        var microseconds: UInt32
        var at: Instant
    }

    /// Its number among the replicated tables.
    public let tableID: UInt8 = 5
    /// What it is called.
    public let name: StaticString = "clocks"
    /// Never called: changes are looked for.
    public var onChange: (() -> Void)?
    private let dataPlane: DataPlane
    private let counts: SharedStateTally
    private var told: [ObjectIdentifier: Told] = [:]
    private var seen: DataPlaneSnapshot?
    /// Pools that choose by time, with the numbers of their backends.
    private var pools: [PoolPlan] = []
    private var places: [String: [UInt32: SharedBackend]] = [:]
    private var pace = TablePace(every: interval, from: (pool: 0, backend: 0))
    /// Where the snapshot under way goes on.
    private var snapshotPlace = (pool: 0, backend: 0)

    init(_ dataPlane: DataPlane) {
        self.dataPlane = dataPlane
        counts = dataPlane.stateTallies.clocks
    }

    /// Backends with an average.
    public var entryCount: Int {
        watched().reduce(0) { $0 + $1.backends.count { $0.averageMicroseconds != nil } }
    }

    /// What changed since the last look, at most a second ago, counts as nothing.
    public var waitingCount: Int { 0 }

    private func watched() -> [PoolPlan] {
        let snapshot = dataPlane.currentSnapshot
        guard snapshot !== seen else { return pools }
        seen = snapshot
        pools = snapshot.pools.filter { $0.shape.policy == .leastTime }
        places = [:]
        var known: [ObjectIdentifier: Told] = [:]
        for pool in pools {
            var backends: [UInt32: SharedBackend] = [:]
            for backend in pool.backends {
                backends[PoolAffinity.backendID(of: backend.identity.name)] = backend
                let identifier = ObjectIdentifier(backend)
                known[identifier] = told[identifier]
            }
            places[pool.name] = backends
        }
        told = known
        pace.giveUp()
        return pools
    }

    // MARK: Telling

    /// Averages that changed since the peer was told.
    public func nextChanges(byteCountMax: Int) -> StateBlob? {
        guard !watched().isEmpty, let place = pace.place(at: Clock.now()) else { return nil }
        let (blob, next) = piece(from: place, byteCountMax: byteCountMax)
        pace.stopped(before: next)
        return blob
    }

    /// The next piece of all averages; 0 begins, later ones only say that it goes on.
    public func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        _ = watched()
        if cursor <= 0 {
            told = [:]
            pace.giveUp()
            snapshotPlace = (0, 0)
        }
        let (blob, next) = piece(from: snapshotPlace, byteCountMax: byteCountMax)
        guard let next else { return (blob, nil) }
        snapshotPlace = next
        return (blob, max(0, cursor) + 1)
    }

    /// What is news of the backends from a place on, and where it had no more room.
    private func piece(
        from start: (pool: Int, backend: Int), byteCountMax: Int
    ) -> (blob: StateBlob?, next: (pool: Int, backend: Int)?) {
        let now = Clock.now()
        var writer = StateSectionWriter(fitting: byteCountMax)
        var place = start
        while place.pool < pools.count {
            guard let backend = tell(pools[place.pool], from: place.backend, to: &writer, now: now)
            else {
                place = (place.pool + 1, 0)
                continue
            }
            // A place for which an empty piece has no room would be in the way for ever.
            guard writer.entryCount > 0 else { break }
            return (counts.finish(&writer, table: tableID), (place.pool, backend))
        }
        return (counts.finish(&writer, table: tableID), nil)
    }

    /// Writes the averages of a pool; returns the first backend for which there was no room.
    private func tell(
        _ pool: PoolPlan, from start: Int, to writer: inout StateSectionWriter, now: Instant
    ) -> Int? {
        var isOpen = false
        for (place, backend) in pool.backends.enumerated().dropFirst(start) {
            let identifier = ObjectIdentifier(backend)
            guard let average = backend.averageMicroseconds,
                isNews(average, told[identifier], now: now)
            else { continue }
            if !isOpen {
                isOpen = writer.begin(
                    name: Array(pool.name.utf8), fingerprint: 0,
                    entryByteCount: Self.entryByteCount)
            }
            guard writer.room > 0 else { return place }
            writer.append { bytes in
                bytes.appendBigEndian(PoolAffinity.backendID(of: backend.identity.name))
                bytes.appendBigEndian(average)
            }
            told[identifier] = Told(microseconds: average, at: now)
        }
        return nil
    }

    private func isNews(_ average: UInt32, _ told: Told?, now: Instant) -> Bool {
        guard let told, now - told.at < Self.repeatInterval else { return true }
        let change = max(average, told.microseconds) - min(average, told.microseconds)
        return change > told.microseconds / Self.toldParts
    }

    // MARK: Hearing

    /// Takes the peer's averages; workers that know nothing better look at them.
    public func apply(_ blob: StateBlob) {
        _ = watched()
        let now = Clock.now()
        counts.read(
            blob, entryByteCount: Self.entryByteCount,
            about: { places[String(decoding: $0.name, as: UTF8.self)] }
        ) { reader, backends, tally in
            guard let identifier = reader.readUInt32(), let microseconds = reader.readUInt32()
            else { return }
            guard let backend = backends[identifier] else {
                tally.unknown &+= 1
                return
            }
            let hint = PeerHint(.microseconds(UInt64(microseconds)), now: now)
            backend.peerLatency.store(hint.word, ordering: .relaxed)
            tally.taken &+= 1
        }
    }
}

extension SharedBackend {
    /// The mean of the averages of the workers that have one; `nil` when none has.
    var averageMicroseconds: UInt32? {
        var sum: UInt64 = 0
        var count: UInt64 = 0
        for row in tallies {
            let average = row.averageMicroseconds.load(ordering: .relaxed)
            guard average > 0 else { continue }
            sum += UInt64(average)
            count += 1
        }
        return count == 0 ? nil : UInt32(clamping: sum / count)
    }
}
