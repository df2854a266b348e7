// SPDX-License-Identifier: Apache-2.0
//
// Time as a value. Cores receive `now` and never ask a clock.

/// A length of time in whole nanoseconds, 0 to about 584 years.
///
/// Arithmetic saturates instead of trapping, so that a number from the network or from a
/// configuration can never stop the process.
public struct TimeSpan: Hashable, Comparable, Sendable {
    /// The length in nanoseconds.
    public var nanoseconds: UInt64

    /// Makes a span of `nanoseconds` nanoseconds.
    @inlinable
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// No time at all.
    public static let zero = TimeSpan(nanoseconds: 0)

    /// A span of `count` nanoseconds.
    @inlinable
    public static func nanoseconds(_ count: UInt64) -> TimeSpan {
        TimeSpan(nanoseconds: count)
    }

    /// A span of `count` microseconds, saturating.
    @inlinable
    public static func microseconds(_ count: UInt64) -> TimeSpan {
        TimeSpan(nanoseconds: count).multiplied(by: 1_000)
    }

    /// A span of `count` milliseconds, saturating.
    @inlinable
    public static func milliseconds(_ count: UInt64) -> TimeSpan {
        TimeSpan(nanoseconds: count).multiplied(by: 1_000_000)
    }

    /// A span of `count` seconds, saturating.
    @inlinable
    public static func seconds(_ count: UInt64) -> TimeSpan {
        TimeSpan(nanoseconds: count).multiplied(by: 1_000_000_000)
    }

    /// Whole milliseconds, rounded down.
    @inlinable
    public var milliseconds: UInt64 { nanoseconds / 1_000_000 }

    /// Whole microseconds, rounded down.
    @inlinable
    public var microseconds: UInt64 { nanoseconds / 1_000 }

    /// The span as a fraction of seconds, for display only.
    @inlinable
    public var secondsAsDouble: Double { Double(nanoseconds) / 1e9 }

    /// This span `factor` times, saturating.
    @inlinable
    public func multiplied(by factor: UInt64) -> TimeSpan {
        let (product, overflow) = nanoseconds.multipliedReportingOverflow(by: factor)
        return TimeSpan(nanoseconds: overflow ? .max : product)
    }

    /// This span divided by `divisor`, rounded down; a divisor of 0 counts as 1.
    @inlinable
    public func divided(by divisor: UInt64) -> TimeSpan {
        TimeSpan(nanoseconds: nanoseconds / max(divisor, 1))
    }

    /// The sum, saturating.
    @inlinable
    public static func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        return TimeSpan(nanoseconds: overflow ? .max : sum)
    }

    /// The difference, never below zero.
    @inlinable
    public static func - (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(
            right.nanoseconds)
        return TimeSpan(nanoseconds: overflow ? 0 : difference)
    }

    /// Compares lengths.
    @inlinable
    public static func < (left: TimeSpan, right: TimeSpan) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

extension TimeSpan: CustomStringConvertible {
    /// The span in the largest unit that keeps it whole: `10ms`, `5s`, `1500us`.
    public var description: String {
        let units: [(UInt64, String)] = [
            (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"),
        ]
        for (size, name) in units where nanoseconds >= size && nanoseconds % size == 0 {
            return "\(nanoseconds / size)\(name)"
        }
        return "\(nanoseconds)ns"
    }
}

/// A point on a monotonic clock, in nanoseconds since an epoch that only that clock knows.
public struct Instant: Hashable, Comparable, Sendable {
    /// Nanoseconds since the clock's epoch.
    public var nanoseconds: UInt64

    /// Makes the instant `nanoseconds` after the clock's epoch.
    @inlinable
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// The latest instant there is; as a deadline it means "never".
    public static let distantFuture = Instant(nanoseconds: .max)

    /// The instant `span` later, saturating.
    @inlinable
    public static func + (instant: Instant, span: TimeSpan) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return Instant(nanoseconds: overflow ? .max : sum)
    }

    /// The time from `earlier` to `later`; zero when `earlier` is the later one.
    @inlinable
    public static func - (later: Instant, earlier: Instant) -> TimeSpan {
        TimeSpan(nanoseconds: later.nanoseconds) - TimeSpan(nanoseconds: earlier.nanoseconds)
    }

    /// Compares positions on the clock.
    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}
