// SPDX-License-Identifier: Apache-2.0
//
// A peer must not be able to fill the log.

public import WireCore

/// Lets a burst of lines through and then one per interval, counting what it held back.
public struct LogRateLimiter: Sendable {
    private let burstCount: Int
    private let interval: TimeSpan
    private var tokens: Int
    private var refilledAt = Instant(nanoseconds: 0)
    private var suppressedCount = 0

    /// Allows `burstCount` lines at once and one more each `interval`.
    public init(burstCount: Int = 5, interval: TimeSpan = .seconds(10)) {
        self.burstCount = max(1, burstCount)
        self.interval = interval
        tokens = self.burstCount
    }

    /// Asks for one line.
    ///
    /// - Returns: `nil` when it must be held back; otherwise the number of lines held back since
    ///   the last one that went through.
    public mutating func admit(now: Instant) -> Int? {
        refill(now: now)
        guard tokens > 0 else {
            suppressedCount &+= 1
            return nil
        }
        tokens -= 1
        defer { suppressedCount = 0 }
        return suppressedCount
    }

    private mutating func refill(now: Instant) {
        let elapsed = now - refilledAt
        let earned = elapsed.nanoseconds / max(1, interval.nanoseconds)
        guard earned > 0 else { return }
        tokens = min(burstCount, tokens + Int(clamping: min(earned, UInt64(burstCount))))
        refilledAt = now
    }
}
