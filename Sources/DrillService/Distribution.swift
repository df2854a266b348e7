// SPDX-License-Identifier: Apache-2.0
//
// Order statistics over a handful of measured times. Pure.

internal import WireCore

/// Sorted samples and what is said about them.
struct Distribution: Hashable, Sendable {
    /// The samples, shortest first.
    let sorted: [TimeSpan]

    init(_ samples: some Sequence<TimeSpan>) {
        sorted = samples.sorted()
    }

    var count: Int { sorted.count }
    var minimum: TimeSpan? { sorted.first }
    var maximum: TimeSpan? { sorted.last }

    /// The middle sample; the mean of the two middle ones when their number is even.
    var median: TimeSpan? {
        guard !sorted.isEmpty else { return nil }
        let upper = sorted[sorted.count / 2]
        guard sorted.count % 2 == 0 else { return upper }
        let lower = sorted[sorted.count / 2 - 1]
        return lower + (upper - lower).divided(by: 2)
    }

    /// The smallest sample that at least `perMille` thousandths of all do not exceed (nearest
    /// rank).
    func percentile(perMille: Int) -> TimeSpan? {
        guard !sorted.isEmpty else { return nil }
        let bounded = min(max(perMille, 0), 1_000)
        let rank = (bounded * sorted.count + 999) / 1_000
        return sorted[max(rank, 1) - 1]
    }

    /// How many samples fall into each of `count` equal bins over `range`; those outside are
    /// counted in the first and last.
    func histogram(from low: TimeSpan, to high: TimeSpan, binCount: Int) -> [Int] {
        precondition(binCount > 0 && low < high, "a histogram needs room")
        var bins = [Int](repeating: 0, count: binCount)
        let width = Double((high - low).nanoseconds) / Double(binCount)
        for sample in sorted {
            let index = Int(Double((sample - low).nanoseconds) / width)
            bins[min(max(index, 0), binCount - 1)] += 1
        }
        return bins
    }
}
