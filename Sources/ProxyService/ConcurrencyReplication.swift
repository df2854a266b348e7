// SPDX-License-Identifier: Apache-2.0
//
// Adaptive limits as a replicated table: a node that takes over begins with the limit that the
// other one had learned, and not with the largest. The limits of pools themselves count what is in
// flight here, so there is nothing to carry over about them.
//
//     section   the pool's name, no fingerprint
//     entry     requests in flight (4), latency that counts as good in microseconds (4)

internal import ConfigurationCore
internal import LinuxIO
public import ReplicationCore
internal import Synchronization
internal import WireCore

/// What adaptive concurrency learned, for the replication thread.
public final class ConcurrencyReplication {
    /// How often limits are told.
    static let interval = TimeSpan.seconds(1)
    static let entryByteCount = 8

    /// Its number among the replicated tables.
    public let tableID: UInt8 = 6
    /// What it is called.
    public let name: StaticString = "concurrency"
    /// Never called: changes are looked for.
    public var onChange: (() -> Void)?
    private let dataPlane: DataPlane
    private let counts: SharedStateTally
    private var pace = TablePace(every: interval, from: 0)

    init(_ dataPlane: DataPlane) {
        self.dataPlane = dataPlane
        counts = dataPlane.stateTallies.concurrency
    }

    private var pools: [PoolPlan] {
        dataPlane.currentSnapshot.pools.filter { $0.configuration.adaptiveConcurrency != nil }
    }

    /// Pools whose limit was learned here.
    public var entryCount: Int { pools.count { Self.learned($0) != nil } }

    /// What is learned is told each second; what was since counts as nothing.
    public var waitingCount: Int { 0 }

    private static func learned(_ pool: PoolPlan) -> (limit: UInt32, microseconds: UInt32)? {
        let shares = pool.shared.adaptive
        let limit = shares.settledLimit.load(ordering: .relaxed)
        guard let baseline = shares.baseline, limit < Int.max else { return nil }
        return (UInt32(clamping: limit), UInt32(clamping: baseline.microseconds))
    }

    /// The limits that were learned here.
    public func nextChanges(byteCountMax: Int) -> StateBlob? {
        guard let place = pace.place(at: Clock.now()) else { return nil }
        let (blob, next) = piece(from: place, byteCountMax: byteCountMax)
        pace.stopped(before: next)
        return blob
    }

    /// The limits of pools from a place on; 0 begins.
    public func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        pace.giveUp()
        return piece(from: max(0, cursor), byteCountMax: byteCountMax)
    }

    private func piece(from start: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        let pools = pools
        var writer = StateSectionWriter(fitting: byteCountMax)
        var place = start
        while place < pools.count {
            if let (limit, microseconds) = Self.learned(pools[place]) {
                guard
                    writer.begin(
                        name: Array(pools[place].name.utf8), fingerprint: 0,
                        entryByteCount: Self.entryByteCount)
                else { break }
                writer.append { bytes in
                    bytes.appendBigEndian(limit)
                    bytes.appendBigEndian(microseconds)
                }
            }
            place += 1
        }
        // A place for which an empty piece has no room would be in the way for ever.
        let isStuck = place == start && writer.entryCount == 0
        return (
            counts.finish(&writer, table: tableID),
            place < pools.count && !isStuck ? place : nil
        )
    }

    /// Takes the peer's limits; workers that have learned nothing of late look at them.
    public func apply(_ blob: StateBlob) {
        let pools = pools
        let now = Clock.now()
        counts.read(
            blob, entryByteCount: Self.entryByteCount,
            about: { section in pools.first { Array($0.name.utf8) == section.name } }
        ) { reader, pool, tally in
            guard let limit = reader.readUInt32(), let microseconds = reader.readUInt32() else {
                return
            }
            let shares = pool.shared.adaptive
            shares.peerLimit.store(Int(limit), ordering: .relaxed)
            shares.peerBaselineMicroseconds.store(UInt64(microseconds), ordering: .relaxed)
            shares.peerSeconds.store(PeerHint.seconds(now), ordering: .releasing)
            tally.taken &+= 1
        }
    }
}
