// SPDX-License-Identifier: Apache-2.0
//
// What a choice needs to know that other threads change: the caller's view of its shared counters.

/// The shared facts about the backends of one pool, read once per choice.
///
/// All workers share these numbers, so the owner of the threads keeps them (as atomics) and a
/// balancer only reads. Conform a small struct, never a class or an existential: the choice is
/// specialised for it and then costs no call and no allocation.
public protocol BackendLoads: ~Copyable {
    /// Requests that all workers together have in flight to a backend, connecting ones included.
    func requestsInFlight(at index: Int) -> Int
    /// True when the backend's own limit lets no further request in.
    func isAtLimit(at index: Int) -> Bool
    /// Requests in flight to all backends of the pool together; `nil` when nobody counts them.
    ///
    /// Bounded-load hashing compares with the mean. Without this number it adds up the backends,
    /// for large groups not at every choice.
    func requestsInFlightInPool() -> Int?
}

extension BackendLoads where Self: ~Copyable {
    /// Nobody counts them.
    @inlinable
    public func requestsInFlightInPool() -> Int? { nil }
}
