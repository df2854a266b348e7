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
    private var position = (pool: 0, backend: 0)
    private var began = Instant(nanoseconds: 0)
    private var isUnderWay = false

    init(_ dataPlane: DataPlane) {
        self.dataPlane = dataPlane
        counts = dataPlane.stateTallies.clocks
    }

    /// Backends with an average.
    public var entryCount: Int { watched().reduce(0) { $0 + $1.backends.count } }

    /// Unknown before one looks; what is found is told at once.
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
        isUnderWay = false
        return pools
    }

    // MARK: Telling

    /// Averages that changed since the peer was told.
    public func nextChanges(byteCountMax: Int) -> StateBlob? {
        let pools = watched()
        guard !pools.isEmpty else { return nil }
        let now = Clock.now()
        if !isUnderWay {
            guard now - began >= Self.interval else { return nil }
            began = now
            isUnderWay = true
            position = (0, 0)
        }
        var writer = StateSectionWriter(byteCountMax: min(byteCountMax, StateBlob.byteCountMax))
        while position.pool < pools.count {
            guard tell(pools[position.pool], to: &writer, now: now) else { break }
            position = (position.pool + 1, 0)
        }
        if position.pool >= pools.count { isUnderWay = false }
        counts.count { $0.sent &+= UInt64(writer.entryCount) }
        return writer.blob(table: tableID)
    }

    /// Everything is told with the next changes.
    public func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        told = [:]
        began = Instant(nanoseconds: 0)
        isUnderWay = false
        return (nil, nil)
    }

    /// Writes the averages of a pool; false when there was no room for all.
    private func tell(
        _ pool: PoolPlan, to writer: inout StateSectionWriter, now: Instant
    ) -> Bool {
        var isOpen = false
        while position.backend < pool.backends.count {
            let backend = pool.backends[position.backend]
            let identifier = ObjectIdentifier(backend)
            if let average = backend.averageMicroseconds,
                isNews(average, told[identifier], now: now)
            {
                if !isOpen {
                    guard
                        writer.begin(
                            name: Array(pool.name.utf8), fingerprint: 0,
                            entryByteCount: Self.entryByteCount)
                    else { return false }
                    isOpen = true
                }
                guard writer.room > 0 else { return false }
                writer.append { bytes in
                    bytes.appendBigEndian(PoolAffinity.backendID(of: backend.identity.name))
                    bytes.appendBigEndian(average)
                }
                told[identifier] = Told(microseconds: average, at: now)
            }
            position.backend += 1
        }
        return true
    }

    private func isNews(_ average: UInt32, _ told: Told?, now: Instant) -> Bool {
        guard let told, now - told.at < Self.repeatInterval else { return true }
        let change = max(average, told.microseconds) - min(average, told.microseconds)
        return change > told.microseconds / Self.toldParts
    }

    // MARK: Hearing

    /// Takes the peer's averages; workers that know nothing better look at them.
    public func apply(_ blob: StateBlob) {
        let sections: [StateSection]
        do throws(StateFault) {
            sections = try StateSection.sections(of: blob.bytes)
        } catch {
            counts.count { $0.faults &+= 1 }
            return
        }
        _ = watched()
        let now = Clock.now()
        var tally = StateTally()
        for section in sections {
            tally.received &+= UInt64(section.entryCount)
            guard let backends = places[String(decoding: section.name, as: UTF8.self)] else {
                tally.unknown &+= UInt64(section.entryCount)
                continue
            }
            let isRead = section.forEachEntry(in: blob.bytes, byteCountMin: Self.entryByteCount) {
                guard let identifier = $0.readUInt32(), let microseconds = $0.readUInt32() else {
                    return
                }
                guard let backend = backends[identifier] else {
                    tally.unknown &+= 1
                    return
                }
                let hint = PeerHint(.microseconds(UInt64(microseconds)), now: now)
                backend.peerLatency.store(hint.word, ordering: .relaxed)
                tally.taken &+= 1
            }
            if !isRead { tally.faults &+= 1 }
        }
        counts.count { $0 += tally }
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
