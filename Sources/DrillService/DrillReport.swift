// SPDX-License-Identifier: Apache-2.0
//
// Everything a report says, before it is text, JSON or HTML. Pure.

internal import WireCore

/// The outcome of a drill.
struct DrillReport: Sendable {
    var options: DrillOptions
    var results: [RunResult]
    /// Why the drill stopped early.
    var failure: String?
    /// Wall clock of the report.
    var wallNanoseconds: UInt64 = 0

    /// One line of the summary.
    struct Row {
        var name: String
        var distribution: Distribution
    }

    var gaps: Distribution { Distribution(results.compactMap { $0.outage?.gap }) }

    /// The measured times that have at least one sample.
    var rows: [Row] {
        let all = [
            Row(name: "gap", distribution: gaps),
            Row(
                name: "first answer",
                distribution: Distribution(results.compactMap { $0.outage?.firstAnswer })),
            Row(
                name: "detect",
                distribution: Distribution(results.compactMap { $0.failover.detect })),
            Row(
                name: "claim",
                distribution: Distribution(results.compactMap { $0.failover.claim })),
            Row(
                name: "announce",
                distribution: Distribution(results.compactMap { $0.failover.announce })),
            Row(
                name: "longest silence",
                distribution: Distribution(results.compactMap(\.longestSilence))),
        ]
        return all.filter { $0.distribution.count > 0 }
    }

    var probes: ProbeCounts { results.map(\.probes).reduce(ProbeCounts(), +) }

    func keepAliveCount(_ fate: KeepAliveFate) -> Int {
        results.reduce(0) { $0 + $1.count(fate) }
    }

    /// One requirement and whether it held.
    struct Verdict {
        var text: String
        var holds: Bool
    }

    /// Everything that decides the exit code.
    var verdicts: [Verdict] {
        var verdicts: [Verdict] = []
        if let failure { verdicts.append(Verdict(text: failure, holds: false)) }
        let resumed = results.count { $0.outage != nil }
        verdicts.append(
            Verdict(
                text: "traffic resumed in \(resumed) of \(options.runs) runs",
                holds: resumed == options.runs))
        // A run that never resumed is worse than any bar.
        let judged = Distribution(results.map { $0.outage?.gap ?? Self.never })
        for (name, bar, measured) in [
            ("median", options.bars.median, judged.median),
            ("worst", options.bars.worst, judged.maximum),
        ] {
            guard let bar else { continue }
            verdicts.append(
                Verdict(
                    text: "\(name) gap \(Self.text(measured)), "
                        + "at most \(DurationText.milliseconds(bar)) ms",
                    holds: measured.map { $0 <= bar } ?? false))
        }
        return verdicts
    }

    private static let never = TimeSpan(nanoseconds: .max)

    private static func text(_ gap: TimeSpan?) -> String {
        guard let gap else { return "unknown" }
        // The mean of a gap and "never" is no gap either.
        return gap > .seconds(86_400) ? "without end" : DurationText.milliseconds(gap) + " ms"
    }

    var holds: Bool { verdicts.allSatisfy(\.holds) }

    /// What the numbers mean, in the words every form of the report uses.
    static let definitions: [(name: String, text: String)] = [
        (
            "gap",
            "longest time between two consecutive completed good answers to new connections, "
                + "of those pairs whose second came after the fault and whose first came no later "
                + "than a second (or --duration) after the last failed or slow probe; without an "
                + "outage it is about the time between two probes"
        ),
        ("first answer", "fault to the answer that ended the gap"),
        (
            "detect, claim, announce",
            "by the surviving node's own clock: fault to its decision, decision to holding the "
                + "address, holding it to the first announcement"
        ),
        (
            "slow",
            "good answers more than 200 ms after the probe was due; latency counts from the due "
                + "time, also when the probe could not be sent then"
        ),
        (
            "kept",
            "keep-alive clients whose same connection answered a request made after the fault"
        ),
        (
            "longest silence",
            "longest time without an answer on a keep-alive client's connection, worst client"
        ),
    ]
}
