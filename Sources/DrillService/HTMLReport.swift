// SPDX-License-Identifier: Apache-2.0
//
// The report as one self-contained page: no script, no font, no request to anywhere. Pure.

internal import Telemetry
internal import WireCore

/// Renders a report as HTML.
enum HTMLReport {
    static func render(_ report: DrillReport) -> String {
        let title = escaped(report.options.label)
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(title)</title>
            <style>
            \(style)
            </style>
            </head>
            <body>
            <main>
            <h1>\(title)</h1>
            <p class="quiet">\(conditions(report))</p>
            \(verdicts(report))
            \(tiles(report))
            <h2>Gaps</h2>
            <p class="quiet">One dot a run. \(escaped(definition("gap"))).</p>
            <figure>\(GapPlot.render(report))</figure>
            <h2>Probes around the fault</h2>
            <p class="quiet">One strip a run. Across: when a probe was due, in milliseconds after
            the fault. Up: how long its answer took, logarithmic. The lane on top holds probes
            without a good answer. The shaded part is the gap.</p>
            <figure>\(TimelinePlot.render(report))</figure>
            <h2>Summary</h2>
            \(summaryTable(report))
            <h2>Runs</h2>
            \(runTable(report))
            <h2>What the numbers mean</h2>
            \(definitions)
            <h2>Commands</h2>
            \(commands(report))
            </main>
            </body>
            </html>

            """
    }

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }

    static func milliseconds(_ span: TimeSpan?) -> String {
        span.map { DurationText.milliseconds($0) } ?? "–"
    }

    private static func conditions(_ report: DrillReport) -> String {
        let options = report.options
        let date = CalendarTime.rfc3339(wallNanoseconds: report.wallNanoseconds)
        return escaped(
            "\(options.target.url) · \(options.ratePerSecond) new connections a second · "
                + "\(options.keepAliveClients) keep-alive clients · faults spread over "
                + "\(options.advertInterval) · seed \(options.seed) · \(date)")
    }

    private static func verdicts(_ report: DrillReport) -> String {
        report.verdicts.map { verdict in
            let (kind, word) = verdict.holds ? ("held", "held") : ("missed", "missed")
            return "<p class=\"verdict \(kind)\"><b>\(word)</b> \(escaped(verdict.text))</p>"
        }.joined(separator: "\n")
    }

    private static func tiles(_ report: DrillReport) -> String {
        let kept = report.keepAliveCount(.kept)
        let clients = report.results.reduce(0) { $0 + $1.keepAlive.count }
        let tiles = [
            ("median gap", milliseconds(report.gaps.median) + " ms"),
            ("worst gap", milliseconds(report.gaps.maximum) + " ms"),
            ("probes failed", "\(report.probes.failed) of \(report.probes.total)"),
            ("keep-alive clients kept", "\(kept) of \(clients)"),
        ]
        let items = tiles.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" }
        return "<dl class=\"tiles\">\(items.joined(separator: ""))</dl>"
    }

    private static func summaryTable(_ report: DrillReport) -> String {
        let rows = report.rows.map { row -> [String] in
            let samples = row.distribution
            return [
                row.name, milliseconds(samples.minimum), milliseconds(samples.median),
                milliseconds(samples.percentile(perMille: 990)), milliseconds(samples.maximum),
                String(samples.count),
            ]
        }
        return table(["ms", "min", "median", "p99", "max", "runs"], rows)
    }

    private static func runTable(_ report: DrillReport) -> String {
        let rows = report.results.map { run -> [String] in
            let probes = run.probes
            return [
                String(run.number), milliseconds(run.phase),
                run.outage.map { milliseconds($0.gap) } ?? "never",
                milliseconds(run.outage?.firstAnswer), milliseconds(run.failover.detect),
                milliseconds(run.failover.claim), milliseconds(run.failover.announce),
                run.failover.because ?? "–", String(probes[.answered]), String(probes.failed),
                String(probes[.refused]), String(probes[.reset]), String(probes[.timedOut]),
                String(probes.slow), String(run.count(.kept)), String(run.lostCount),
                milliseconds(run.longestSilence),
            ]
        }
        let header = [
            "run", "phase", "gap", "first answer", "detect", "claim", "announce", "because", "ok",
            "failed", "refused", "reset", "timed out", "slow", "kept", "lost", "silence",
        ]
        return table(header, rows)
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> String {
        let head = header.map { "<th scope=\"col\">\(escaped($0))</th>" }.joined(separator: "")
        let body = rows.map { row in
            "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined(separator: "") + "</tr>"
        }
        return "<div class=\"wide\"><table><thead><tr>\(head)</tr></thead>\n<tbody>\n"
            + body.joined(separator: "\n") + "\n</tbody></table></div>"
    }

    private static func definition(_ name: String) -> String {
        DrillReport.definitions.first { $0.name == name }?.text ?? ""
    }

    private static var definitions: String {
        let items = DrillReport.definitions.map {
            "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.text))</dd>"
        }
        return "<dl class=\"terms\">\(items.joined(separator: "\n"))</dl>"
    }

    private static func commands(_ report: DrillReport) -> String {
        let options = report.options
        var lines = ["fault    \(options.faultCommand)", "restore  \(options.restoreCommand)"]
        if let status = options.statusCommand { lines.append("status   \(status)") }
        return "<pre>\(escaped(lines.joined(separator: "\n")))</pre>"
    }

    private static let style = """
        :root { --ink: #1b1f24; --quiet: #5d6670; --paper: #fff; --panel: #f4f6f8; --line: #d5dae0;
          --good: #1a7f52; --slow: #b26a00; --bad: #c2273d; --shade: #c2273d1f; --mark: #2f62c8; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --quiet: #98a2ad;
          --paper: #14171a; --panel: #1d2126; --line: #353c44; --good: #4cc38a; --slow: #f0a63a;
          --bad: #ff6b7d; --shade: #ff6b7d2b; --mark: #7ea6ff; } }
        body { margin: 0; background: var(--paper); color: var(--ink);
          font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 1080px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
        h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
        h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
        .quiet { color: var(--quiet); margin: 0 0 .8rem; }
        .verdict { margin: .2rem 0; padding: .35rem .7rem; border-left: 4px solid; }
        .held { border-color: var(--good); } .missed { border-color: var(--bad); }
        .held b { color: var(--good); } .missed b { color: var(--bad); }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr));
          gap: .75rem; margin: 1.2rem 0 0; }
        .tiles div { background: var(--panel); border-radius: 8px; padding: .7rem .9rem; }
        .tiles dt { color: var(--quiet); } .tiles dd { margin: 0; font-size: 1.5rem; }
        figure { margin: 0; overflow-x: auto; }
        svg { display: block; max-width: 100%; height: auto; }
        svg text { fill: var(--quiet); font: 11px system-ui, sans-serif; }
        .wide { overflow-x: auto; } table { border-collapse: collapse; white-space: nowrap; }
        th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line);
          font-variant-numeric: tabular-nums; }
        th { color: var(--quiet); font-weight: 500; }
        th:first-child, td:first-child { text-align: left; }
        .terms dt { font-weight: 600; } .terms dd { margin: 0 0 .5rem; color: var(--quiet); }
        pre { background: var(--panel); padding: .7rem .9rem; border-radius: 8px;
          overflow-x: auto; }
        .axis { stroke: var(--line); } .shade { fill: var(--shade); }
        .good, .slow, .bad { fill: none; stroke-linecap: round; stroke-width: 2.6; }
        .good { stroke: var(--good); } .slow { stroke: var(--slow); } .bad { stroke: var(--bad); }
        .fault { stroke: var(--bad); stroke-dasharray: 3 3; } .mark { stroke: var(--mark); }
        .limit { stroke: var(--bad); stroke-dasharray: 5 4; } .dot { fill: var(--mark); }
        """
}
