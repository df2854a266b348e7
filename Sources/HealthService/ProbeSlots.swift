// SPDX-License-Identifier: Apache-2.0
//
// How many probes may run at once. Who comes too late waits in line.

import EventLoop
import WireCore

/// A fixed number of places for running probes, granted first come first served.
///
/// Joining, leaving and being granted cost the same however long the line is.
final class ProbeSlots {
    /// Someone who waits for a place.
    protocol Waiter: AnyObject {
        /// A place became free and now belongs to the waiter.
        func slotGranted()
    }

    /// A position in the line.
    struct Ticket: Hashable {
        fileprivate let number: UInt64
    }

    /// What a request for a place came to.
    enum Answer: Hashable {
        case granted
        case waits(Ticket)
    }

    private let capacity: Int
    private let loop: EventLoop
    private var takenCount = 0
    private var waiters: [UInt64: any Waiter] = [:]
    /// The next to be granted, and the next to be given out: those between wait or have left.
    private var first: UInt64 = 0
    private var next: UInt64 = 0
    private var isGrantScheduled = false

    init(capacity: Int, on loop: EventLoop) {
        self.capacity = capacity
        self.loop = loop
    }

    /// Takes a place; when there is none, `waiter` is granted one later.
    func acquire(for waiter: any Waiter) -> Answer {
        guard takenCount >= capacity else {
            takenCount += 1
            return .granted
        }
        defer { next += 1 }
        waiters[next] = waiter
        return .waits(Ticket(number: next))
    }

    /// Gives a place back.
    ///
    /// The next in line gets it from the loop, not from here: probes that are refused at once
    /// would otherwise nest as deeply as the line is long.
    func release() {
        precondition(takenCount > 0, "a slot was released twice")
        takenCount -= 1
        guard !waiters.isEmpty, !isGrantScheduled else { return }
        isGrantScheduled = true
        loop.schedule(at: loop.now) { [weak self] in self?.grant() }
    }

    /// Leaves the line.
    func forget(_ ticket: Ticket) {
        waiters[ticket.number] = nil
    }

    private func grant() {
        isGrantScheduled = false
        var granted: [any Waiter] = []
        while takenCount < capacity, first < next {
            defer { first += 1 }
            guard let waiter = waiters.removeValue(forKey: first) else { continue }
            takenCount += 1
            granted.append(waiter)
        }
        for waiter in granted { waiter.slotGranted() }
    }
}
