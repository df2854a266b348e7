// SPDX-License-Identifier: Apache-2.0
//
// How fast tokens come back to a bucket and how many fit into it, in the units that the bucket
// table counts in.

public import WireCore

/// The refill rate and the size of a token bucket.
///
/// Time is measured in ticks of a sixteenth of the time that one token takes to come back, so that
/// every rate has the same resolution and a token is a whole number of ticks.
public struct TokenRate: Hashable, Sendable {
    /// The resolution of a bucket: it errs by less than one of these parts of a token.
    public static let ticksPerToken: UInt64 = 16
    /// The most tokens that may come back in one span.
    public static let requestsMax = 10_000_000
    /// The most tokens that fit into a bucket.
    public static let burstMax = 10_000_000
    /// The shortest span that `requests` may refer to; a thousandth of a second.
    public static let spanMin = TimeSpan.milliseconds(1)
    /// The longest one: a day.
    public static let spanMax = TimeSpan.seconds(86_400)

    /// What a full bucket holds, in ticks.
    let windowTicks: UInt64
    private let requests: UInt64
    private let spanNanoseconds: UInt64
    /// Ticks per nanosecond as a fraction of 2^64, or of 2^56 when there are more than one.
    private let ticksPerNanosecond: UInt64
    private let isFast: Bool

    /// Makes a rate; numbers outside the limits above are brought to them.
    public init(requests: Int, per span: TimeSpan, burst: Int) {
        let requests = UInt64(min(max(1, requests), Self.requestsMax))
        let span = min(max(Self.spanMin, span), Self.spanMax).nanoseconds
        self.requests = requests
        spanNanoseconds = span
        windowTicks = UInt64(min(max(1, burst), Self.burstMax)) * Self.ticksPerToken
        let ticks = requests * Self.ticksPerToken
        isFast = ticks >= span
        // Neither division can overflow: the high half is smaller than the divisor.
        if isFast {
            assert(ticks >> 8 < span)
            ticksPerNanosecond =
                span.dividingFullWidth((high: ticks >> 8, low: ticks << 56)).quotient
        } else {
            ticksPerNanosecond = span.dividingFullWidth((high: ticks, low: 0)).quotient
        }
    }

    /// The instant in ticks; wraps, since only differences count.
    func ticks(_ now: Instant) -> UInt64 {
        let (high, low) = now.nanoseconds.multipliedFullWidth(by: ticksPerNanosecond)
        return isFast ? high << 8 | low >> 56 : high
    }

    /// The time that `ticks` take, rounded up; `ticks` is at most one token.
    func span(ticks: UInt64) -> TimeSpan {
        let bounded = min(ticks, Self.ticksPerToken)
        let ticksPerSpan = requests * Self.ticksPerToken
        return TimeSpan(
            nanoseconds: (bounded * spanNanoseconds + ticksPerSpan - 1) / ticksPerSpan)
    }
}
