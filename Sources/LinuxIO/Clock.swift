// SPDX-License-Identifier: Apache-2.0
//
// The clocks. Everything above receives instants as values.

internal import CLinux
public import WireCore

/// The kernel's clocks (clock_gettime).
public enum Clock {
    /// CLOCK_MONOTONIC: for every timer and duration; shared by all namespaces of one kernel.
    public static func now() -> Instant {
        Instant(nanoseconds: read(CLOCK_MONOTONIC))
    }

    /// CLOCK_REALTIME in nanoseconds since 1970: only for people and logs.
    public static func wallNanoseconds() -> UInt64 {
        read(CLOCK_REALTIME)
    }

    /// CPU time used by all threads of this process.
    public static func processCPU() -> TimeSpan {
        TimeSpan(nanoseconds: read(CLOCK_PROCESS_CPUTIME_ID))
    }

    private static func read(_ clock: CInt) -> UInt64 {
        var time = timespec()
        let result = clock_gettime(clock, &time)
        precondition(result == 0, "clock_gettime failed on a clock every kernel has")
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
