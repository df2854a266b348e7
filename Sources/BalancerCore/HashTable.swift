// SPDX-License-Identifier: Apache-2.0
//
// From keys to backends: an immutable table that all workers share and both nodes build alike.

/// Where the keys of one pool belong, as a Maglev table or as a hash ring.
///
/// Build it once for a configuration, away from the workers, and give it to all of them: copies
/// share their memory. It holds every configured backend. One that is not available is jumped
/// over at the choice, so nobody else's keys move while it is away.
public struct HashTable: Sendable {
    /// The most backends of a pool whose keys are spread; those beyond it are found by jumps alone.
    public static let backendsMax = 65_535

    /// Maglev: the backend of each slot; empty for a ring.
    @usableFromInline let slots: [UInt16]
    /// Ring: position in the upper 48 bits, backend in the lower 16; ascending.
    @usableFromInline let points: [UInt64]
    /// Ring: the first point of each stretch of positions.
    @usableFromInline let stretches: [UInt32]
    @usableFromInline let stretchShift: UInt64
    /// The hash of each backend's name.
    @usableFromInline let nameHashes: [UInt64]
    /// The weights it was built from, at least 1.
    let weights: [Int]

    /// A Maglev table (Eisenbud et al., NSDI 2016) of `MaglevTable.slotCount` slots.
    ///
    /// Its keys are spread within about one slot of the weights. When the set of backends changes,
    /// a few keys of the others move too.
    public static func maglev(names: [String], weights: [Int]) -> HashTable {
        let hashes = names.map { HashMixer.name($0) }
        let skips = names.map { HashMixer.skip($0) }
        let counted = Self.counted(weights, names.count)
        return HashTable(
            slots: MaglevTable.slots(nameHashes: hashes, skips: skips, weights: counted),
            points: [], nameHashes: hashes, weights: counted)
    }

    /// A hash ring of at least `HashRing.pointsMin` points.
    ///
    /// When the set of backends changes, only keys of what came or went move. Its keys are spread
    /// less evenly than those of a Maglev table.
    public static func ring(names: [String], weights: [Int]) -> HashTable {
        let hashes = names.map { HashMixer.name($0) }
        let counted = Self.counted(weights, names.count)
        return HashTable(
            slots: [], points: HashRing.points(nameHashes: hashes, weights: counted),
            nameHashes: hashes, weights: counted)
    }

    /// How many backends it knows.
    public var backendCount: Int { nameHashes.count }

    private init(slots: [UInt16], points: [UInt64], nameHashes: [UInt64], weights: [Int]) {
        self.slots = slots
        self.points = points
        self.nameHashes = nameHashes
        self.weights = weights
        let bits = HashRing.stretchBits(pointCount: points.count)
        stretchShift = UInt64(64 - bits)
        stretches = HashRing.stretches(points, bits: bits)
    }

    /// A weight of 0 may grow at run time: such a backend has a place, and is jumped over.
    private static func counted(_ weights: [Int], _ count: Int) -> [Int] {
        (0..<count).map { index in
            index < weights.count ? min(max(weights[index], 1), PoolBalancer.weightMax) : 1
        }
    }

    /// The backend at a place; places are spread evenly over all 64 bits.
    @inlinable
    @inline(__always)
    func backend(at place: UInt64) -> Int {
        if !slots.isEmpty {
            let slot = place.multipliedFullWidth(by: UInt64(slots.count)).high
            return Int(slots[Int(slot)])
        }
        return ringBackend(at: place)
    }

    @inlinable
    func ringBackend(at place: UInt64) -> Int {
        guard !points.isEmpty else { return 0 }
        let wanted = place & ~0xFFFF
        var index = Int(stretches[Int(place &>> stretchShift)])
        while index < points.count, points[index] < wanted { index &+= 1 }
        if index == points.count { index = 0 }
        return Int(points[index] & 0xFFFF)
    }

    /// Where the key would be without any failure, for reports and tests.
    public func backend(of key: UInt64) -> Int {
        backend(at: HashMixer.place(of: key, jump: 0))
    }
}
