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
    private var toldAt = Instant(nanoseconds: 0)
    private var position: Int?

    init(_ dataPlane: DataPlane) {
        self.dataPlane = dataPlane
        counts = dataPlane.stateTallies.concurrency
    }

    private var pools: [PoolPlan] {
        dataPlane.currentSnapshot.pools.filter { $0.configuration.adaptiveConcurrency != nil }
    }

    /// Pools with an adaptive limit.
    public var entryCount: Int { pools.count }

    /// What is learned is told each second.
    public var waitingCount: Int { 0 }

    /// The limits that were learned here.
    public func nextChanges(byteCountMax: Int) -> StateBlob? {
        let now = Clock.now()
        if position == nil {
            guard now - toldAt >= Self.interval else { return nil }
            toldAt = now
            position = 0
        }
        let pools = pools
        var writer = StateSectionWriter(byteCountMax: min(byteCountMax, StateBlob.byteCountMax))
        while let place = position {
            guard place < pools.count else {
                position = nil
                break
            }
            let shares = pools[place].shared.adaptive
            let limit = shares.settledLimit.load(ordering: .relaxed)
            if let baseline = shares.baseline, limit < Int.max {
                guard
                    writer.begin(
                        name: Array(pools[place].name.utf8), fingerprint: 0,
                        entryByteCount: Self.entryByteCount)
                else { break }
                writer.append { bytes in
                    bytes.appendBigEndian(UInt32(clamping: limit))
                    bytes.appendBigEndian(UInt32(clamping: baseline.microseconds))
                }
            }
            position = place + 1
        }
        counts.count { $0.sent &+= UInt64(writer.entryCount) }
        return writer.blob(table: tableID)
    }

    /// Everything is told with the next changes.
    public func snapshot(from cursor: Int, byteCountMax: Int) -> (blob: StateBlob?, next: Int?) {
        toldAt = Instant(nanoseconds: 0)
        position = nil
        return (nil, nil)
    }

    /// Takes the peer's limits; workers that have learned nothing of late look at them.
    public func apply(_ blob: StateBlob) {
        let sections: [StateSection]
        do throws(StateFault) {
            sections = try StateSection.sections(of: blob.bytes)
        } catch {
            counts.count { $0.faults &+= 1 }
            return
        }
        let pools = pools
        let now = Clock.now()
        var tally = StateTally()
        for section in sections {
            tally.received &+= UInt64(section.entryCount)
            guard let pool = pools.first(where: { Array($0.name.utf8) == section.name }) else {
                tally.unknown &+= UInt64(section.entryCount)
                continue
            }
            let isRead = section.forEachEntry(in: blob.bytes, byteCountMin: Self.entryByteCount) {
                guard let limit = $0.readUInt32(), let microseconds = $0.readUInt32() else {
                    return
                }
                let shares = pool.shared.adaptive
                shares.peerLimit.store(Int(limit), ordering: .relaxed)
                shares.peerBaselineMicroseconds.store(UInt64(microseconds), ordering: .relaxed)
                shares.peerSeconds.store(PeerHint.seconds(now), ordering: .releasing)
                tally.taken &+= 1
            }
            if !isRead { tally.faults &+= 1 }
        }
        counts.count { $0 += tally }
    }
}
