// SPDX-License-Identifier: Apache-2.0
//
// How many probe connections may stay open between probes.

/// Counts the connections that are kept for the next probe.
final class KeptConnections {
    private let capacity: Int
    private var count = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// True when one more may be kept; it then counts until `release`.
    func admit() -> Bool {
        guard count < capacity else { return false }
        count += 1
        return true
    }

    func release() {
        precondition(count > 0, "a kept connection was released twice")
        count -= 1
    }
}
