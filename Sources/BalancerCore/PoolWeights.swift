// SPDX-License-Identifier: Apache-2.0
//
// The sums that a pool's shares follow from: weights by level and zone, by what they may do.

/// Weights of a pool, summed by level and zone.
struct PoolWeights {
    /// The weights of one level in one zone.
    struct Sum {
        /// Configured: what the place has when all is well.
        var whole = 0
        /// Neither drained nor in maintenance: what a panic uses.
        var usable = 0
        /// What gets traffic in the normal course.
        var healthy = 0

        static func += (left: inout Sum, right: Sum) {
            left.whole += right.whole
            left.usable += right.usable
            left.healthy += right.healthy
        }
    }

    private let zoneCount: Int
    private var sums: [Sum]
    /// Levels that have backends at all.
    private var isPresent: [Bool]

    init(_ standings: [BackendStanding], _ placements: [BackendPlacement]) {
        var zoneIndexMax = 0
        var priorityMax = 0
        for placement in placements {
            zoneIndexMax = max(zoneIndexMax, placement.zone)
            priorityMax = max(priorityMax, placement.level)
        }
        zoneCount = zoneIndexMax + 1
        sums = [Sum](repeating: Sum(), count: (priorityMax + 1) * zoneCount)
        isPresent = [Bool](repeating: false, count: priorityMax + 1)
        for (index, standing) in standings.enumerated() {
            let (priority, zone) = place(placements, index)
            isPresent[priority] = true
            let weight = Int(standing.weight)
            let slot = slot(priority, zone)
            sums[slot].whole += weight
            switch standing.admission {
            case .serving:
                sums[slot].usable += weight
                sums[slot].healthy += weight
            case .trial, .unhealthy: sums[slot].usable += weight
            case .draining, .maintenance: break
            }
        }
    }

    /// How many pairs of level and zone there are.
    var slotCount: Int { sums.count }

    /// The number of a pair of level and zone.
    func slot(_ priority: Int, _ zone: Int) -> Int { priority * zoneCount + zone }

    /// The slots of a level in one zone, or in all.
    func slots(_ priority: Int, _ zone: Int?) -> Range<Int> {
        guard let zone else { return slot(priority, 0)..<slot(priority + 1, 0) }
        return slot(priority, zone)..<slot(priority, zone) + 1
    }

    /// Where a backend belongs.
    func place(_ placements: [BackendPlacement], _ index: Int) -> (priority: Int, zone: Int) {
        guard index < placements.count else { return (0, 0) }
        return (placements[index].level, placements[index].zone)
    }

    /// By priority: true when that level panics.
    static func panickingLevels(_ levels: [PoolView.Level]) -> [Bool] {
        var flags = [Bool](repeating: false, count: BackendPlacement.priorityMax + 1)
        for level in levels where level.isPanicking { flags[level.priority] = true }
        return flags
    }

    // MARK: Levels

    /// The levels with their shares.
    func levels(_ sharing: PoolSharing) -> [PoolView.Level] {
        let whole = PoolView.wholeBasisPoints
        let priorities = isPresent.indices.filter { isPresent[$0] }
        let totals = priorities.map { total($0) }
        let healths = totals.map {
            min(whole, $0.whole == 0 ? 0 : sharing.overprovisioned($0.healthy, of: $0.whole))
        }
        var levels = zip(priorities, totals).map { priority, total in
            PoolView.Level(
                priority: priority,
                healthyBasisPoints: total.whole == 0 ? 0 : total.healthy * whole / total.whole)
        }
        let sum = min(whole, healths.reduce(0, +))
        if sum < whole {
            for index in levels.indices where totals[index].usable > 0 {
                levels[index].isPanicking =
                    totals[index].healthy * 100 < sharing.panicPercent * totals[index].usable
            }
        }
        let isTotalPanic = levels.indices.allSatisfy {
            levels[$0].isPanicking || totals[$0].usable == 0
        }
        // Nobody's health says anything any more: everybody carries what he is built for.
        let claims = isTotalPanic ? totals.map(\.usable) : healths
        let claimed = isTotalPanic ? claims.reduce(0, +) : sum
        share(whole, among: &levels, claims: claims, claimed: claimed)
        for index in levels.indices where levels[index].shareBasisPoints == 0 {
            levels[index].isPanicking = false
        }
        return levels
    }

    private func total(_ priority: Int) -> Sum {
        var total = Sum()
        for slot in slots(priority, nil) { total += sums[slot] }
        return total
    }

    /// The first levels take what they claim, the next ones from what is left.
    private func share(
        _ whole: Int, among levels: inout [PoolView.Level], claims: [Int], claimed: Int
    ) {
        guard claimed > 0 else { return }
        var rest = whole
        for index in levels.indices {
            let share = min(rest, claims[index] * whole / claimed)
            levels[index].shareBasisPoints = share
            rest -= share
        }
        // What rounding left over.
        guard let first = levels.firstIndex(where: { $0.shareBasisPoints > 0 }) else { return }
        levels[first].shareBasisPoints += rest
    }

    // MARK: Groups

    /// The groups that have somebody to give work to; their ranges are not known yet.
    func groups(_ levels: [PoolView.Level], _ sharing: PoolSharing) -> [PoolView.Group] {
        levels.flatMap { level in
            let present = (0..<zoneCount).filter { sums[slot(level.priority, $0)].usable > 0 }
            let isWhole = level.isPanicking || !sharing.prefersLocalZone || present.count <= 1
            guard !isWhole else {
                let total = total(level.priority)
                let weight = level.isPanicking ? total.usable : total.healthy
                guard weight > 0 else { return [PoolView.Group]() }
                let group = PoolView.Group(
                    priority: level.priority, zoneIndex: nil,
                    shareBasisPoints: level.shareBasisPoints, range: 0..<0, weight: weight)
                return [group]
            }
            return zoneGroups(level, present, sharing)
        }
    }

    private func zoneGroups(
        _ level: PoolView.Level, _ zones: [Int], _ sharing: PoolSharing
    ) -> [PoolView.Group] {
        let whole = PoolView.wholeBasisPoints
        let local = sums[slot(level.priority, 0)]
        let remote = total(level.priority).healthy - local.healthy
        var localShare = 0
        if local.healthy > 0 {
            let health = sharing.overprovisioned(local.healthy, of: local.whole)
            localShare = remote > 0 ? min(whole, health) : whole
        }
        localShare = level.shareBasisPoints * localShare / whole
        let remoteShare = level.shareBasisPoints - localShare
        var rest = remoteShare
        var groups: [PoolView.Group] = []
        for zone in zones {
            let healthy = sums[slot(level.priority, zone)].healthy
            guard healthy > 0 else { continue }
            let share = zone == 0 ? localShare : remoteShare * healthy / max(1, remote)
            if zone != 0 { rest -= share }
            groups.append(
                PoolView.Group(
                    priority: level.priority, zoneIndex: zone, shareBasisPoints: share,
                    range: 0..<0, weight: healthy))
        }
        // What rounding left over.
        if !groups.isEmpty { groups[groups.count - 1].shareBasisPoints += max(0, rest) }
        return groups
    }
}

extension PoolSharing {
    /// `part` of `whole`, overprovisioned, in 1/10,000.
    func overprovisioned(_ part: Int, of whole: Int) -> Int {
        part * overprovisionPercent * (PoolView.wholeBasisPoints / 100) / whole
    }
}

extension BackendPlacement {
    /// The priority, within its bounds whatever was set.
    var level: Int { min(max(priority, 0), Self.priorityMax) }
    /// The zone, within its bounds whatever was set.
    var zone: Int { min(max(zoneIndex, 0), Self.zoneIndexMax) }
}
