// SPDX-License-Identifier: Apache-2.0
//
// What changed and waits to be told: each thing once, first in first out, and no longer than what
// waits in it.

/// Things that wait, each once, first in first out.
public struct UniqueQueue<Change: Hashable & Sendable>: Sendable {
    private var order: [Change] = []
    private var start = 0
    private var waiting: Set<Change> = []

    /// Makes an empty queue.
    public init() {}

    /// How many wait.
    public var count: Int { waiting.count }

    /// Places that it keeps memory for; bounded by twice what waits and what was taken out.
    var placeCount: Int { order.count }

    /// Puts something at the end, unless it waits already.
    public mutating func insert(_ change: Change) {
        guard waiting.insert(change).inserted else { return }
        order.append(change)
    }

    /// It waits no more.
    public mutating func remove(_ change: Change) {
        guard waiting.remove(change) != nil else { return }
        // Its place would count twice if it came again.
        if order.count - start > 2 * waiting.count + 64 { tidy() }
    }

    /// The first that still waits.
    public var first: Change? {
        mutating get {
            while start < order.count {
                if waiting.contains(order[start]) { return order[start] }
                skip()
            }
            return nil
        }
    }

    /// Takes the first one out.
    public mutating func removeFirst() {
        guard let change = first else { return }
        waiting.remove(change)
        skip()
    }

    /// Nothing waits any more.
    public mutating func removeAll() {
        self = UniqueQueue()
    }

    private mutating func skip() {
        start += 1
        guard start > order.count / 2 else { return }
        order.removeFirst(start)
        start = 0
    }

    /// Keeps the first place of each that waits.
    private mutating func tidy() {
        var seen: Set<Change> = []
        order = order[start...].filter { waiting.contains($0) && seen.insert($0).inserted }
        start = 0
    }
}
