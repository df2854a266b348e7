// SPDX-License-Identifier: Apache-2.0
//
// Weighted turns in large groups: earliest due first, from a heap. Each backend's turns are due at
// a distance of 1 / weight, so that in every cycle it gets as many as its weight, evenly spread.

extension PoolBalancer {
    /// The distance of the turns of a weight of one hundredth.
    ///
    /// Due times wrap around. They are compared by their difference, which is below this.
    private static var turnCycle: UInt64 { 1 << 40 }

    /// The next in turn with room; those without keep their turn and are asked again.
    @inlinable
    mutating func nextInTurn(
        _ position: Int, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends
    ) -> BackendChoice {
        let start = groups[position].start
        let next = Int(turnHeap[start])
        if !attempted.contains(next), !loads.isAtLimit(at: next) {
            takeTurn(position, at: 0)
            return .chosen(next)
        }
        var isAnyAtLimit = false
        var best = -1
        for offset in 0..<groups[position].count {
            let index = Int(turnHeap[start &+ offset])
            if attempted.contains(index) { continue }
            if loads.isAtLimit(at: index) {
                isAnyAtLimit = true
            } else if best < 0 || isDue(index, before: Int(turnHeap[start &+ best])) {
                best = offset
            }
        }
        guard best >= 0 else { return isAnyAtLimit ? .allAtLimit : .noneAvailable }
        let index = Int(turnHeap[start &+ best])
        takeTurn(position, at: best)
        return .chosen(index)
    }

    @inlinable
    @inline(__always)
    func isDue(_ first: Int, before second: Int) -> Bool {
        let distance = Int64(
            bitPattern: backends[first].dueTurn &- backends[second].dueTurn)
        return distance == 0 ? first < second : distance < 0
    }

    /// Books a turn of the member at a place of the heap; its next one is due later.
    @usableFromInline
    mutating func takeTurn(_ position: Int, at offset: Int) {
        let start = groups[position].start
        let index = Int(turnHeap[start &+ offset])
        groups[position].turn = backends[index].dueTurn
        backends[index].dueTurn &+= backends[index].turnPeriod
        siftDown(start, groups[position].count, from: offset)
    }

    private mutating func siftDown(_ start: Int, _ count: Int, from offset: Int) {
        let moving = turnHeap[start &+ offset]
        var hole = offset
        while true {
            var child = 2 &* hole &+ 1
            guard child < count else { break }
            if child &+ 1 < count,
                isDue(Int(turnHeap[start &+ child &+ 1]), before: Int(turnHeap[start &+ child]))
            {
                child &+= 1
            }
            guard isDue(Int(turnHeap[start &+ child]), before: Int(moving)) else { break }
            turnHeap[start &+ hole] = turnHeap[start &+ child]
            hole = child
        }
        turnHeap[start &+ hole] = moving
    }

    /// Counts every due time from the latest turn of its group, which is about to go.
    ///
    /// Who was passed over for want of room is due at once; he does not get all he missed.
    mutating func rebaseTurns() {
        for index in backends.indices {
            let group = Int(backends[index].group)
            guard group >= 0, group < groups.count, backends[index].turnPeriod > 0 else {
                backends[index].turnPeriod = 0
                continue
            }
            let left = Int64(bitPattern: backends[index].dueTurn &- groups[group].turn)
            backends[index].dueTurn = UInt64(max(left, 0))
        }
    }

    /// Lines up the members of large groups; who waited keeps his place as his weight allows.
    mutating func rebuildTurnHeaps() {
        turnHeap.removeAll(keepingCapacity: true)
        guard policy == .roundRobin,
            groups.contains(where: { $0.count > Self.fullScanBackendsMax })
        else { return }
        turnHeap = members
        for group in groups where group.count > Self.fullScanBackendsMax {
            for place in group.start..<group.start + group.count {
                let index = Int(members[place])
                let period = Self.turnCycle / UInt64(max(backends[index].weight, 1))
                let hadTurns = backends[index].turnPeriod > 0
                backends[index].dueTurn = hadTurns ? min(backends[index].dueTurn, period) : period
                backends[index].turnPeriod = period
            }
            for offset in (0..<group.count / 2).reversed() {
                siftDown(group.start, group.count, from: offset)
            }
        }
    }
}
