// SPDX-License-Identifier: Apache-2.0
//
// Maglev tables and hash rings: evenness, weights, how little moves when somebody comes or goes,
// and values that must never change.

import Testing
import WireCore

@testable import BalancerCore

@Suite struct HashTableTests {
    enum Kind: CaseIterable {
        case maglev
        case ring

        func table(_ names: [String], _ weights: [Int]? = nil) -> HashTable {
            let weights = weights ?? names.map { _ in 1 }
            return self == .maglev
                ? .maglev(names: names, weights: weights) : .ring(names: names, weights: weights)
        }
    }

    private static func names(_ count: Int) -> [String] { (0..<count).map { "backend-\($0)" } }

    private static func counts(_ table: HashTable, keys: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: table.backendCount)
        for key in 0..<keys { counts[table.backend(of: UInt64(key))] += 1 }
        return counts
    }

    @Test(arguments: [2, 3, 10, 100])
    func slotsOfAMaglevTableAreEven(count: Int) {
        let slots = HashTable.maglev(
            names: Self.names(count), weights: [Int](repeating: 1, count: count)
        ).slots
        #expect(slots.count == 65_537)
        var counts = [Int](repeating: 0, count: count)
        for slot in slots { counts[Int(slot)] += 1 }
        // Everybody takes turns, so nobody has two more than another.
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
    }

    @Test(arguments: Kind.allCases)
    func keysAreSpreadByWeight(kind: Kind) {
        let weights = [1, 2, 3, 10, 4]
        let keys = 200_000
        let counts = Self.counts(kind.table(Self.names(5), weights), keys: keys)
        // Each of a ring's points is a draw of its own.
        let tolerance = kind == .maglev ? 0.02 : 0.08
        for (count, weight) in zip(counts, weights) {
            let expected = Double(keys * weight) / 20
            #expect(abs(Double(count) / expected - 1) < tolerance)
        }
    }

    @Test func aMaglevTableOfTenThousandGivesEverybodyASlot() {
        let table = HashTable.maglev(
            names: Self.names(10_000), weights: [Int](repeating: 1, count: 10_000))
        #expect(Set(table.slots).count == 10_000)
        let uneven = HashTable.maglev(
            names: Self.names(1_000), weights: (0..<1_000).map { $0 == 0 ? 256 : 1 })
        #expect(Set(uneven.slots).count == 1_000)
    }

    @Test func aRingHasEverybodyAndAtLeastItsMinimumOfPoints() {
        for count in [1, 10, 1_000] {
            let table = HashTable.ring(
                names: Self.names(count), weights: [Int](repeating: 1, count: count))
            #expect(table.points.count >= 1_024)
            #expect(Set(table.points.map { $0 & 0xFFFF }).count == count)
            #expect(table.points == table.points.sorted())
        }
    }

    @Test func aRingFindsTheNextPoint() {
        let table = HashTable.ring(names: Self.names(7), weights: [1, 1, 2, 1, 1, 9, 1])
        var generator = SeededGenerator(seed: 3)
        var places = (0..<50).map { _ in generator.next() }
        places += [0, .max, table.points[0], table.points[0] &- 1, table.points[0] | 0xFFFF]
        for place in places {
            let next = table.points.first { $0 >= place & ~0xFFFF } ?? table.points[0]
            #expect(table.backend(at: place) == Int(next & 0xFFFF))
        }
    }

    @Test(arguments: Kind.allCases)
    func fewKeysMoveWhenABackendComesOrGoes(kind: Kind) {
        let names = Self.names(10)
        let whole = kind.table(names)
        // The fifth goes; the others keep their names and change their indexes.
        let rest = names.indices.filter { $0 != 4 }
        let reduced = kind.table(rest.map { names[$0] })
        var moved = 0
        let keys = 50_000
        for key in UInt64(0)..<UInt64(keys) {
            let before = whole.backend(of: key)
            let after = rest[reduced.backend(of: key)]
            if before != 4, before != after { moved += 1 }
        }
        // A ring moves nobody else. Maglev moves a few: well below what it had to.
        #expect(kind == .maglev ? moved < keys / 20 : moved == 0)
    }

    @Test(arguments: Kind.allCases)
    func theOrderInTheFileDoesNotMatter(kind: Kind) {
        let names = Self.names(6)
        let one = kind.table(names, [1, 2, 3, 4, 5, 6])
        let two = kind.table(names.reversed(), [6, 5, 4, 3, 2, 1])
        #expect(
            (UInt64(0)..<2_000).allSatisfy { one.backend(of: $0) == 5 - two.backend(of: $0) })
    }

    @Test(arguments: Kind.allCases)
    func oddTablesHold(kind: Kind) {
        #expect(kind.table([]).backendCount == 0)
        #expect(Self.counts(kind.table(["a"], [0]), keys: 10) == [10])
        #expect(Self.counts(kind.table(["a", "b"], [-4]), keys: 1_000).allSatisfy { $0 > 400 })
        #expect(kind.table(["a", "b"], [Int.max, 1]).weights == [65_535, 1])
    }

    @Test func aBackendBeyondTheTableIsFoundByItsRank() {
        // The table knows one of two: the other gets the keys that the first cannot take.
        var balancer = PoolBalancer(
            PoolShape(
                policy: .maglev, weights: [1, 1],
                hashTable: .maglev(names: ["a"], weights: [1]), loadBoundPercent: nil),
            seed: 1)
        var loads = ScriptedLoads(count: 2)
        let now = Instant(nanoseconds: 1)
        #expect(balancer.pick(now, loads, key: 7) == 0)
        loads.limits[0] = 0
        #expect(balancer.pick(now, loads, key: 7) == 1)
    }
}

/// Two nodes of different versions must agree: these values may never change.
@Suite struct HashVectorTests {
    private static let names = ["web-1", "web-2", "web-3", "web-4", "web-5"]

    @Test func keysOfBytesAndAddresses() {
        let bytes = Array("session-4711".utf8)
        #expect(bytes.withUnsafeBytes { HashMixer.key($0) } == 9_301_815_584_154_538_816)
        #expect(
            HashMixer.key(IPAddress.v4(IPv4Address(192, 0, 2, 1))) == 17_866_325_659_155_632_363)
        let one = IPv6Address(high: 0x2001_0DB8_0000_0001, low: 1)
        let other = IPv6Address(high: 0x2001_0DB8_0000_0001, low: .max)
        #expect(HashMixer.key(IPAddress.v6(one)) == 13_781_931_278_736_542_187)
        #expect(HashMixer.key(IPAddress.v6(one)) == HashMixer.key(IPAddress.v6(other)))
    }

    @Test func placesOfNames() {
        #expect(HashMixer.name("web-1") == 14_555_676_864_168_588_965)
        #expect(HashMixer.skip("web-1") == 14_047_277_211_670_739_336)
        #expect(HashMixer.point(1, replica: 2) == 12_508_047_471_958_605_652)
        #expect(HashMixer.place(of: 1, jump: 0) == 10_451_216_379_200_822_465)
        #expect(HashMixer.place(of: 1, jump: 1) == 13_757_245_211_066_428_519)
    }

    @Test func backendsOfKeys() {
        let weights = [1, 1, 2, 1, 1]
        let maglev = HashTable.maglev(names: Self.names, weights: weights)
        let ring = HashTable.ring(names: Self.names, weights: weights)
        #expect(
            (UInt64(0)..<24).map { maglev.backend(of: $0) } == [
                3, 1, 0, 2, 3, 0, 1, 2, 4, 4, 2, 0, 0, 2, 2, 3, 0, 4, 4, 0, 3, 0, 3, 0,
            ])
        #expect(
            (UInt64(0)..<24).map { ring.backend(of: $0) } == [
                3, 3, 0, 1, 2, 0, 2, 4, 2, 3, 1, 0, 1, 3, 2, 2, 4, 3, 2, 2, 0, 3, 1, 2,
            ])
    }
}
