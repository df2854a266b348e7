// SPDX-License-Identifier: Apache-2.0
//
// The latencies of a short window as a histogram of fixed size, for one percentile.

import WireCore

/// Sixteen buckets an octave from a microsecond to four minutes: a bucket is 6 % wide.
struct LatencyWindow: Sendable {
    private static let bucketsPerOctave = 16
    private static let octaves = 28
    private static let bucketCount = bucketsPerOctave * octaves
    private static let shortestBits = 10

    private var counts = [UInt32](repeating: 0, count: bucketCount)
    private(set) var count = 0

    mutating func add(_ latency: TimeSpan) {
        let bucket = Self.bucket(latency.nanoseconds)
        counts[bucket] &+= 1
        count &+= 1
    }

    mutating func removeAll() {
        guard count > 0 else { return }
        for index in counts.indices { counts[index] = 0 }
        count = 0
    }

    /// The latency, in nanoseconds, that `percent` percent do not exceed; zero without any.
    func percentile(_ percent: Int) -> Double {
        guard count > 0 else { return 0 }
        let rank = (count * percent + 99) / 100
        var seen = 0
        for (bucket, number) in counts.enumerated() {
            seen += Int(number)
            if seen >= rank { return Self.middle(of: bucket) }
        }
        return Self.middle(of: Self.bucketCount - 1)
    }

    private static func bucket(_ nanoseconds: UInt64) -> Int {
        guard nanoseconds >> UInt64(shortestBits) > 0 else { return 0 }
        let exponent = 63 - nanoseconds.leadingZeroBitCount
        // The four bits below the leading one.
        let part = Int(truncatingIfNeeded: nanoseconds >> UInt64(exponent - 4)) & 15
        return min((exponent - shortestBits) * bucketsPerOctave + part, bucketCount - 1)
    }

    private static func middle(of bucket: Int) -> Double {
        let exponent = bucket / bucketsPerOctave + shortestBits
        let part = Double(bucket % bucketsPerOctave) + 0.5
        return Double(UInt64(1) << UInt64(exponent)) * (1 + part / Double(bucketsPerOctave))
    }
}
