// SPDX-License-Identifier: Apache-2.0
//
// How the clock of a connection's time stamps goes on while nobody looks at it.

extension TransportState {
    /// What two hosts' clocks may differ by, as a share of the time: one part of so many.
    ///
    /// Crystals keep within 1 part of 5,000; a clock that is being set right moves 1 of 2,000.
    private static let clockShare = 1_024
    /// The most that time stamps are moved by: half of their range would turn the order around
    /// (RFC 7323 §5.2).
    private static let advanceMillisecondsMax = 1_000_000_000

    /// Moves the time stamp on by the time since it was read.
    ///
    /// - Parameters:
    ///   - elapsed: the time since then.
    ///   - marginMilliseconds: how much further; a share of `elapsed` is added for the hosts'
    ///     clocks when it is not 0. The receiver drops what seems older than what it has seen.
    public mutating func advanceTimestamp(by elapsed: TimeSpan, marginMilliseconds: Int) {
        var milliseconds = Int(clamping: elapsed.milliseconds)
        if marginMilliseconds > 0 {
            milliseconds += milliseconds / Self.clockShare + marginMilliseconds
        }
        milliseconds = max(0, min(milliseconds, Self.advanceMillisecondsMax))
        timestamp &+= UInt32(truncatingIfNeeded: milliseconds)
    }
}
