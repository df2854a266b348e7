// SPDX-License-Identifier: Apache-2.0
//
// The share of a backend that returned: it grows over a window, so that cold caches and lazily made
// connections do not meet the whole load at once.

public import WireCore

/// The ramp of one backend: Envoy's formula, `max(minimum, (t / window)^(1 / aggression))`.
public struct SlowStart: Hashable, Sendable {
    /// The share is told anew at most this often.
    public static let stepMin = TimeSpan.milliseconds(100)
    /// A window has this many steps, unless they would be shorter than the shortest.
    static let stepsMax: UInt64 = 100

    /// When the backend returned.
    public let since: Instant
    /// The settings it goes by.
    public let settings: SlowStartSettings

    /// Begins a ramp.
    public init(since: Instant, settings: SlowStartSettings) {
        self.since = since
        self.settings = settings
    }

    /// When the backend has its whole share.
    public var end: Instant { since + settings.window }

    /// How often the share is looked at.
    var step: TimeSpan { max(Self.stepMin, settings.window.divided(by: Self.stepsMax)) }

    /// The share in percent, 1 to 100; it never shrinks while `now` grows.
    public func percent(at now: Instant) -> UInt8 {
        let minimum = min(max(settings.minPercent, 1), 100)
        guard now < end else { return 100 }
        // The formula counts the first second as over; a window of a second or less has no use of
        // that.
        let elapsed = max(
            (now - since).secondsAsDouble, min(1, settings.window.secondsAsDouble / 60))
        let factor = min(1, elapsed / max(settings.window.secondsAsDouble, 1e-9))
        let aggression = Double(min(max(settings.aggressionPercent, 1), 10_000)) / 100
        let share =
            aggression == 1 ? factor : NaturalLogarithm.power(factor, exponent: 1 / aggression)
        return UInt8(max(Double(minimum), min(100, share * 100 + 1e-6)))
    }
}
