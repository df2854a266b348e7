// SPDX-License-Identifier: Apache-2.0
//
// The policies of pools small enough to look at every backend. Candidates are bits of a mask.

public import WireCore

extension PoolBalancer {
    /// Applies the policy to the available backends, whose loads are in `inFlight`.
    @usableFromInline
    mutating func choose(
        among available: UInt64, excluding attempted: AttemptedBackends, now: Instant
    ) -> Int? {
        forgetReturned(available)
        let candidates = available & ~attempted.bits
        guard candidates != 0 else { return nil }
        if candidates & (candidates &- 1) == 0 { return candidates.trailingZeroBitCount }
        switch policy {
        case .roundRobin: return nextInTurn(candidates)
        case .leastRequests: return leastLoaded(candidates)
        case .random: return betterOfTwo(candidates, now: now)
        case .leastTime: return leastTime(candidates, now: now)
        }
    }

    /// A backend that was away begins at the pool's median: what it was like before is history.
    private mutating func forgetReturned(_ available: UInt64) {
        var returned = available & ~lastAvailable
        lastAvailable = available
        while returned != 0 {
            backends[returned.trailingZeroBitCount].latency = LatencyAverage()
            returned &= returned &- 1
        }
    }

    /// Smooth weighted round robin, as nginx does it: everyone gains its weight, the leader pays
    /// the sum of all.
    private mutating func nextInTurn(_ candidates: UInt64) -> Int {
        var leader = -1
        var leading = Int.min
        var total = 0
        var rest = candidates
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            let weight = backends[index].weight
            let turn = backends[index].turn &+ weight
            backends[index].turn = turn
            total &+= weight
            if turn > leading {
                leading = turn
                leader = index
            }
        }
        backends[leader].turn = leading &- total
        return leader
    }

    /// Fewest requests in flight per weight, compared exactly; equals take weighted turns.
    private mutating func leastLoaded(_ candidates: UInt64) -> Int {
        var tied: UInt64 = 0
        var bestLoad = 0
        var bestWeight = 1
        var rest = candidates
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            let bit = rest & (~rest &+ 1)
            rest &= rest &- 1
            let weight = backends[index].weight
            // load / weight against bestLoad / bestWeight without division.
            let mine = inFlight[index] &* bestWeight
            let theirs = bestLoad &* weight
            if tied == 0 || mine < theirs {
                tied = bit
                bestLoad = inFlight[index]
                bestWeight = weight
            } else if mine == theirs {
                tied |= bit
            }
        }
        return tied & (tied &- 1) == 0 ? tied.trailingZeroBitCount : nextInTurn(tied)
    }

    /// Two different backends drawn by weight; the less loaded one, the first when they tie.
    private mutating func betterOfTwo(_ candidates: UInt64, now: Instant) -> Int {
        let first = draw(candidates)
        let second = draw(candidates & ~(1 &<< UInt64(first)))
        return better(
            first, inFlight: inFlight[first], second, inFlight: inFlight[second], now: now)
    }

    private mutating func draw(_ candidates: UInt64) -> Int {
        var total = 0
        var rest = candidates
        while rest != 0 {
            total &+= backends[rest.trailingZeroBitCount].weight
            rest &= rest &- 1
        }
        var ticket = Int(generator.number(below: UInt64(total)))
        rest = candidates
        while true {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            ticket &-= backends[index].weight
            if ticket < 0 || rest == 0 { return index }
        }
    }

    /// The smallest `average * (1 + in flight) / weight` among those below the cap on requests
    /// in flight; equals are drawn at random.
    private mutating func leastTime(_ candidates: UInt64, now: Instant) -> Int {
        var load = 0
        var weight = 0
        var rest = candidates
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            load &+= inFlight[index]
            weight &+= backends[index].weight
        }
        // The mean is a mean per weight. The least loaded candidate is never above it.
        let fair = tuning.inFlightCapFactor * Double(load) / Double(weight)
        var best = -1
        var bestCost = Double.infinity
        var ties: UInt64 = 1
        rest = candidates
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            let mine = Double(inFlight[index])
            guard mine <= fair * Double(backends[index].weight) + 1 else { continue }
            let cost = cost(of: index, inFlight: mine, now: now)
            if cost < bestCost {
                best = index
                bestCost = cost
                ties = 1
            } else if cost == bestCost {
                ties &+= 1
                if generator.number(below: ties) == 0 { best = index }
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
