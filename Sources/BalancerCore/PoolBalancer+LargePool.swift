// SPDX-License-Identifier: Apache-2.0
//
// The policies of pools too large to look at every backend: two random ones are compared. Only
// round robin still walks the pool.

public import WireCore

extension PoolBalancer {
    @inlinable
    mutating func chooseFromLargePool(
        now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends
    ) -> Int? {
        if policy == .roundRobin { return nextInTurn(loads: loads, excluding: attempted) }
        guard let first = drawAvailable(loads: loads, excluding: attempted, other: nil) else {
            return nil
        }
        guard let second = drawAvailable(loads: loads, excluding: attempted, other: first) else {
            return first
        }
        return better(
            first, inFlight: loads.requestsInFlight(at: first), second,
            inFlight: loads.requestsInFlight(at: second), now: now)
    }

    /// An available backend drawn by weight, or, after many misses, the next one in order.
    @inlinable
    mutating func drawAvailable(
        loads: borrowing some BackendLoads & ~Copyable, excluding attempted: AttemptedBackends,
        other: Int?
    ) -> Int? {
        var index = 0
        for _ in 0..<Self.drawsMax {
            index = drawByWeight()
            if index != other, backends[index].weight > 0, loads.isAvailable(at: index),
                !attempted.contains(index)
            {
                return index
            }
        }
        for _ in 0..<backends.count {
            index = index + 1 < backends.count ? index + 1 : 0
            if index != other, backends[index].weight > 0, loads.isAvailable(at: index),
                !attempted.contains(index)
            {
                return index
            }
        }
        return nil
    }

    /// Smooth weighted round robin over the whole pool.
    @inlinable
    mutating func nextInTurn(
        loads: borrowing some BackendLoads & ~Copyable, excluding attempted: AttemptedBackends
    ) -> Int? {
        var leader = -1
        var leading = Int.min
        var total = 0
        for index in 0..<backends.count
        where backends[index].weight > 0 && loads.isAvailable(at: index)
            && !attempted.contains(index)
        {
            let weight = backends[index].weight
            let turn = backends[index].turn &+ weight
            backends[index].turn = turn
            total &+= weight
            if turn > leading {
                leading = turn
                leader = index
            }
        }
        guard leader >= 0 else { return nil }
        backends[leader].turn = leading &- total
        return leader
    }

    @usableFromInline
    mutating func drawByWeight() -> Int {
        guard let total = weightSums.last, total > 0 else { return 0 }
        let ticket = generator.number(below: total)
        // The first backend whose sum is above the ticket.
        var low = 0
        var high = weightSums.count - 1
        while low < high {
            let middle = (low + high) / 2
            if weightSums[middle] > ticket { high = middle } else { low = middle + 1 }
        }
        return low
    }

    mutating func rebuildWeightSums() {
        weightSums.removeAll(keepingCapacity: true)
        var sum: UInt64 = 0
        for backend in backends {
            sum += UInt64(backend.weight)
            weightSums.append(sum)
        }
    }
}
