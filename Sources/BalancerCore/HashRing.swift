// SPDX-License-Identifier: Apache-2.0
//
// The points of a hash ring, with weights, and the stretches that make finding one cheap.

/// The making of a hash ring.
enum HashRing {
    /// A ring has at least so many points: with few backends they are many per backend.
    static let pointsMin = 32_768
    /// Points for each backend of a large pool, on average.
    static let pointsPerBackend = 160
    /// A ring is made for at most so many points; rounding may double them, to 4 MiB.
    static let pointsMax = 1 << 18
    /// Points in a stretch, on average: they share one or two cache lines.
    private static let pointsPerStretch = 4

    /// Points in ascending order: position in the upper 48 bits, backend in the lower 16.
    ///
    /// The number of points per weight is a power of two, and so rarely another one when backends
    /// come or go: the points of those that stay are where they were.
    static func points(nameHashes: [UInt64], weights: [Int]) -> [UInt64] {
        let count = min(nameHashes.count, HashTable.backendsMax)
        guard count > 0 else { return [] }
        let wanted = min(max(count * pointsPerBackend, pointsMin), pointsMax)
        let total = weights[..<count].reduce(0, +)
        var shift = 0
        while total << shift < wanted { shift += 1 }
        while total >> -shift >= wanted * 2 { shift -= 1 }
        var points: [UInt64] = []
        points.reserveCapacity(wanted * 2)
        for index in 0..<count {
            // A negative shift goes the other way.
            let share = max(1, weights[index] << shift)
            for replica in 0..<share {
                let place = HashMixer.point(nameHashes[index], replica: UInt64(replica))
                points.append(place & ~0xFFFF | UInt64(index))
            }
        }
        points.sort()
        return points
    }

    /// The number of stretches is 2 to this power.
    static func stretchBits(pointCount: Int) -> Int {
        let count = pointCount / pointsPerStretch
        return max(1, Int.bitWidth - count.leadingZeroBitCount)
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
