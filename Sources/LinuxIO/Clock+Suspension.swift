// SPDX-License-Identifier: Apache-2.0
//
// How long the host slept: the part of time that CLOCK_MONOTONIC leaves out.

internal import CLinux
public import WireCore

extension Clock {
    /// How long the host was suspended since boot (CLOCK_BOOTTIME less CLOCK_MONOTONIC).
    public static func suspendedSpan() -> TimeSpan {
        // Monotonic first: a delay between the two readings must not hide a suspension.
        let monotonic = Clock.now()
        var time = timespec()
        let result = clock_gettime(CLOCK_BOOTTIME, &time)
        precondition(result == 0, "clock_gettime failed on a clock every kernel has")
        let boot = Instant(
            nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
        return boot - monotonic
    }
}
