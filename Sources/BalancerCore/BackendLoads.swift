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
    /// True when the backend may be given new work: checks pass and nobody took it out.
    func isAvailable(at index: Int) -> Bool
}
