// SPDX-License-Identifier: Apache-2.0
//
// What one run of a drill showed, and what follows from its probes. Pure.

internal import WireCore

/// The nodes' own account of one failover.
struct FailoverTimes: Hashable, Sendable {
    /// Why the surviving node took over.
    var because: String?
    /// Fault to decision.
    var detect: TimeSpan?
    /// Decision to holding the address.
    var claim: TimeSpan?
    /// Holding the address to the first announcement.
    var announce: TimeSpan?
}

/// A probe as the plots show it.
struct ProbePoint: Hashable, Sendable {
    /// When it was due, in nanoseconds after the fault (negative before).
    var offsetNanoseconds: Int64
    var latency: TimeSpan
    var outcome: ProbeOutcome
}

/// The outage that the new-connection probes saw.
struct Outage: Hashable, Sendable {
    /// Longest time between the completions of two consecutive successful probes, of all such
    /// pairs whose second completed after the fault.
    var gap: TimeSpan
    /// Fault to the second completion: the first good answer after the gap.
    var firstAnswer: TimeSpan
    /// When the gap began, in nanoseconds after the fault.
    var startNanoseconds: Int64
}

/// One run.
struct RunResult: Hashable, Sendable {
    /// 1 for the first run.
    var number: Int
    /// Delay of the fault after a steady state was seen: its phase in the advert interval.
    var phase: TimeSpan
    /// Wall clock of the injection.
    var faultWallNanoseconds: UInt64
    /// `nil` when traffic did not resume.
    var outage: Outage?
    var failover = FailoverTimes()
    var probes = ProbeCounts()
    var keepAlive: [KeepAliveRecord] = []
    var points: [ProbePoint] = []
    /// How late the drill's own timers were at worst: no gap is known better than this.
    var ownLateness = TimeSpan.zero

    func count(_ fate: KeepAliveFate) -> Int {
        keepAlive.reduce(0) { $0 + ($1.fate == fate ? 1 : 0) }
    }

    /// Clients whose connection did not go on.
    var lostCount: Int { keepAlive.count - count(.kept) }
    var longestSilence: TimeSpan? { keepAlive.map(\.longestSilence).max() }
}

/// Turns records into an outage.
enum OutageFinder {
    /// Finds the outage around `fault`, or `nil` when no probe succeeded after it, or none before.
    ///
    /// A gap that begins later than `window` after both the fault and the last failed or slow
    /// probe is not looked at: runs that were observed longer would else seem worse.
    static func find(
        in records: [ProbeRecord], fault: Instant, window: TimeSpan = .seconds(1)
    ) -> Outage? {
        let lastDisturbed =
            records.lazy.filter { $0.outcome != .answered || $0.isSlow }.map(\.scheduled).max()
        let end = max(fault, lastDisturbed ?? fault) + window
        let successes = records.lazy.filter { $0.outcome == .answered }.map(\.completed).sorted()
        var longest: (from: Instant, to: Instant)?
        for (from, to) in zip(successes, successes.dropFirst())
        where to > fault && from <= end {
            if let best = longest, best.to - best.from >= to - from { continue }
            longest = (from, to)
        }
        guard let longest else { return nil }
        return Outage(
            gap: longest.to - longest.from, firstAnswer: longest.to - fault,
            startNanoseconds: SignedTime.difference(longest.from, fault))
    }
}

/// Differences of instants that may be negative.
enum SignedTime {
    /// The instant `span` before `instant`, but not before the clock's epoch.
    static func earlier(_ instant: Instant, by span: TimeSpan) -> Instant {
        Instant(nanoseconds: (TimeSpan(nanoseconds: instant.nanoseconds) - span).nanoseconds)
    }

    /// Nanoseconds from `origin` to `instant`, clamped to the signed range.
    static func difference(_ instant: Instant, _ origin: Instant) -> Int64 {
        instant >= origin
            ? Int64(clamping: (instant - origin).nanoseconds)
            : -Int64(clamping: (origin - instant).nanoseconds)
    }
}
