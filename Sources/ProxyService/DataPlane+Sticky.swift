// SPDX-License-Identifier: Apache-2.0
//
// What the rest of the process may see of sticky clients: counters and remembered cookies.

internal import ConfigurationCore
internal import Synchronization
public import WireCore

/// What sticky clients of a pool met.
public struct StickyStatistics: Equatable, Sendable {
    /// Requests whose cookie led to its backend.
    public var kept: UInt64
    /// Requests whose backend could not be used.
    public var moved: UInt64
    /// Requests with a cookie that names nobody: expired, foreign or made up.
    public var unknown: UInt64
    /// Cookies given or learned.
    public var assigned: UInt64
    /// Application cookies remembered; those that expired count until they are replaced.
    public var entryCount: Int
    /// Application cookies it has room for; 0 unless the pool learns.
    public var entriesMax: Int
}

/// An application cookie that is remembered.
public struct StickyEntry: Equatable, Sendable {
    /// The seeded hash of its value; the value itself is not kept.
    public var key: UInt64
    /// The backend; `nil` when the pool no longer has it.
    public var backend: String?
    /// How long ago it was used, in whole seconds.
    public var idleSeconds: UInt32
}

extension DataPlane {
    /// What sticky clients of a pool met; `nil` for a pool without stickiness.
    public func stickyStatistics(pool: String) -> StickyStatistics? {
        guard let affinity = affinity(of: pool), affinity.sticky != nil else { return nil }
        return StickyStatistics(
            kept: affinity.counters.kept.load(ordering: .relaxed),
            moved: affinity.counters.moved.load(ordering: .relaxed),
            unknown: affinity.counters.unknown.load(ordering: .relaxed),
            assigned: affinity.counters.assigned.load(ordering: .relaxed),
            entryCount: affinity.table?.count ?? 0, entriesMax: affinity.table?.capacity ?? 0)
    }

    /// Application cookies that a pool remembers, from a place of its table on.
    ///
    /// - Returns: at most `limit` entries and where to go on, `nil` at the end; nothing for a
    ///   pool that does not learn.
    public func stickyEntries(
        pool: String, from start: Int = 0, limit: Int, now: Instant
    ) -> (entries: [StickyEntry], next: Int?) {
        guard let affinity = affinity(of: pool), let table = affinity.table,
            let sticky = affinity.sticky
        else { return ([], nil) }
        let names = currentSnapshot.pools.first { $0.name == pool }?.backends ?? []
        let nowSeconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        let found = table.entries(
            from: start, limit: limit, nowSeconds: nowSeconds,
            expireSeconds: sticky.expireSeconds)
        let entries = found.entries.map { entry in
            let index = affinity.backend(withID: entry.backendID)
            return StickyEntry(
                key: entry.key,
                backend: index.flatMap { $0 < names.count ? names[$0].identity.name : nil },
                idleSeconds: nowSeconds &- entry.usedAtSeconds)
        }
        return (entries, found.next)
    }

    private func affinity(of pool: String) -> PoolAffinity? {
        currentSnapshot.pools.first { $0.name == pool }?.affinity
    }
}
