// SPDX-License-Identifier: Apache-2.0
//
// Who shares a pool's traffic at the moment: levels of priority, zones inside them, and panic.
// Pure arithmetic on standings; choosing inside a group is PoolBalancer's.

/// The groups of a pool and their shares.
///
/// The rules are Envoy's. A level's health is its healthy weight, overprovisioned, over its whole
/// weight, at most 1. Levels take their health from the traffic in the order of their priority;
/// when all together are not healthy enough, what there is shares everything. A level panics when
/// that is so and its own healthy share is below the threshold: then health is ignored, because
/// a check that fails nearly everybody is more likely wrong than right, and because the few that
/// are left would only be the next to fall.
///
/// Inside a level the node's own zone takes as much as it can carry, and the other zones get the
/// rest in proportion to what is healthy there. A level that panics has no zones.
public struct PoolView: Hashable, Sendable {
    /// All of a share.
    public static let wholeBasisPoints = 10_000

    /// Backends of one level and zone that are given work alike.
    public struct Group: Hashable, Sendable {
        /// The level it belongs to.
        public let priority: Int
        /// Its zone; `nil` for all zones of the level together.
        public let zoneIndex: Int?
        /// Its share of the pool's traffic; 0 is used only when nobody before it can.
        public internal(set) var shareBasisPoints: Int
        /// Where its backends are in `members`.
        public internal(set) var range: Range<Int>
        /// The sum of its backends' weights, ramps not applied.
        public let weight: Int
    }

    /// One priority.
    public struct Level: Hashable, Sendable {
        /// Its number; smaller serve first.
        public let priority: Int
        /// Its share of the pool's traffic.
        public internal(set) var shareBasisPoints = 0
        /// Its healthy weight over its whole weight, in 1/10,000.
        public let healthyBasisPoints: Int
        /// Health is ignored in it.
        public internal(set) var isPanicking = false
    }

    /// The groups with backends, in the order of priority and zone.
    public let groups: [Group]
    /// The levels that have backends, in order.
    public let levels: [Level]
    /// Indexes of backends, group by group.
    public let members: [Int32]

    /// True when a level ignores health.
    public var isPanicking: Bool { levels.contains { $0.isPanicking } }

    /// Looks at standings; `placements` may be empty, which puts all backends in the same place.
    public init(
        standings: [BackendStanding], placements: [BackendPlacement], sharing: PoolSharing
    ) {
        let weights = PoolWeights(standings, placements)
        let levels = weights.levels(sharing)
        let groups = weights.groups(levels, sharing)
        var slots = [Int](repeating: -1, count: weights.slotCount)
        for (position, group) in groups.enumerated() {
            for slot in weights.slots(group.priority, group.zoneIndex) { slots[slot] = position }
        }
        var counts = [Int](repeating: 0, count: groups.count)
        var places = [Int32](repeating: -1, count: standings.count)
        let panicking = PoolWeights.panickingLevels(levels)
        for index in standings.indices {
            let (priority, zone) = weights.place(placements, index)
            let group = slots[weights.slot(priority, zone)]
            guard group >= 0, standings[index].isMember(whenPanicking: panicking[priority]) else {
                continue
            }
            places[index] = Int32(group)
            counts[group] += 1
        }
        var ends: [Int] = []
        var sum = 0
        self.groups = zip(groups, counts).map { group, count in
            var placed = group
            placed.range = sum..<sum + count
            ends.append(sum)
            sum += count
            return placed
        }
        var members = [Int32](repeating: 0, count: sum)
        for (index, group) in places.enumerated() where group >= 0 {
            members[ends[Int(group)]] = Int32(truncatingIfNeeded: index)
            ends[Int(group)] += 1
        }
        self.members = members
        self.levels = levels
    }
}

extension BackendStanding {
    /// True when it takes part in the choices of its level.
    func isMember(whenPanicking isPanicking: Bool) -> Bool {
        switch admission {
        case .serving: weight > 0
        case .trial, .unhealthy: isPanicking && weight > 0
        case .draining, .maintenance: false
        }
    }
}
