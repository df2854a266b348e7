// SPDX-License-Identifier: Apache-2.0
//
// Loads and availability that a test sets by hand.

import BalancerCore

/// The shared facts of a pool as plain arrays.
struct ScriptedLoads: BackendLoads {
    var inFlight: [Int]
    var available: [Bool]

    init(count: Int) {
        inFlight = [Int](repeating: 0, count: count)
        available = [Bool](repeating: true, count: count)
    }

    init(inFlight: [Int]) {
        self.init(count: inFlight.count)
        self.inFlight = inFlight
    }

    func requestsInFlight(at index: Int) -> Int { inFlight[index] }
    func isAvailable(at index: Int) -> Bool { available[index] }
}
