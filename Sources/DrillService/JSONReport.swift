// SPDX-License-Identifier: Apache-2.0
//
// The report as JSON for other programs. Pure.

internal import Telemetry
internal import WireCore

/// Renders a report as JSON; times are in nanoseconds unless their name says otherwise.
enum JSONReport {
    static func render(_ report: DrillReport) -> String {
        let options = report.options
        let document = JSONValue.object([
            ("schema", .string("tandem-drill/1")),
            ("label", .string(options.label)),
            ("written_at", .string(CalendarTime.rfc3339(wallNanoseconds: report.wallNanoseconds))),
            ("target", .string(options.target.url)),
            ("fault", .string(options.faultCommand)),
            ("restore", .string(options.restoreCommand)),
            ("rate_per_second", .integer(Int64(options.ratePerSecond))),
            ("keep_alive_clients", .integer(Int64(options.keepAliveClients))),
            ("keep_alive_interval_ns", span(options.keepAliveInterval)),
            ("advert_interval_ns", span(options.advertInterval)),
            ("probe_timeout_ns", span(options.probeTimeout)),
            ("seed", .unsigned(options.seed)),
            ("holds", .bool(report.holds)),
            ("verdicts", .array(report.verdicts.map(verdict))),
            ("summary", .object(report.rows.map { (key($0.name), summary($0.distribution)) })),
            ("probes", probes(report.probes)),
            ("keep_alive", fates { report.keepAliveCount($0) }),
            ("runs", .array(report.results.map(run))),
        ])
        return document.rendered(pretty: true) + "\n"
    }

    private static func verdict(_ verdict: DrillReport.Verdict) -> JSONValue {
        .object([("text", .string(verdict.text)), ("holds", .bool(verdict.holds))])
    }

    private static func key(_ name: String) -> String {
        name.split(separator: " ").joined(separator: "_") + "_ns"
    }

    private static func summary(_ samples: Distribution) -> JSONValue {
        .object([
            ("count", .integer(Int64(samples.count))),
            ("min", span(samples.minimum)),
            ("median", span(samples.median)),
            ("p99", span(samples.percentile(perMille: 990))),
            ("max", span(samples.maximum)),
        ])
    }

    private static func probes(_ counts: ProbeCounts) -> JSONValue {
        .object(
            ProbeOutcome.allCases.map { ($0.name, .integer(Int64(counts[$0]))) }
                + [("slow", .integer(Int64(counts.slow)))])
    }

    private static func fates(_ count: (KeepAliveFate) -> Int) -> JSONValue {
        .object(KeepAliveFate.allCases.map { ($0.name, .integer(Int64(count($0)))) })
    }

    private static func run(_ run: RunResult) -> JSONValue {
        .object([
            ("run", .integer(Int64(run.number))),
            ("phase_ns", span(run.phase)),
            ("fault_at_wall_ns", .unsigned(run.faultWallNanoseconds)),
            ("gap_ns", span(run.outage?.gap)),
            ("gap_start_ns", run.outage.map { .integer($0.startNanoseconds) } ?? .null),
            ("first_answer_ns", span(run.outage?.firstAnswer)),
            ("because", run.failover.because.map { .string($0) } ?? .null),
            ("detect_ns", span(run.failover.detect)),
            ("claim_ns", span(run.failover.claim)),
            ("announce_ns", span(run.failover.announce)),
            ("probes", probes(run.probes)),
            ("keep_alive", fates { run.count($0) }),
            ("longest_silence_ns", span(run.longestSilence)),
            ("silences_ns", .array(run.keepAlive.map { span($0.longestSilence) })),
            ("keep_alive_slow", .integer(run.keepAlive.reduce(0) { $0 + Int64($1.slowCount) })),
            ("own_lateness_ns", span(run.ownLateness)),
        ])
    }

    private static func span(_ span: TimeSpan?) -> JSONValue {
        span.map { .unsigned($0.nanoseconds) } ?? .null
    }
}
