// SPDX-License-Identifier: Apache-2.0
//
// How many probes may run at once. Who comes too late waits in line.

import EventLoop
import WireCore

/// A fixed number of places for running probes, granted first come first served.
final class ProbeSlots {
    /// Someone who waits for a place.
    protocol Waiter: AnyObject {
        /// A place became free and now belongs to the waiter.
        func slotGranted()
    }

    private let capacity: Int
    private let loop: EventLoop
    private var takenCount = 0
    private var waiters: [any Waiter] = []
    private var isGrantScheduled = false

    init(capacity: Int, on loop: EventLoop) {
        self.capacity = capacity
        self.loop = loop
    }

    /// Takes a place; when there is none, `waiter` is granted one later.
    func acquire(for waiter: any Waiter) -> Bool {
        guard takenCount >= capacity else {
            takenCount += 1
            return true
        }
        waiters.append(waiter)
        return false
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
    func forget(_ waiter: any Waiter) {
        waiters.removeAll { $0 === waiter }
    }

    private func grant() {
        isGrantScheduled = false
        let granted = waiters.prefix(max(0, capacity - takenCount))
        waiters.removeFirst(granted.count)
        takenCount += granted.count
        for waiter in granted { waiter.slotGranted() }
    }
}
