// SPDX-License-Identifier: Apache-2.0
//
// Who waits for room in a pool, as all workers see it. The requests themselves wait in the lines of
// their workers; here each worker that has some is one bit, and room that becomes free is announced
// to one of them after the other.

internal import Synchronization

/// The workers that have requests waiting for one pool.
///
/// A worker joins *before* it looks for room a last time, and room is given back *before* anyone
/// looks who waits: one of the two always sees the other (all of these are sequentially
/// consistent). Whoever is called looks, and calls the next one that has not looked since room was
/// given back: so each release is seen by everybody it may help, each worker is called at most
/// once for it, and nobody spins.
struct SharedLine: ~Copyable, Sendable {
    /// Bits there are; workers beyond share one with another and are called together.
    static let seatCount = 64

    /// Workers with waiting requests.
    private let waiting = Atomic<UInt64>(0)
    /// Workers that were told to look and did not begin to.
    private let called = Atomic<UInt64>(0)
    /// Workers that have looked since room was given back last.
    private let tried = Atomic<UInt64>(0)
    /// Workers that were asked to close a connection that idles there.
    private let asked = Atomic<UInt64>(0)
    /// Who was called last: the next one comes after it.
    private let last = Atomic<UInt32>(0)
    private let seatsAreShared: Bool

    init(workerCount: Int) {
        seatsAreShared = workerCount > Self.seatCount
    }

    /// The bit of a worker.
    static func seat(ofWorker index: Int) -> Int { index % seatCount }

    /// True when somebody has to be told of room.
    @inline(__always)
    var isJoined: Bool { waiting.load(ordering: .sequentiallyConsistent) != 0 }

    /// A worker has one more request waiting.
    ///
    /// - Returns: true when it must look for room itself; false when another worker was called and
    ///   will call it.
    borrowing func join(seat: Int) -> Bool {
        let bit = Self.bit(seat)
        waiting.bitwiseOr(bit, ordering: .sequentiallyConsistent)
        tried.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        return called.load(ordering: .sequentiallyConsistent) & ~bit == 0
    }

    /// A worker begins to look for room.
    borrowing func look(seat: Int) {
        let bit = Self.bit(seat)
        called.bitwiseAnd(~bit, ordering: .sequentiallyConsistent)
        tried.bitwiseOr(bit, ordering: .sequentiallyConsistent)
    }

    /// True when a worker was told to look and did not begin to.
    func isCalled(seat: Int) -> Bool {
        called.load(ordering: .sequentiallyConsistent) & Self.bit(seat) != 0
    }

    /// A worker has no request waiting any more.
    borrowing func leave(seat: Int) {
        // Nobody knows whether those with the same bit still wait: they are called in vain then.
        guard !seatsAreShared else { return }
        waiting.bitwiseAnd(~Self.bit(seat), ordering: .sequentiallyConsistent)
    }

    /// Room was given back: who is to be told; `nil` when nobody waits or it is on its way.
    borrowing func callAfterRelease() -> Int? {
        tried.store(0, ordering: .sequentiallyConsistent)
        return callNext()
    }

    /// Who is to be told next, of those who have not looked yet.
    borrowing func callNext() -> Int? {
        let candidates =
            waiting.load(ordering: .sequentiallyConsistent)
            & ~tried.load(ordering: .sequentiallyConsistent)
        guard candidates != 0 else { return nil }
        let first = (last.load(ordering: .relaxed) &+ 1) % UInt32(Self.seatCount)
        let rotated =
            candidates &>> UInt64(first) | candidates &<< UInt64((64 &- first) % 64)
        let seat = Int(first &+ UInt32(rotated.trailingZeroBitCount)) % Self.seatCount
        last.store(UInt32(seat), ordering: .relaxed)
        let bit = Self.bit(seat)
        let before = called.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue
        return before & bit == 0 ? seat : nil
    }

    // MARK: Connections that idle elsewhere

    /// Asks a worker to close a connection that idles there; false when it was asked before.
    borrowing func ask(seat: Int) -> Bool {
        let bit = Self.bit(seat)
        return asked.bitwiseOr(bit, ordering: .sequentiallyConsistent).oldValue & bit == 0
    }

    /// Takes note of being asked; false when a worker was not.
    borrowing func takeRequest(seat: Int) -> Bool {
        let bit = Self.bit(seat)
        guard asked.load(ordering: .relaxed) & bit != 0 else { return false }
        return asked.bitwiseAnd(~bit, ordering: .sequentiallyConsistent).oldValue & bit != 0
    }

    @inline(__always)
    private static func bit(_ seat: Int) -> UInt64 { 1 &<< UInt64(seat) }
}
