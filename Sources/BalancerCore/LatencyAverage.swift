// SPDX-License-Identifier: Apache-2.0
//
// The latency that a backend is believed to have: a moving average that forgets.

public import WireCore

/// The constants of the least-time policy.
public struct LeastTimeTuning: Hashable, Sendable {
    /// Share of a new observation in the average.
    public var observationShare = 0.1
    /// Time constant of the decay toward the pool's median.
    public var decayTime = TimeSpan.seconds(10)
    /// What a failed request counts for, however fast it failed.
    public var failurePenalty = TimeSpan.seconds(1)
    /// The most that a backend's own Retry-After may stretch the penalty to.
    public var failurePenaltyMax = TimeSpan.seconds(300)
    /// A backend that nothing was heard of for so long gets the next request when it has none.
    ///
    /// Averages drift to the median and never below it: among backends that are better, or
    /// heavier, one that is as good as any would never be asked again.
    public var staleAfter = TimeSpan.seconds(10)
    /// A backend is passed over above this many times the mean requests in flight, plus one.
    public var inFlightCapFactor = 1.5

    /// The constants that were simulated; see the type's properties.
    public init() {}
}

/// A moving average of one backend's latency, in nanoseconds.
///
/// Between two requests the average drifts toward the pool's median: a backend that was
/// penalised is tried again after a while instead of being starved for ever. The drift is
/// applied on every read and stored on every update.
struct LatencyAverage {
    private(set) var isMeasured = false
    /// True when the last request to the backend failed.
    private(set) var lastFailed = false
    /// What it knows came from another node.
    private var isSeeded = false
    private var value = 0.0
    private var updatedAt = Instant(nanoseconds: 0)

    /// The average at `now`; the median itself while nothing was measured.
    func nanoseconds(now: Instant, median: Double, tuning: LeastTimeTuning) -> Double {
        guard isMeasured else { return median }
        let age = Double((now - updatedAt).nanoseconds)
        let elapsed = age / Double(max(tuning.decayTime.nanoseconds, 1))
        return median + (value - median) * ExponentialDecay.remainder(after: elapsed)
    }

    /// True when nothing was heard for so long, or ever.
    func isStale(now: Instant, tuning: LeastTimeTuning) -> Bool {
        now - updatedAt >= tuning.staleAfter
    }

    /// True when another node knows better.
    func isCold(now: Instant, tuning: LeastTimeTuning) -> Bool {
        !isMeasured || isSeeded || isStale(now: now, tuning: tuning)
    }

    /// Takes over what another node found, when nothing was heard for long.
    ///
    /// - Returns: whether it did.
    mutating func seed(nanoseconds: Double, now: Instant, tuning: LeastTimeTuning) -> Bool {
        guard isCold(now: now, tuning: tuning) else { return false }
        value = nanoseconds
        isMeasured = true
        isSeeded = true
        lastFailed = false
        updatedAt = max(updatedAt, now)
        return true
    }

    /// Blends an observation into the decayed average; the first observation sets it.
    mutating func observe(
        nanoseconds observed: Double, failed: Bool, now: Instant, median: Double,
        tuning: LeastTimeTuning
    ) {
        if isMeasured {
            let decayed = nanoseconds(now: now, median: median, tuning: tuning)
            value = decayed + (observed - decayed) * tuning.observationShare
        } else {
            value = observed
            isMeasured = true
        }
        lastFailed = failed
        isSeeded = false
        updatedAt = max(updatedAt, now)
    }
}
