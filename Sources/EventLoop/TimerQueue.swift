// SPDX-License-Identifier: Apache-2.0
//
// Deadlines in order. Knows no clock and runs nothing by itself.

public import WireCore

/// Names one scheduled timer; never reused within a queue.
public struct TimerID: Hashable, Sendable {
    fileprivate let number: UInt64
}

/// A binary heap of deadlines with payloads; cancelling is O(1), the entry is dropped when it
/// surfaces.
public struct TimerQueue<Payload> {
    private struct Entry {
        let deadline: Instant
        let number: UInt64
    }

    private var heap: [Entry] = []
    private var payloads: [UInt64: Payload] = [:]
    private var nextNumber: UInt64 = 0

    /// Makes an empty queue.
    public init() {}

    /// Timers that wait.
    public var count: Int { payloads.count }

    /// The earliest deadline, or `nil` when nothing waits.
    public mutating func nextDeadline() -> Instant? {
        dropCancelled()
        return heap.first?.deadline
    }

    /// Adds a timer; equal deadlines fire in the order they were added.
    public mutating func schedule(at deadline: Instant, _ payload: Payload) -> TimerID {
        let number = nextNumber
        nextNumber &+= 1
        payloads[number] = payload
        heap.append(Entry(deadline: deadline, number: number))
        siftUp(heap.count - 1)
        return TimerID(number: number)
    }

    /// Removes a timer; one that has fired or was cancelled is ignored.
    public mutating func cancel(_ timer: TimerID) {
        payloads[timer.number] = nil
        // Cancelled entries may outnumber live ones only by a bounded factor.
        if heap.count > 64, heap.count > 4 * payloads.count { compact() }
    }

    /// Takes the earliest timer that is due at `now`, with its deadline.
    public mutating func popDue(now: Instant) -> (deadline: Instant, payload: Payload)? {
        dropCancelled()
        guard let first = heap.first, first.deadline <= now,
            let payload = payloads.removeValue(forKey: first.number)
        else { return nil }
        removeFirst()
        return (first.deadline, payload)
    }

    private mutating func dropCancelled() {
        while let first = heap.first, payloads[first.number] == nil { removeFirst() }
    }

    private mutating func compact() {
        let live = heap.filter { payloads[$0.number] != nil }
        heap = live.sorted { Self.precedes($0, $1) }
    }

    private mutating func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        siftDown(0)
    }

    private static func precedes(_ left: Entry, _ right: Entry) -> Bool {
        (left.deadline, left.number) < (right.deadline, right.number)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard Self.precedes(heap[child], heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && Self.precedes(heap[child], heap[least]) {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
