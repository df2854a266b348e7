// SPDX-License-Identifier: Apache-2.0
//
// Where the backends of a configuration are found by name, whatever their number.

/// Pools and backends by name.
struct BackendDirectory: Sendable {
    /// The places of a pool and of its backends.
    private struct Entry {
        let place: Int
        let backends: [String: Int]
    }

    private let entries: [String: Entry]

    init(_ pools: [PoolPlan]) {
        var entries: [String: Entry] = [:]
        for (place, pool) in pools.enumerated() {
            var backends: [String: Int] = [:]
            backends.reserveCapacity(pool.backends.count)
            for (index, backend) in pool.backends.enumerated() {
                backends[backend.identity.name] = index
            }
            entries[pool.name] = Entry(place: place, backends: backends)
        }
        self.entries = entries
    }

    /// The place of a pool among the pools.
    func pool(_ name: String) -> Int? { entries[name]?.place }

    /// The places of a pool and of one of its backends.
    func backend(_ name: String, in pool: String) -> (pool: Int, index: Int)? {
        guard let entry = entries[pool], let index = entry.backends[name] else { return nil }
        return (entry.place, index)
    }
}
