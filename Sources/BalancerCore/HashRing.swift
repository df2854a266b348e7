// SPDX-License-Identifier: Apache-2.0
//
// The points of a hash ring, with weights, and the stretches that make finding one cheap.

/// The making of a hash ring.
enum HashRing {
    /// A ring has at least so many points: with few backends they are many per backend.
    static let pointsMin = 65_536
    /// Points for each backend of a large pool, on average.
    static let pointsPerBackend = 160
    /// A ring has at most about so many points: 8 MiB.
    static let pointsMax = 1 << 20
    /// The largest table of stretches: 2 to this power.
    private static let stretchBitsMax = 20

    /// Points in ascending order: position in the upper 48 bits, backend in the lower 16.
    static func points(nameHashes: [UInt64], weights: [Int]) -> [UInt64] {
        let count = min(nameHashes.count, HashTable.backendsMax)
        guard count > 0 else { return [] }
        let wanted = min(max(count * pointsPerBackend, pointsMin), pointsMax)
        let total = weights[..<count].reduce(0, +)
        var points: [UInt64] = []
        points.reserveCapacity(wanted + count)
        for index in 0..<count {
            let share = max(1, (wanted * weights[index] + total / 2) / total)
            for replica in 0..<share {
                let place = HashMixer.point(nameHashes[index], replica: UInt64(replica))
                points.append(place & ~0xFFFF | UInt64(index))
            }
        }
        points.sort()
        return points
    }

    /// About one point falls into each stretch.
    static func stretchBits(pointCount: Int) -> Int {
        guard pointCount > 1 else { return 1 }
        return min(Int.bitWidth - (pointCount - 1).leadingZeroBitCount, stretchBitsMax)
    }

    /// For each stretch of positions the first point in it or behind it.
    static func stretches(_ points: [UInt64], bits: Int) -> [UInt32] {
        guard !points.isEmpty else { return [] }
        var stretches = [UInt32](repeating: 0, count: 1 << bits)
        var index = 0
        for stretch in stretches.indices {
            while index < points.count, Int(points[index] >> UInt64(64 - bits)) < stretch {
                index += 1
            }
            stretches[stretch] = UInt32(index)
        }
        return stretches
    }
}
