// SPDX-License-Identifier: Apache-2.0
//
// How quickly answers follow each other, to know whether waiting for the next ones pays.

internal import WireCore

/// An average of the time between answers that forgets an eighth with each look.
struct AnswerPace {
    /// What a pause counts at most: one of them is no end, several are.
    static let spacingMax = TimeSpan.milliseconds(1)

    private var spacing = AnswerPace.spacingMax
    private var lastAt: Instant?

    /// So many answers came since the last look.
    mutating func note(count: Int, now: Instant) {
        guard count > 0 else { return }
        defer { lastAt = now }
        guard let lastAt else { return }
        let sample = min((now - lastAt).divided(by: UInt64(count)), Self.spacingMax)
        spacing = spacing - spacing.divided(by: 8) + sample.divided(by: 8)
    }

    /// Whether so many answers are to be expected within `span`.
    func isExpected(_ count: UInt64, within span: TimeSpan) -> Bool {
        spacing.multiplied(by: count) <= span
    }
}
