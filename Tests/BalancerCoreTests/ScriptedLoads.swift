// SPDX-License-Identifier: Apache-2.0
//
// Loads, limits and availability that a test sets by hand.

import BalancerCore
import WireCore

/// The shared facts of a pool as plain arrays.
struct ScriptedLoads: BackendLoads {
    var inFlight: [Int]
    var available: [Bool]
    /// Requests each backend may have in flight.
    var limits: [Int]

    init(count: Int) {
        inFlight = [Int](repeating: 0, count: count)
        available = [Bool](repeating: true, count: count)
        limits = [Int](repeating: .max, count: count)
    }

    init(inFlight: [Int]) {
        self.init(count: inFlight.count)
        self.inFlight = inFlight
    }

    func requestsInFlight(at index: Int) -> Int { inFlight[index] }
    func isAtLimit(at index: Int) -> Bool { inFlight[index] >= limits[index] }
}

extension PoolBalancer {
    /// Makes unavailable backends unhealthy.
    mutating func obey(_ loads: ScriptedLoads) {
        setStandings(
            loads.available.indices.map { index in
                var standing = standing(at: index)
                standing.admission = loads.available[index] ? .serving : .unhealthy
                return standing
            })
    }

    /// A pool that never panics: most of it may be away in a test.
    static func calm(_ policy: SelectionPolicy, weights: [Int], seed: UInt64 = 1) -> PoolBalancer {
        PoolBalancer(
            PoolShape(
                policy: policy, weights: weights, sharing: PoolSharing(panicPercent: 0)),
            seed: seed)
    }

    /// The index of the backend that is chosen.
    mutating func pick(
        _ now: Instant, _ loads: ScriptedLoads,
        excluding attempted: AttemptedBackends = AttemptedBackends(), key: UInt64? = nil
    ) -> Int? {
        choose(now: now, loads: loads, excluding: attempted, key: key).index
    }
}
