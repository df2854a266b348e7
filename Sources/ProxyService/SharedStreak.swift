// SPDX-License-Identifier: Apache-2.0
//
// Failures of a backend in a row, as all workers together see them. A row that does not exist costs
// one load: a backend that works never has its cache line written for this.

internal import BalancerCore
internal import Synchronization

/// The word of a `FailureStreak` that threads share.
struct SharedStreak: ~Copyable, Sendable {
    private let word = Atomic<UInt64>(0)

    /// The backend answered something that is no failure, or begins anew.
    @inline(__always)
    borrowing func end() {
        if word.load(ordering: .relaxed) != 0 { word.store(0, ordering: .relaxed) }
    }

    /// Counts an outcome; returns what is to be reported, if anything.
    borrowing func count(
        _ outcome: TrafficOutcome, settings: borrowing OutlierSettings
    ) -> EjectionCause? {
        var seen = word.load(ordering: .relaxed)
        while true {
            var streak = FailureStreak(rawValue: seen)
            let cause = streak.count(outcome, settings: copy settings)
            guard streak.rawValue != seen else { return cause }
            let (done, now) = word.weakCompareExchange(
                expected: seen, desired: streak.rawValue, ordering: .relaxed)
            guard !done else { return cause }
            seen = now
        }
    }
}
