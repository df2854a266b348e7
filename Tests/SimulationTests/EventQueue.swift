// SPDX-License-Identifier: Apache-2.0
//
// What happens next in virtual time. Equal times keep the order of scheduling, so runs replay.

import WireCore

/// A binary heap of events by time.
struct EventQueue<Event> {
    /// Small, so that moving it costs nothing; the event itself stays where it is.
    private struct Entry {
        var time: Instant
        var order: UInt64
        var slot: Int

        func precedes(_ other: Entry) -> Bool {
            time == other.time
                ? order < other.order : time.nanoseconds < other.time.nanoseconds
        }
    }

    private var heap: [Entry] = []
    private var events: [Event?] = []
    private var freeSlots: [Int] = []
    private var nextOrder: UInt64 = 0

    var nextTime: Instant? { heap.first?.time }

    mutating func schedule(_ event: Event, at time: Instant) {
        let entry = Entry(time: time, order: nextOrder, slot: place(event))
        nextOrder += 1
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entry.precedes(heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = entry
    }

    mutating func popNext() -> (time: Instant, event: Event)? {
        guard let first = heap.first, let event = events[first.slot] else { return nil }
        events[first.slot] = nil
        freeSlots.append(first.slot)
        let last = heap.removeLast()
        if !heap.isEmpty { sink(last) }
        return (first.time, event)
    }

    private mutating func place(_ event: Event) -> Int {
        guard let slot = freeSlots.popLast() else {
            events.append(event)
            return events.count - 1
        }
        events[slot] = event
        return slot
    }

    /// Puts `entry` where the root was and lets it fall to its place.
    private mutating func sink(_ entry: Entry) {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(entry) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = entry
    }
}
