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
}
