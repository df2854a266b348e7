// SPDX-License-Identifier: Apache-2.0
//
// The policies of groups small enough to look at every backend. Candidates are bits of a mask, by
// their position in the group.

public import WireCore

extension PoolBalancer {
    /// Looks at everybody in a group and applies the policy to those with room.
    @inlinable
    mutating func chooseFromSmallGroup(
        _ position: Int, now: Instant, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends
    ) -> BackendChoice {
        let start = groups[position].start
        let count = groups[position].count
        var candidates: UInt64 = 0
        var isAnyAtLimit = false
        for offset in 0..<count {
            let index = Int(members[start &+ offset])
            if !attempted.isEmpty, attempted.contains(index) { continue }
            if loads.isAtLimit(at: index) {
                isAnyAtLimit = true
                continue
            }
            candidates |= 1 &<< UInt64(offset)
            // Shared counters may be seen in the middle of a change; products must not overflow.
            inFlight[offset] = min(max(loads.requestsInFlight(at: index), 0), Self.inFlightMax)
        }
        guard candidates != 0 else { return isAnyAtLimit ? .allAtLimit : .noneAvailable }
        return .chosen(choose(among: candidates, start: start, now: now))
    }

    /// Applies the policy to candidates whose loads are in `inFlight`; there is at least one.
    @usableFromInline
    mutating func choose(among candidates: UInt64, start: Int, now: Instant) -> Int {
        if candidates & (candidates &- 1) == 0 {
            return Int(members[start &+ candidates.trailingZeroBitCount])
        }
        let offset =
            switch policy {
            case .roundRobin: nextInTurn(candidates, start)
            case .leastRequests: leastLoaded(candidates, start)
            case .random: betterOfTwo(candidates, start, now: now)
            case .leastTime: leastTime(candidates, start, now: now)
            // Without a table there is no place for a key.
            case .maglev, .ringHash, .ipHash: draw(candidates, start)
            }
        return Int(members[start &+ offset])
    }

    @inline(__always)
    private func index(_ offset: Int, _ start: Int) -> Int { Int(members[start &+ offset]) }

    /// Smooth weighted round robin, as nginx does it: everyone gains its weight, the leader pays
    /// the sum of all.
    private mutating func nextInTurn(_ candidates: UInt64, _ start: Int) -> Int {
        var leader = 0
        var leading = Int.min
        var total = 0
        var rest = candidates
        while rest != 0 {
            let offset = rest.trailingZeroBitCount
            rest &= rest &- 1
            let index = index(offset, start)
            let weight = backends[index].weight
            let turn = backends[index].turn &+ weight
            backends[index].turn = turn
            total &+= weight
            if turn > leading {
                leading = turn
                leader = offset
            }
        }
        backends[index(leader, start)].turn = leading &- total
        return leader
    }

    /// Fewest requests in flight per weight, compared exactly; equals take weighted turns.
    private mutating func leastLoaded(_ candidates: UInt64, _ start: Int) -> Int {
        var tied: UInt64 = 0
        var bestLoad = 0
        var bestWeight = 1
        var rest = candidates
        while rest != 0 {
            let offset = rest.trailingZeroBitCount
            let bit = rest & (~rest &+ 1)
            rest &= rest &- 1
            let weight = backends[index(offset, start)].weight
            // load / weight against bestLoad / bestWeight without division.
            let mine = inFlight[offset] &* bestWeight
            let theirs = bestLoad &* weight
            if tied == 0 || mine < theirs {
                tied = bit
                bestLoad = inFlight[offset]
                bestWeight = weight
            } else if mine == theirs {
                tied |= bit
            }
        }
        return tied & (tied &- 1) == 0 ? tied.trailingZeroBitCount : nextInTurn(tied, start)
    }

    /// Two different backends drawn by weight; the less loaded one, the first when they tie.
    private mutating func betterOfTwo(
        _ candidates: UInt64, _ start: Int, now: Instant
    ) -> Int {
        let first = draw(candidates, start)
        let second = draw(candidates & ~(1 &<< UInt64(first)), start)
        let isFirst = isFirstBetter(
            index(first, start), inFlight: inFlight[first], index(second, start),
            inFlight: inFlight[second], now: now)
        return isFirst ? first : second
    }

    private mutating func draw(_ candidates: UInt64, _ start: Int) -> Int {
        var total = 0
        var rest = candidates
        while rest != 0 {
            total &+= backends[index(rest.trailingZeroBitCount, start)].weight
            rest &= rest &- 1
        }
        var ticket = Int(generator.number(below: UInt64(total)))
        rest = candidates
        while true {
            let offset = rest.trailingZeroBitCount
            rest &= rest &- 1
            ticket &-= backends[index(offset, start)].weight
            if ticket < 0 || rest == 0 { return offset }
        }
    }

    /// The smallest `average * (1 + in flight) / weight` among those below the cap on requests
    /// in flight; equals are drawn at random.
    private mutating func leastTime(_ candidates: UInt64, _ start: Int, now: Instant) -> Int {
        var load = 0
        var weight = 0
        var rest = candidates
        while rest != 0 {
            let offset = rest.trailingZeroBitCount
            rest &= rest &- 1
            load &+= inFlight[offset]
            weight &+= backends[index(offset, start)].weight
        }
        // The mean is a mean per weight. The least loaded candidate is never above it.
        let fair = tuning.inFlightCapFactor * Double(load) / Double(weight)
        var best = -1
        var bestCost = Double.infinity
        var ties: UInt64 = 1
        rest = candidates
        while rest != 0 {
            let offset = rest.trailingZeroBitCount
            rest &= rest &- 1
            let index = index(offset, start)
            let mine = Double(inFlight[offset])
            if inFlight[offset] == 0, backends[index].latency.isStale(now: now, tuning: tuning) {
                return offset
            }
            guard mine <= fair * Double(backends[index].weight) + 1 else { continue }
            let cost = cost(of: index, inFlight: mine, now: now)
            if cost < bestCost {
                best = offset
                bestCost = cost
                ties = 1
            } else if cost == bestCost {
                ties &+= 1
                if generator.number(below: ties) == 0 { best = offset }
            }
        }
        return best >= 0 ? best : candidates.trailingZeroBitCount
    }
}

extension SeededGenerator {
    /// A number from 0 up to but not including `bound`; the bias is below `bound` / 2^64.
    mutating func number(below bound: UInt64) -> UInt64 {
        next().multipliedFullWidth(by: bound).high
    }
}
