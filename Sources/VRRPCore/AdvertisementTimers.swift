// SPDX-License-Identifier: Apache-2.0
//
// The timer formulas of RFC 9568 §6.1 and RFC 3768 §6.1, in nanoseconds: whole centiseconds would
// collapse Skew_Time to zero at small intervals, and all backups would promote at once.

public import WireCore

/// The timers that follow from a priority and an Active_Adver_Interval (RFC 9568 §6.1).
public enum AdvertisementTimers {
    /// Skew_Time: how long a backup holds back for better ones; `priority` is the backup's.
    ///
    /// RFC 3768 §6.1: version 2 counts in parts of a second, whatever the interval.
    public static func skewTime(
        priority: UInt8, interval: TimeSpan, version: AdvertisementVersion = .version3
    ) -> TimeSpan {
        let unit = version == .version2 ? TimeSpan.seconds(1) : interval
        return unit.multiplied(by: 256 - UInt64(priority)).divided(by: 256)
    }

    /// Active_Down_Interval: how much silence proves to a backup that the Active is gone.
    public static func activeDownInterval(
        priority: UInt8, interval: TimeSpan, version: AdvertisementVersion = .version3
    ) -> TimeSpan {
        interval.multiplied(by: 3)
            + skewTime(priority: priority, interval: interval, version: version)
    }
}
