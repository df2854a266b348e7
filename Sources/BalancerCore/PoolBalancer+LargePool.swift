// SPDX-License-Identifier: Apache-2.0
//
// The policies of groups too large to look at every backend: two random ones are compared. Turns
// are taken from a heap; see PoolBalancer+Turns.

public import WireCore

extension PoolBalancer {
    @inlinable
    mutating func chooseFromLargeGroup(
        _ position: Int, now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends
    ) -> BackendChoice {
        if policy == .roundRobin {
            return nextInTurn(position, loads: loads, excluding: attempted)
        }
        let first = drawWithRoom(position, loads: loads, excluding: attempted, other: nil)
        guard case .chosen(let one) = first else { return first }
        let second = drawWithRoom(position, loads: loads, excluding: attempted, other: one)
        guard case .chosen(let other) = second else { return first }
        let isFirst = isFirstBetter(
            one, inFlight: min(max(loads.requestsInFlight(at: one), 0), Self.inFlightMax), other,
            inFlight: min(max(loads.requestsInFlight(at: other), 0), Self.inFlightMax), now: now)
        return isFirst ? first : second
    }

    /// A backend with room drawn by weight, or, after many misses, the next one in order.
    @inlinable
    mutating func drawWithRoom(
        _ position: Int, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends, other: Int?
    ) -> BackendChoice {
        let start = groups[position].start
        let count = groups[position].count
        var offset = 0
        for _ in 0..<Self.drawsMax {
            offset = drawByWeight(position)
            let index = Int(members[start &+ offset])
            if index != other, !attempted.contains(index), !loads.isAtLimit(at: index) {
                return .chosen(index)
            }
        }
        var isAnyAtLimit = false
        for _ in 0..<count {
            offset = offset &+ 1 < count ? offset &+ 1 : 0
            let index = Int(members[start &+ offset])
            if index == other || attempted.contains(index) { continue }
            if !loads.isAtLimit(at: index) { return .chosen(index) }
            isAnyAtLimit = true
        }
        return isAnyAtLimit ? .allAtLimit : .noneAvailable
    }

    /// The position in its group of a member drawn by weight.
    @usableFromInline
    mutating func drawByWeight(_ position: Int) -> Int {
        let start = groups[position].start
        let ticket = generator.number(below: UInt64(max(groups[position].weight, 1)))
        // The first member whose sum is above the ticket.
        var low = 0
        var high = groups[position].count - 1
        while low < high {
            let middle = (low + high) / 2
            if weightSums[start &+ middle] > ticket { high = middle } else { low = middle + 1 }
        }
        return low
    }

    mutating func rebuildWeightSums() {
        weightSums.removeAll(keepingCapacity: true)
        guard groups.contains(where: { $0.count > Self.fullScanBackendsMax }) else { return }
        for group in groups {
            var sum: UInt64 = 0
            for place in group.start..<group.start + group.count {
                sum &+= UInt64(backends[Int(members[place])].weight)
                weightSums.append(sum)
            }
        }
    }
}
