// SPDX-License-Identifier: Apache-2.0
//
// The names of the selection policies. How each one chooses lives in PoolBalancer.

/// How a pool chooses the backend of a request.
public enum SelectionPolicy: Hashable, Sendable, CaseIterable {
    /// Smooth weighted turns: load and latency are ignored.
    case roundRobin
    /// Fewest requests in flight for the weight; ties take turns.
    case leastRequests
    /// The less loaded of two random backends.
    case random
    /// Smallest average latency times requests in flight, failures penalised.
    case leastTime
    /// The slot of a Maglev table that the key falls on.
    case maglev
    /// The point of a hash ring that follows the key.
    case ringHash
    /// A Maglev table keyed by the client's address, whatever the load.
    case ipHash

    /// True when a choice wants a key and a `HashTable`.
    @inlinable public var usesHash: Bool {
        self == .maglev || self == .ringHash || self == .ipHash
    }
}
