// SPDX-License-Identifier: Apache-2.0
//
// How long an answer may take before a second attempt is worth it: the latency that all but a small
// share of a pool's requests stay below, followed sample by sample.

internal import WireCore

/// A running estimate of one quantile of a latency.
///
/// Each sample above moves it up, each one below moves it down, in the proportion that balances at
/// the quantile; the steps are parts of the estimate, so that it follows changes of any size.
struct HedgeDelay {
    /// Samples before it says anything.
    static let samplesMin: UInt32 = 20
    /// No second attempt sooner than this.
    static let shortest = TimeSpan.milliseconds(1)
    /// The part of the estimate that one sample moves it at most.
    private static let step = 0.05

    private let quantile: Double
    private var nanoseconds = 0.0
    private var count: UInt32 = 0

    /// Follows the latency that all but `percent` of the samples stay below.
    init(allBut percent: Int) {
        quantile = 1 - Double(min(max(percent, 1), 99)) / 100
    }

    /// The estimate; `nil` as long as too little is known.
    var span: TimeSpan? {
        guard count >= Self.samplesMin else { return nil }
        return max(Self.shortest, TimeSpan(nanoseconds: UInt64(min(nanoseconds, 1e15))))
    }

    /// Learns one latency.
    mutating func learn(_ latency: TimeSpan) {
        let sample = Double(max(latency.nanoseconds, 1_000))
        if count < Self.samplesMin {
            // The largest of the first ones: near enough, and on the safe side.
            count &+= 1
            nanoseconds = max(nanoseconds, sample)
        } else if sample > nanoseconds {
            nanoseconds *= 1 + Self.step * quantile
        } else {
            nanoseconds *= 1 - Self.step * (1 - quantile)
        }
    }
}
