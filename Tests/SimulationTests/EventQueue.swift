// SPDX-License-Identifier: Apache-2.0
//
// What happens next in virtual time. Equal times keep the order of scheduling, so runs replay.

import WireCore

/// A binary heap of events by time.
struct EventQueue<Event> {
    private struct Entry {
        var time: Instant
        var order: UInt64
        var event: Event
    }

    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    var nextTime: Instant? { heap.first?.time }

    mutating func schedule(_ event: Event, at time: Instant) {
        heap.append(Entry(time: time, order: nextOrder, event: event))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard precedes(child, parent) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popNext() -> (time: Instant, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if heap.isEmpty { return (first.time, first.event) }
        heap[0] = last
        var parent = 0
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if precedes(child, best) { best = child }
            }
            if best == parent { break }
            heap.swapAt(parent, best)
            parent = best
        }
        return (first.time, first.event)
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        let (leftTime, rightTime) = (heap[left].time.nanoseconds, heap[right].time.nanoseconds)
        if leftTime != rightTime { return leftTime < rightTime }
        return heap[left].order < heap[right].order
    }
}
