// SPDX-License-Identifier: Apache-2.0
//
// Counted latencies as a value: sums of workers, differences of moments, quantiles.

public import WireCore

/// How often answers took how long.
public struct LatencyCounts: Hashable, Sendable {
    /// One number for each bucket; empty when nothing was counted.
    private var buckets: [UInt64] = []

    /// Starts with nothing counted.
    public init() {}

    /// How many times were counted.
    public var total: UInt64 { buckets.reduce(0, &+) }

    /// True when nothing was counted.
    public var isEmpty: Bool { buckets.allSatisfy { $0 == 0 } }

    mutating func add(_ count: UInt64, to bucket: Int) {
        guard count > 0 else { return }
        if buckets.isEmpty { buckets = [UInt64](repeating: 0, count: LatencyScale.bucketCount) }
        buckets[bucket] &+= count
    }

    /// Adds the counts of another worker or backend.
    public static func += (left: inout LatencyCounts, right: LatencyCounts) {
        for (bucket, count) in right.buckets.enumerated() { left.add(count, to: bucket) }
    }

    /// What was counted since an earlier moment.
    public func since(_ earlier: LatencyCounts) -> LatencyCounts {
        guard !earlier.buckets.isEmpty else { return self }
        var difference = LatencyCounts()
        for (bucket, count) in buckets.enumerated() where count > earlier.buckets[bucket] {
            difference.add(count - earlier.buckets[bucket], to: bucket)
        }
        return difference
    }

    /// The time that so many of 1,000 answers do not exceed; `nil` when nothing was counted.
    ///
    /// Inside its bucket the time is interpolated, so it is off by a quarter at most.
    public func quantile(perMille: Int) -> TimeSpan? {
        let total = total
        guard total > 0 else { return nil }
        let rank = Double(total) * Double(min(max(perMille, 0), 1_000)) / 1_000
        var below = 0.0
        for (bucket, count) in buckets.enumerated() where count > 0 {
            let count = Double(count)
            if below + count >= rank {
                let lower = Double(LatencyScale.lowerMicroseconds(of: bucket))
                // Beyond the longest bound nothing is known but that it was passed.
                let bound = LatencyScale.upperMicroseconds(of: bucket)
                let upper = bound.map { Double($0) } ?? lower
                let share = max(0, rank - below) / count
                return .microseconds(UInt64(lower + (upper - lower) * share))
            }
            below += count
        }
        return nil
    }

    /// Bounds in seconds with the number of times up to each: one bound an octave, from 256 us to
    /// 33 s, as a Prometheus histogram has them.
    var cumulative: [(bound: Double, count: UInt64)] {
        var result: [(Double, UInt64)] = []
        var sum: UInt64 = 0
        for bucket in 0..<LatencyScale.bucketCount - 1 {
            if !buckets.isEmpty { sum &+= buckets[bucket] }
            guard bucket % LatencyScale.bucketsPerOctave == 0,
                bucket >= 2 * LatencyScale.bucketsPerOctave,
                let bound = LatencyScale.upperMicroseconds(of: bucket), bound <= 1 << 25
            else { continue }
            result.append((Double(bound) / 1_000_000, sum))
        }
        return result
    }
}
