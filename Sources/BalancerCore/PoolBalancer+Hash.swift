// SPDX-License-Identifier: Apache-2.0
//
// Choices by key. A key has one backend; when that one cannot take it, the key jumps to places of
// its own, so that what one backend loses is spread over all others and nobody else's keys move.

internal import WireCore

extension PoolBalancer {
    /// Jumps before the group is looked through.
    ///
    /// With half of the pool away, one key in four thousand million gets there.
    @usableFromInline static var jumpsMax: Int { 32 }
    /// Choices for which a large group's requests in flight are taken as last added up.
    @usableFromInline static var addingInterval: Int { 64 }

    /// The backend of a key: below the bound of load and not at its limit.
    @inlinable
    mutating func chooseByHash(
        _ position: Int, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends, key: UInt64
    ) -> BackendChoice {
        guard let table = hashTable else { return .noneAvailable }
        let fair = fairLoad(position, loads: loads)
        for jump in 0..<Self.jumpsMax {
            let place = HashMixer.place(of: key, jump: jump)
            let index = table.backend(at: place)
            guard index < backends.count, Int(backends[index].group) == position,
                keeps(place, at: index), !attempted.contains(index), !loads.isAtLimit(at: index),
                fair.admits(loads.requestsInFlight(at: index), weight: backends[index].weight)
            else { continue }
            return .chosen(index)
        }
        return chooseByRank(position, loads: loads, excluding: attempted, key: key, fair: fair)
    }

    /// Rendezvous: among all who can take a key, the one with the highest hash of key and name.
    ///
    /// Somebody is always below the bound, except when those were tried before; then the bound
    /// gives way, a limit never.
    @inlinable
    func chooseByRank(
        _ position: Int, loads: borrowing some BackendLoads & ~Copyable,
        excluding attempted: AttemptedBackends, key: UInt64, fair: FairLoad
    ) -> BackendChoice {
        let start = groups[position].start
        var isAnyAtLimit = false
        var best = -1
        var bestRank: UInt64 = 0
        var isBestBelow = false
        for place in start..<start &+ groups[position].count {
            let index = Int(members[place])
            if attempted.contains(index) { continue }
            if loads.isAtLimit(at: index) {
                isAnyAtLimit = true
                continue
            }
            let isBelow = fair.admits(
                loads.requestsInFlight(at: index), weight: backends[index].weight)
            if isBestBelow && !isBelow { continue }
            let rank = HashMixer.mix(key ^ nameHash(index))
            if best < 0 || isBelow && !isBestBelow || rank > bestRank {
                best = index
                bestRank = rank
                isBestBelow = isBelow
            }
        }
        guard best >= 0 else { return isAnyAtLimit ? .allAtLimit : .noneAvailable }
        return .chosen(best)
    }

    /// The hash of a backend's name; a table of other backends has none for it.
    @usableFromInline
    func nameHash(_ index: Int) -> UInt64 {
        guard let table = hashTable, index < table.nameHashes.count else {
            return UInt64(truncatingIfNeeded: index)
        }
        return table.nameHashes[index]
    }

    /// True when a backend with less weight than it was configured with keeps a key here.
    ///
    /// Tables look at the upper bits of a place, this at the lower ones.
    @inlinable
    @inline(__always)
    func keeps(_ place: UInt64, at index: Int) -> Bool {
        let kept = backends[index].keptKeys
        return kept == .max || UInt32(truncatingIfNeeded: place) < kept
    }

    /// The load that members of a group may have, this request included.
    @inlinable
    mutating func fairLoad(
        _ position: Int, loads: borrowing some BackendLoads & ~Copyable
    ) -> FairLoad {
        guard loadBoundPercent > 0 else { return FairLoad() }
        let total = requestsInFlight(position, loads: loads)
        return FairLoad(
            boundPercent: loadBoundPercent, total: total &+ 1, weight: groups[position].weight)
    }

    /// Requests in flight in a group: counted by the caller, or added up.
    @inlinable
    mutating func requestsInFlight(
        _ position: Int, loads: borrowing some BackendLoads & ~Copyable
    ) -> Int {
        if groups.count == 1, groups[position].count == backends.count,
            let counted = loads.requestsInFlightInPool()
        {
            return min(max(counted, 0), Self.inFlightMax)
        }
        let count = groups[position].count
        if count > Self.fullScanBackendsMax, groups[position].choicesSince < Self.addingInterval {
            groups[position].choicesSince &+= 1
            return groups[position].addedUp
        }
        var sum = 0
        let start = groups[position].start
        for place in start..<start &+ count {
            sum &+= min(max(loads.requestsInFlight(at: Int(members[place])), 0), Self.inFlightMax)
        }
        groups[position].addedUp = sum
        groups[position].choicesSince = 0
        return sum
    }

    /// Finds how many of their keys backends keep.
    ///
    /// The table was built from configured weights. When the weights in force stand in another
    /// relation, everybody but the one who gained most hands keys on.
    mutating func refreshKeptKeys() {
        guard let table = hashTable else { return }
        var most = 0.0
        for index in backends.indices where backends[index].group >= 0 {
            most = max(most, ratio(index, table))
        }
        guard most > 0 else { return }
        for index in backends.indices {
            let kept = ratio(index, table) / most
            backends[index].keptKeys = kept >= 1 ? .max : UInt32(kept * 0x1p32)
        }
    }

    private func ratio(_ index: Int, _ table: HashTable) -> Double {
        let configured = index < table.weights.count ? table.weights[index] : 1
        return Double(backends[index].weight) / Double(max(configured, 1))
    }
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018), with weights:
/// nobody gets more than the bound times the mean for his weight, rounded up.
@usableFromInline
struct FairLoad {
    @usableFromInline let scale: Double
    @usableFromInline let allowance: Double

    /// No bound.
    @inlinable
    init() {
        scale = 0
        allowance = 1
    }

    /// The bound for `total` requests among members of `weight` together.
    @inlinable
    init(boundPercent: Int, total: Int, weight: Int) {
        // Products of whole numbers: where they fit a double, the comparison is exact.
        scale = 100 * Double(weight)
        allowance = Double(boundPercent) * Double(total)
    }

    /// True when a member of some weight may have one more than `load`.
    @inlinable
    @inline(__always)
    func admits(_ load: Int, weight: Int) -> Bool {
        Double(load) * scale < allowance * Double(weight)
    }
}
