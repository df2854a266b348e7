// SPDX-License-Identifier: Apache-2.0
//
// Goal: log lines cannot be forged, times and numbers read right, a noisy peer is held back.
// Method: tables.

import Testing
import WireCore

@testable import Telemetry

@Suite struct TelemetryTests {
    private func line(_ message: String, _ fields: KeyValuePairs<String, String>) -> LogLine {
        LogLine(
            wallNanoseconds: 1_795_248_000_123_456_789, level: .warning, component: "vrrp",
            message: message, fields: fields)
    }

    @Test func logfmtLineQuotesWhatNeedsIt() {
        let text = line("[vrid 51] dropped", ["got": "3", "why": "bad ttl"]).rendered(as: .logfmt)
        #expect(
            text == "time=2026-11-21T08:00:00.123456Z level=warning part=vrrp "
                + "msg=\"[vrid 51] dropped\" got=3 why=\"bad ttl\"")
    }

    @Test func textFromOutsideCannotForgeALine() {
        let hostile = "x\"\nlevel=error msg=\u{1B}[31mowned\\"
        for format in [LogFormat.logfmt, .json] {
            let text = line("request", ["path": hostile]).rendered(as: format)
            #expect(!text.contains("\n"))
            #expect(!text.contains("\u{1B}"))
            #expect(text.contains("\\n"))
        }
    }

    @Test func jsonLineIsOneObject() {
        let text = line("a", ["k": "v"]).rendered(as: .json)
        #expect(
            text == "{\"time\":\"2026-11-21T08:00:00.123456Z\",\"level\":\"warning\","
                + "\"part\":\"vrrp\",\"msg\":\"a\",\"k\":\"v\"}")
    }

    @Test(arguments: [
        (UInt64(0), "1970-01-01T00:00:00.000000Z"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
        (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999Z"),
        (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
    ])
    func calendarKnowsLeapYears(nanoseconds: UInt64, text: String) {
        #expect(CalendarTime.rfc3339(wallNanoseconds: nanoseconds) == text)
    }

    @Test func rateLimiterLetsABurstThroughAndCountsTheRest() {
        var limiter = LogRateLimiter(burstCount: 2, interval: .seconds(10))
        let start = Instant(nanoseconds: 1_000_000_000_000)
        #expect(limiter.admit(now: start) == 0)
        #expect(limiter.admit(now: start) == 0)
        for _ in 0..<7 { #expect(limiter.admit(now: start + .seconds(1)) == nil) }
        #expect(limiter.admit(now: start + .seconds(11)) == 7)
        #expect(limiter.admit(now: start + .seconds(12)) == nil)
    }

    @Test func metricsOfOneFamilyStayTogether() {
        var text = MetricsText()
        text.add("tandem_a_total", .counter, help: "A.", labels: ["pool": "we\"b"], 1)
        text.add("tandem_b", .gauge, help: "B.", 0.5)
        text.add("tandem_a_total", .counter, help: "A.", labels: ["pool": "api"], 2)
        #expect(
            text.rendered == """
                # HELP tandem_a_total A.
                # TYPE tandem_a_total counter
                tandem_a_total{pool="we\\"b"} 1
                tandem_a_total{pool="api"} 2
                # HELP tandem_b B.
                # TYPE tandem_b gauge
                tandem_b 0.5

                """)
    }

    @Test func histogramsHaveBucketsSumAndCount() {
        var text = MetricsText()
        text.addHistogram(
            "tandem_a_seconds", help: "A.", labels: ["pool": "web"],
            bounds: [(0.000256, 1), (0.512, 3)], sum: 2.5, count: 4)
        text.addHistogram("tandem_a_seconds", help: "A.", bounds: [], sum: 0, count: 0)
        #expect(
            text.rendered == """
                # HELP tandem_a_seconds A.
                # TYPE tandem_a_seconds histogram
                tandem_a_seconds_bucket{pool="web",le="0.000256"} 1
                tandem_a_seconds_bucket{pool="web",le="0.512"} 3
                tandem_a_seconds_bucket{pool="web",le="+Inf"} 4
                tandem_a_seconds_sum{pool="web"} 2.5
                tandem_a_seconds_count{pool="web"} 4
                tandem_a_seconds_bucket{le="+Inf"} 0
                tandem_a_seconds_sum 0
                tandem_a_seconds_count 0

                """)
    }

    @Test func jsonValuesRenderPlainAndPretty() {
        let value = JSONValue.object([
            ("name", .string("lb1\u{1}")), ("list", .array([.integer(-1), .bool(true), .null])),
            ("empty", .object([])), ("ratio", .number(.infinity)),
        ])
        #expect(
            value.rendered()
                == "{\"name\":\"lb1\\u0001\",\"list\":[-1,true,null],\"empty\":{},\"ratio\":null}")
        #expect(
            JSONValue.object([("a", .array([.integer(1)]))]).rendered(pretty: true)
                == "{\n  \"a\": [\n    1\n  ]\n}")
    }

    @Test func countersAndGaugesCount() {
        let counter = Counter()
        counter.add()
        counter.add(4)
        #expect(counter.value == 5)
        let gauge = Gauge()
        gauge.set(3)
        gauge.add(-5)
        #expect(gauge.value == -2)
    }
}
