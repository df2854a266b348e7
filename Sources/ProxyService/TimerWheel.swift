// SPDX-License-Identifier: Apache-2.0
//
// One deadline for each connection. Moving a deadline into the future, which happens at every
// request, is one store; the entry moves to its new place when the old one comes round.

import WireCore

/// A hashed wheel of deadlines, each named by a small number; knows no clock.
struct TimerWheel: ~Copyable {
    /// The precision of all timeouts of the data plane: they fire up to this much late.
    static let tick = TimeSpan.milliseconds(20)
    private static let slotCount = 4_096
    private static let nobody = UInt32.max
    private static let notArmed = UInt64.max

    private struct Node {
        var next: UInt32
        var previous: UInt32
        /// When it is due.
        var deadlineTick: UInt64
        /// Where it is in the wheel, never later than due; `notArmed` when it is nowhere.
        var placeTick: UInt64
    }

    private let nodes: UnsafeMutablePointer<Node>
    private let heads: UnsafeMutablePointer<UInt32>
    /// The first tick whose entries were not looked at yet.
    private var currentTick: UInt64

    /// Makes a wheel for the numbers below `capacity`.
    init(capacity: Int, now: Instant) {
        nodes = .allocate(capacity: capacity)
        heads = .allocate(capacity: Self.slotCount)
        heads.initialize(repeating: Self.nobody, count: Self.slotCount)
        currentTick = now.nanoseconds / Self.tick.nanoseconds
    }

    deinit {
        nodes.deallocate()
        heads.deallocate()
    }

    /// Begins the life of a number; required before anything else is done with it.
    mutating func prepare(_ number: Int) {
        (nodes + number).initialize(
            to: Node(
                next: Self.nobody, previous: Self.nobody, deadlineTick: 0,
                placeTick: Self.notArmed))
    }

    /// Sets the one deadline of a number.
    @inline(__always)
    mutating func arm(_ number: Int, at deadline: Instant) {
        let due = deadline.nanoseconds / Self.tick.nanoseconds &+ 1
        nodes[number].deadlineTick = due
        if nodes[number].placeTick <= due { return }
        place(number, due: due)
    }

    /// Removes the deadline of a number.
    mutating func disarm(_ number: Int) {
        if nodes[number].placeTick != Self.notArmed { unlink(number) }
    }

    /// Takes a number whose deadline has passed; its deadline is gone then.
    mutating func popExpired(now: Instant) -> Int? {
        let nowTick = now.nanoseconds / Self.tick.nanoseconds
        // After a long pause one look at every slot is enough.
        if nowTick > currentTick &+ UInt64(Self.slotCount) {
            currentTick = nowTick &- UInt64(Self.slotCount)
        }
        while currentTick <= nowTick {
            let head = heads[Self.slot(currentTick)]
            guard head != Self.nobody else {
                currentTick &+= 1
                continue
            }
            let number = Int(head)
            unlink(number)
            let due = nodes[number].deadlineTick
            if due <= nowTick { return number }
            link(number, placeTick: min(due, currentTick &+ UInt64(Self.slotCount) &- 1))
        }
        return nil
    }

    /// How long nothing can expire, looking no further than `limit`.
    func quietSpan(now: Instant, limit: TimeSpan) -> TimeSpan {
        var tick = currentTick
        let end = now + limit
        while true {
            let begin = Instant(nanoseconds: tick &* Self.tick.nanoseconds)
            guard begin < end else { return limit }
            if heads[Self.slot(tick)] != Self.nobody { return begin - now }
            tick &+= 1
        }
    }

    private mutating func place(_ number: Int, due: UInt64) {
        if nodes[number].placeTick != Self.notArmed { unlink(number) }
        let last = currentTick &+ UInt64(Self.slotCount) &- 1
        link(number, placeTick: min(max(due, currentTick), last))
    }

    private mutating func link(_ number: Int, placeTick: UInt64) {
        let slot = Self.slot(placeTick)
        let head = heads[slot]
        nodes[number].next = head
        nodes[number].previous = Self.nobody
        nodes[number].placeTick = placeTick
        if head != Self.nobody { nodes[Int(head)].previous = UInt32(truncatingIfNeeded: number) }
        heads[slot] = UInt32(truncatingIfNeeded: number)
    }

    private mutating func unlink(_ number: Int) {
        let node = nodes[number]
        if node.previous == Self.nobody {
            heads[Self.slot(node.placeTick)] = node.next
        } else {
            nodes[Int(node.previous)].next = node.next
        }
        if node.next != Self.nobody { nodes[Int(node.next)].previous = node.previous }
        nodes[number].placeTick = Self.notArmed
    }

    @inline(__always)
    private static func slot(_ tick: UInt64) -> Int {
        Int(tick & UInt64(slotCount - 1))
    }
}
