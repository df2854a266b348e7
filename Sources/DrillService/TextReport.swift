// SPDX-License-Identifier: Apache-2.0
//
// The report as text for a terminal. Pure.

internal import WireCore

/// Renders a report as text.
enum TextReport {
    static func render(_ report: DrillReport) -> String {
        let options = report.options
        var text = "\(options.label)\n"
        text += "\(options.target.url): \(options.ratePerSecond) new connections a second, "
        text += "\(options.keepAliveClients) keep-alive clients, faults spread over "
        text += "\(options.advertInterval), seed \(options.seed)\n\n"
        if !report.results.isEmpty {
            text += table(runTable(report)) + "\n" + table(summaryTable(report)) + "\n"
            text += totals(report) + "\n"
        }
        for verdict in report.verdicts {
            text += (verdict.holds ? "held    " : "MISSED  ") + verdict.text + "\n"
        }
        return text
    }

    private static func runTable(_ report: DrillReport) -> [[String]] {
        let hasTimes = report.results.contains { $0.failover.detect != nil }
        let hasReasons = report.results.contains { $0.failover.because != nil }
        var header = ["run", "phase ms", "gap ms", "first answer"]
        if hasTimes { header += ["detect", "claim", "announce"] }
        header += ["ok", "failed", "refused", "reset", "timed out", "other", "slow"]
        header += ["kept", "lost", "silence ms"]
        if hasReasons { header.append("because") }
        let rows = report.results.map { run -> [String] in
            var row = [String(run.number), milliseconds(run.phase)]
            row.append(run.outage.map { milliseconds($0.gap) } ?? "never")
            row.append(milliseconds(run.outage?.firstAnswer))
            if hasTimes {
                row += [run.failover.detect, run.failover.claim, run.failover.announce].map {
                    milliseconds($0)
                }
            }
            let probes = run.probes
            row += [
                probes[.answered], probes.failed, probes[.refused], probes[.reset],
                probes[.timedOut], probes.otherFailures, probes.slow, run.count(.kept),
                run.lostCount,
            ].map { String($0) }
            row.append(milliseconds(run.longestSilence))
            if hasReasons { row.append(run.failover.because ?? "-") }
            return row
        }
        return [header] + rows
    }

    private static func summaryTable(_ report: DrillReport) -> [[String]] {
        [["ms", "min", "median", "p99", "max", "runs"]]
            + report.rows.map { row in
                let samples = row.distribution
                return [
                    row.name, milliseconds(samples.minimum), milliseconds(samples.median),
                    milliseconds(samples.percentile(perMille: 990)),
                    milliseconds(samples.maximum), String(samples.count),
                ]
            }
    }

    private static func totals(_ report: DrillReport) -> String {
        let probes = report.probes
        let failures = ProbeOutcome.allCases.filter { $0 != .answered && probes[$0] > 0 }
            .map { "\(probes[$0]) \($0.name)" }.joined(separator: ", ")
        let fates = KeepAliveFate.allCases.filter { report.keepAliveCount($0) > 0 }
            .map { "\(report.keepAliveCount($0)) \($0.name)" }.joined(separator: ", ")
        let lateness = report.results.map(\.ownLateness).max() ?? .zero
        return """
            probes      \(probes[.answered]) ok, \(probes.failed) failed\
            \(failures.isEmpty ? "" : " (\(failures))"), \(probes.slow) slow
            keep-alive  \(fates.isEmpty ? "none" : fates)
            \(hung(report))\
            resolution  \(milliseconds(report.options.probeInterval)) ms between probes; \
            the drill's own timers were at most \(milliseconds(lateness)) ms late

            """
    }

    /// Runs that the line about hung clients names; it says when there are more.
    private static let hungRunsNamedMax = 10

    /// The worst a client can meet: a connection that is open and dead, and nobody says so.
    private static func hung(_ report: DrillReport) -> String {
        let count = report.keepAliveCount(.hung)
        guard count > 0 else { return "" }
        let runs = report.results.filter { $0.count(.hung) > 0 }
        let named = runs.prefix(hungRunsNamedMax).map { "\($0.number) (\($0.count(.hung)))" }
        let clients = count == 1 ? "client" : "clients"
        return "HUNG        \(count) keep-alive \(clients) left waiting on an open connection, "
            + "not closed, not reset; run (clients): "
            + named.joined(separator: ", ") + (runs.count > named.count ? ", ..." : "") + "\n"
    }

    private static func milliseconds(_ span: TimeSpan?) -> String {
        span.map { DurationText.milliseconds($0) } ?? "-"
    }

    /// Columns as wide as their widest cell; the first row is the header.
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
        }
        var text = ""
        for row in rows {
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                // Names stand left, numbers right.
                let isName = cell.first?.isLetter == true && (column == 0 || column == columns - 1)
                return isName ? cell + padding : padding + cell
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }
}
