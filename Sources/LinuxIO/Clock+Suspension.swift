// SPDX-License-Identifier: Apache-2.0
//
// How long the host slept: the part of time that CLOCK_MONOTONIC leaves out.

internal import CLinux
public import WireCore

extension Clock {
    /// How long the host was suspended since boot (CLOCK_BOOTTIME less CLOCK_MONOTONIC).
    public static func suspendedSpan() -> TimeSpan {
        suspendedSpan(monotonic: Clock.now, boot: bootTime)
    }

    /// Reads both clocks until no delay fell between the readings.
    ///
    /// A thread that lost its core between the two would else take the delay for a suspension. The
    /// narrowest of a few readings counts; what is left of a delay must not hide a suspension, so
    /// the monotonic clock is the one read first.
    static func suspendedSpan(monotonic: () -> Instant, boot: () -> Instant) -> TimeSpan {
        var narrowest = TimeSpan(nanoseconds: .max)
        var span = TimeSpan.zero
        for _ in 0..<suspensionReadingsMax {
            let before = monotonic()
            let boot = boot()
            let width = monotonic() - before
            if width < narrowest {
                narrowest = width
                span = boot - before
            }
            if width < suspensionReadingWidth { break }
        }
        return span
    }

    /// Readings tried; a core that is lost during all of them is lost for longer reasons.
    private static let suspensionReadingsMax = 4
    /// Two readings that lie so close together are as good as one.
    private static let suspensionReadingWidth = TimeSpan.microseconds(100)

    private static func bootTime() -> Instant {
        var time = timespec()
        let result = clock_gettime(CLOCK_BOOTTIME, &time)
        precondition(result == 0, "clock_gettime failed on a clock every kernel has")
        return Instant(
            nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }
}
