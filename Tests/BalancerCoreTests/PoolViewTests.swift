// SPDX-License-Identifier: Apache-2.0
//
// Shares of priorities and zones, and panic: each row of the tables is one state of a pool.

import BalancerCore
import Testing

@Suite struct PoolViewTests {
    /// One backend: priority, zone, and whether it serves.
    private struct Place {
        var priority = 0
        var zone = 0
        var admission = BackendStanding.Admission.serving
        var weight: UInt16 = 1
    }

    /// `count` backends of one place, the first `healthy` of which serve.
    private static func places(
        _ count: Int, healthy: Int, priority: Int = 0, zone: Int = 0
    ) -> [Place] {
        (0..<count).map {
            Place(
                priority: priority, zone: zone, admission: $0 < healthy ? .serving : .unhealthy)
        }
    }

    private static func view(
        _ places: [Place], _ sharing: PoolSharing = PoolSharing()
    ) -> PoolView {
        PoolView(
            standings: places.map { BackendStanding(admission: $0.admission, weight: $0.weight) },
            placements: places.map { BackendPlacement(zoneIndex: $0.zone, priority: $0.priority) },
            sharing: sharing)
    }

    // MARK: Priorities

    @Test(arguments: [
        // healthy of ten in priority 0, healthy of ten in priority 1, shares in 1/10,000
        (10, 10, [10_000, 0]),
        // 72 % healthy times 1.4 is 100.8 %: everything stays.
        (8, 10, [10_000, 0]),
        (7, 10, [9_800, 200]),
        (5, 10, [7_000, 3_000]),
        (1, 10, [1_400, 8_600]),
        (0, 10, [0, 10_000]),
        (10, 0, [10_000, 0]),
        // Together 98 %: what there is shares everything.
        (5, 2, [7_143, 2_857]),
    ])
    func levelsTakeTheirHealthInOrder(first: Int, second: Int, shares: [Int]) {
        let view = Self.view(
            Self.places(10, healthy: first)
                + Self.places(10, healthy: second, priority: 1))
        #expect(view.levels.map(\.shareBasisPoints) == shares)
        #expect(view.levels.map(\.priority) == [0, 1])
        #expect(view.levels.map(\.healthyBasisPoints) == [first * 1_000, second * 1_000])
    }

    @Test func prioritiesMayHaveGaps() {
        let view = Self.view(
            Self.places(2, healthy: 0, priority: 2) + Self.places(2, healthy: 2, priority: 7))
        #expect(view.levels.map(\.priority) == [2, 7])
        #expect(view.groups.map(\.priority) == [7])
        #expect(view.groups.first?.shareBasisPoints == 10_000)
        #expect(view.members == [2, 3])
    }

    @Test func weightsCountNotHeads() {
        // Nine of ten parts are healthy, although two of three backends are not.
        let view = Self.view([
            Place(weight: 18), Place(admission: .unhealthy), Place(admission: .unhealthy),
            Place(priority: 1),
        ])
        #expect(view.levels[0].shareBasisPoints == 10_000)
        #expect(!view.isPanicking)
    }

    // MARK: Panic

    @Test(arguments: [
        // healthy of ten, threshold, panics
        (5, 50, false), (4, 50, true), (0, 50, true), (0, 0, false), (9, 100, false),
        (7, 100, true), (10, 100, false),
    ])
    func panicBeginsBelowTheThreshold(healthy: Int, threshold: Int, panics: Bool) {
        let view = Self.view(
            Self.places(10, healthy: healthy), PoolSharing(panicPercent: threshold))
        #expect(view.isPanicking == panics)
        #expect(view.members.count == (panics ? 10 : healthy))
        #expect(view.groups.map(\.shareBasisPoints) == (view.members.isEmpty ? [] : [10_000]))
    }

    @Test func panicUsesTrialsButNobodyWhoWasTakenOut() {
        let view = Self.view([
            Place(admission: .unhealthy), Place(admission: .trial), Place(admission: .draining),
            Place(admission: .maintenance), Place(admission: .unhealthy, weight: 0),
        ])
        #expect(view.isPanicking)
        #expect(view.members == [0, 1])
    }

    @Test func takingBackendsOutIsNoReasonToPanic() {
        let view = Self.view([
            Place(), Place(admission: .draining), Place(admission: .maintenance),
            Place(admission: .maintenance),
        ])
        #expect(!view.isPanicking)
        #expect(view.members == [0])
        let empty = Self.view([Place(admission: .maintenance)])
        #expect(!empty.isPanicking)
        #expect(empty.groups.isEmpty)
    }

    @Test func aHealthyBackupPreventsPanic() {
        let view = Self.view(
            Self.places(4, healthy: 0) + Self.places(4, healthy: 3, priority: 1))
        #expect(!view.isPanicking)
        #expect(view.members == [4, 5, 6])
    }

    @Test func aTotalPanicSharesByWeight() {
        let view = Self.view(
            Self.places(3, healthy: 0) + Self.places(1, healthy: 0, priority: 1))
        #expect(view.levels.map(\.isPanicking) == [true, true])
        #expect(view.levels.map(\.shareBasisPoints) == [7_500, 2_500])
        #expect(view.members == [0, 1, 2, 3])
    }

    @Test func aPanickingLevelHasNoZones() {
        let view = Self.view(
            Self.places(5, healthy: 1) + Self.places(5, healthy: 1, zone: 1))
        #expect(view.isPanicking)
        #expect(view.groups.map(\.zoneIndex) == [nil])
        #expect(view.members.count == 10)
    }

    // MARK: Zones

    @Test(arguments: [
        // healthy of five in the own zone, in zone 1, in zone 2; shares
        (5, 5, 5, [10_000, 0, 0]),
        (4, 5, 5, [10_000, 0, 0]),
        // 60 % times 1.4 stays, the rest goes where there is room.
        (3, 5, 5, [8_400, 800, 800]),
        (1, 5, 5, [2_800, 3_600, 3_600]),
        (3, 4, 2, [8_400, 1_066, 534]),
    ])
    func theOwnZoneTakesWhatItCanCarry(local: Int, first: Int, second: Int, shares: [Int]) {
        let view = Self.view(
            Self.places(5, healthy: local) + Self.places(5, healthy: first, zone: 1)
                + Self.places(5, healthy: second, zone: 2))
        #expect(view.groups.map(\.zoneIndex) == [0, 1, 2])
        #expect(view.groups.map(\.shareBasisPoints) == shares)
    }

    @Test func aDeadZoneLeavesItsShareToTheOthersByTheirWeight() {
        let view = Self.view(
            Self.places(4, healthy: 0) + Self.places(6, healthy: 6, zone: 1)
                + Self.places(2, healthy: 2, zone: 2))
        #expect(view.groups.map(\.zoneIndex) == [1, 2])
        #expect(view.groups.map(\.shareBasisPoints) == [7_500, 2_500])
    }

    @Test func withoutPreferenceZonesAreOneGroup() {
        let view = Self.view(
            Self.places(2, healthy: 2) + Self.places(2, healthy: 2, zone: 3),
            PoolSharing(prefersLocalZone: false))
        #expect(view.groups.map(\.zoneIndex) == [nil])
        #expect(view.members == [0, 1, 2, 3])
    }

    @Test func groupsHoldTheirMembersAndSharesAddUp() {
        var states: [BackendStanding.Admission] = BackendStanding.Admission.allCases
        states.append(.serving)
        for seed in 0..<200 {
            let places = (0..<20).map { index in
                let mixed = (seed * 31 + index * 17 + seed * index) % 97
                return Place(
                    priority: mixed % 3, zone: mixed % 4,
                    admission: states[(mixed / 3) % states.count], weight: UInt16(mixed % 5))
            }
            let view = Self.view(places)
            let shares = view.groups.reduce(0) { $0 + $1.shareBasisPoints }
            #expect(shares == (view.groups.contains { $0.shareBasisPoints > 0 } ? 10_000 : 0))
            #expect(Set(view.members).count == view.members.count)
            #expect(view.groups.map(\.range.count).reduce(0, +) == view.members.count)
            for group in view.groups {
                #expect(!group.range.isEmpty)
                for member in view.members[group.range] {
                    let place = places[Int(member)]
                    #expect(place.priority == group.priority)
                    #expect(group.zoneIndex == nil || group.zoneIndex == place.zone)
                    #expect(place.admission != .draining && place.admission != .maintenance)
                }
            }
        }
    }

    @Test func placesOutOfBoundsAreCutToThem() {
        var placement = BackendPlacement(zoneIndex: -3, priority: 99)
        #expect(placement.zoneIndex == 0)
        #expect(placement.priority == 7)
        placement.zoneIndex = 1_000
        placement.priority = -1
        let view = PoolView(
            standings: [BackendStanding(), BackendStanding()], placements: [placement],
            sharing: PoolSharing())
        #expect(view.groups.count == 2)
    }
}
