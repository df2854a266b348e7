// SPDX-License-Identifier: Apache-2.0
//
// Whether the bad verdicts of a pool have a shared cause: how many at once begin it, how it ends.
// It only counts; whom the governor then excuses is said there.

import WireCore

/// The guard's own state.
struct CascadeGuard: Hashable, Sendable {
    /// Fewer bad verdicts than this never have a shared cause.
    static let badCountMin = 2
    /// While it lasts, the verdicts are counted so often.
    static let tick = TimeSpan.seconds(1)

    /// Since when the cause is shared; `nil` while it is not.
    private(set) var since: Instant?
    /// Since when the verdicts are good enough to end it.
    private(set) var calmSince: Instant?

    var isActive: Bool { since != nil }

    /// True when so many bad verdicts within one window have a shared cause.
    static func isShared(badCount: Int, total: Int, settings: CascadeSettings) -> Bool {
        badCount >= badCountMin && isAbove(badCount, of: total, settings)
    }

    private static func isAbove(_ count: Int, of total: Int, _ settings: CascadeSettings) -> Bool {
        count * 100 > min(max(settings.thresholdPercent, 1), 100) * total
    }

    mutating func begin(now: Instant) {
        since = now
        calmSince = nil
    }

    mutating func end() {
        since = nil
        calmSince = nil
    }

    /// True when the verdicts allow to end it.
    ///
    /// Nobody bad ends it at once. As many as two separate faults may explain end it after a whole
    /// window, so that a cause which comes and goes does not take backends out in its pauses.
    ///
    /// - Parameters:
    ///   - badCount: backends whose verdict is bad now, dead ones included.
    ///   - excusableCount: those of them at which something listens.
    ///   - total: backends that are judged.
    ///   - settings: threshold and window.
    ///   - now: the time.
    /// - Returns: whether the guard should end.
    mutating func isOver(
        badCount: Int, excusableCount: Int, total: Int, settings: CascadeSettings, now: Instant
    ) -> Bool {
        guard isActive else { return false }
        if badCount == 0 { return true }
        guard !Self.isAbove(badCount, of: total, settings) || excusableCount == 0 else {
            calmSince = nil
            return false
        }
        let calm = calmSince ?? now
        calmSince = calm
        return now - calm >= settings.window
    }
}
