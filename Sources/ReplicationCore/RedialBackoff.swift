// SPDX-License-Identifier: Apache-2.0
//
// How long a dialler waits before the next attempt.

public import WireCore

/// Doubling waits with jitter, so that two nodes that refuse each other do not do it in step.
public struct RedialBackoff: Sendable {
    /// The longest first wait.
    public static let firstWait = TimeSpan.milliseconds(100)
    /// The longest wait of all: a peer that comes back is dialled within this time.
    public static let waitMax = TimeSpan.seconds(2)

    private var generator: SeededGenerator
    private var nextWait = Self.firstWait

    /// Starts with a jitter that follows from `seed`.
    public init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// The wait after one more failed attempt: between half the current step and all of it.
    public mutating func next() -> TimeSpan {
        let half = nextWait.divided(by: 2)
        let wait = half + generator.span(upTo: half)
        nextWait = min(nextWait.multiplied(by: 2), Self.waitMax)
        return wait
    }

    /// An attempt succeeded: the next failure waits briefly again.
    public mutating func reset() {
        nextWait = Self.firstWait
    }
}
