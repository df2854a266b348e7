// SPDX-License-Identifier: Apache-2.0
//
// The renderers against golden files in Tests/Vectors/drill, and what decides whether a drill
// passed. A golden file that was deleted is written anew, and the test fails once.

import LinuxIO
import Testing
import WireCore

@testable import DrillService

@Suite struct ReportTests {
    private static let directory: String = {
        let parts = #filePath.split(separator: "/").dropLast(2)
        return "/" + parts.joined(separator: "/") + "/Vectors/drill/"
    }()

    @Test(
        arguments: [
            ("report.txt", TextReport.render), ("report.json", JSONReport.render),
            ("report.html", HTMLReport.render),
        ] as [(String, @Sendable (DrillReport) -> String)])
    func rendersTheGoldenFile(
        _ name: String, _ render: @Sendable (DrillReport) -> String
    ) throws {
        let path = Self.directory + name
        let rendered = render(SampleReport.report)
        guard (try? FileSystem.permissions(path: path)) != nil else {
            try FileSystem.write(Array(rendered.utf8), path: path)
            Issue.record("wrote \(path): read it and run again")
            return
        }
        let golden = try FileSystem.read(path: path, byteCountMax: 1 << 20)
        #expect(rendered == String(decoding: golden, as: UTF8.self))
    }

    @Test func hungClientsHaveALineOfTheirOwnOnlyWhenThereAreSome() {
        var report = SampleReport.report
        #expect(TextReport.render(report).contains("\nHUNG        1 keep-alive client left "))
        report.results[0].keepAlive = Array(repeating: report.results[2].keepAlive[0], count: 2)
        #expect(TextReport.render(report).contains("run (clients): 1 (2), 3 (1)\n"))
        for index in report.results.indices { report.results[index].keepAlive = [] }
        #expect(!TextReport.render(report).contains("HUNG"))
    }

    @Test func pageNeedsNothingFromElsewhere() {
        let page = HTMLReport.render(SampleReport.report)
        for reference in ["src=", "href=", "url(", "@import", "<script", "<link"] {
            #expect(!page.contains(reference))
        }
        // Text from outside stays text.
        #expect(!page.contains("<1 s>"))
        #expect(page.contains("&lt;&quot;all&quot; &amp; more&gt;"))
    }

    @Test func runWithoutResumptionMissesEveryBar() {
        let report = SampleReport.report
        #expect(!report.holds)
        #expect(report.verdicts.map(\.holds) == [false, false, false])
    }

    @Test func barsAreInclusive() {
        var report = SampleReport.report
        report.results.removeLast()
        report.options.runs = 2
        report.options.bars = DrillBars(median: .microseconds(23_515), worst: .microseconds(41_800))
        #expect(report.holds)
        report.options.bars.worst = .microseconds(41_799)
        #expect(!report.holds)
    }

    @Test func missingRunsAndFailuresDoNotHold() {
        var report = SampleReport.report
        report.options.bars = DrillBars()
        report.results.removeLast()
        #expect(!report.holds)
        report.options.runs = 2
        #expect(report.holds)
        report.failure = "interrupted"
        #expect(!report.holds)
    }

    @Test func ofManyRunsTheWorstAreDrawn() {
        var results = (1...100).map { RunResult.sample($0, gap: .milliseconds(UInt64($0))) }
        results[7].outage = nil
        let shown = TimelinePlot.shown(results).map(\.number)
        #expect(shown == [8] + Array(42...100))
    }

    @Test func comparisonShowsBothAndTheRatio() throws {
        let json = Array(JSONReport.render(SampleReport.report).utf8)
        var slower = SampleReport.report
        slower.options.label = "slower"
        for index in slower.results.indices {
            guard let outage = slower.results[index].outage else { continue }
            slower.results[index].outage?.gap = outage.gap.multiplied(by: 3)
        }
        let other = Array(JSONReport.render(slower).utf8)
        let text = try DrillComparison([("a", json), ("b", other)]).render()
        #expect(text.hasPrefix("A  crash <1 s> & more\nB  slower\n"))
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.contains(["gap", "median,", "ms", "23.5", "70.5", "3.0"]))
        #expect(throws: DrillComparison.Unreadable(reason: "c is no report of tandem drill")) {
            try DrillComparison([("a", json), ("c", Array("{}".utf8))])
        }
    }

    @Test func logarithmIsExactEnoughForADrawing() {
        for (value, expected) in [
            (1.0, 0.0), (10, 1), (0.1, -1), (1_000, 3), (2, 0.30103), (5_000, 3.69897),
        ] {
            #expect((TimelinePlot.decimalLogarithm(value) - expected).magnitude < 0.02)
        }
        #expect(TimelinePlot.decimalLogarithm(0) == -1)
        #expect(TimelinePlot.decimalLogarithm(.infinity) == -1)
    }

    @Test(arguments: [
        (0.0, 100.0, [0.0, 20, 40, 60, 80, 100]), (-100, 160, [-100, -50, 0, 50, 100, 150]),
    ])
    func ticksAreRound(_ low: Double, _ high: Double, _ expected: [Double]) {
        let scale = PlotScale(from: low, to: high, start: 0, end: 10)
        #expect(scale.ticks(about: 6) == expected)
    }
}

extension RunResult {
    fileprivate static func sample(_ number: Int, gap: TimeSpan) -> RunResult {
        var result = RunResult(number: number, phase: .zero, faultWallNanoseconds: 0)
        result.outage = Outage(gap: gap, firstAnswer: gap, startNanoseconds: 0)
        return result
    }
}
