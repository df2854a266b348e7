// SPDX-License-Identifier: Apache-2.0
//
// The numbers of backends and pools: latencies in buckets, quantiles, errors by kind, how even the
// load is, and the text that Prometheus reads.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import ProxyService

struct BackendMetricsTests {
    @Test func everyTimeIsBetweenTheBoundsOfItsBucket() {
        for bucket in 0..<LatencyScale.bucketCount {
            let lower = LatencyScale.lowerMicroseconds(of: bucket)
            #expect(LatencyScale.bucket(microseconds: lower + 1) == bucket)
            guard let upper = LatencyScale.upperMicroseconds(of: bucket) else {
                #expect(bucket == LatencyScale.bucketCount - 1)
                #expect(LatencyScale.bucket(microseconds: .max) == bucket)
                continue
            }
            #expect(LatencyScale.bucket(microseconds: upper) == bucket)
            // No bucket is wider than a quarter of its lower bound.
            if bucket > 0 { #expect(4 * (upper - lower) <= lower) }
        }
        #expect(LatencyScale.bucket(microseconds: 0) == 0)
    }

    @Test func quantilesAreWithinAQuarterOfTheTruth() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20 {
            let cells = LatencyCells()
            let scale = 1 + generator.next() % 2_000_000
            var times = (0..<2_000).map { _ in 64 + generator.next() % scale }
            for time in times { cells.add(.microseconds(time)) }
            var counts = LatencyCounts()
            cells.collect(into: &counts)
            #expect(counts.total == 2_000)
            times.sort()
            for perMille in [1, 500, 950, 990, 1_000] {
                let truth = Double(times[max(0, 2 * perMille - 1)])
                let found = Double(try #require(counts.quantile(perMille: perMille)).microseconds)
                #expect(abs(found - truth) <= truth / 4 + 1, "\(perMille): \(found) \(truth)")
            }
        }
        #expect(LatencyCounts().quantile(perMille: 500) == nil)
    }

    @Test func whatWasCountedSinceIsADifference() {
        let cells = LatencyCells()
        var before = LatencyCounts()
        cells.add(.milliseconds(1))
        cells.collect(into: &before)
        for _ in 0..<3 { cells.add(.milliseconds(50)) }
        var after = LatencyCounts()
        cells.collect(into: &after)
        #expect(after.since(before).total == 3)
        #expect(after.since(LatencyCounts()) == after)
        #expect(after.since(after).isEmpty)
        #expect(after.cumulative.last?.count == 4)
        #expect(after.cumulative.first { $0.bound == 0.001024 }?.count == 1)
        var bounds = after.cumulative.map(\.bound)
        #expect(bounds.count == 18)
        #expect(bounds.removeFirst() == 0.000256 && bounds.last == 33.554432)
    }

    @Test func theSpreadOfEqualSharesIsZero() {
        let even = LoadSpread([(2, 1), (4, 2), (8, 4), (9, 0)].map { (load: $0.0, weight: $0.1) })
        #expect(even.mean == 2 && even.deviation == 0)
        let uneven = LoadSpread([(0, 1), (4, 1)].map { (load: $0.0, weight: $0.1) })
        #expect(uneven.mean == 2 && uneven.deviation == 2)
        #expect(LoadSpread([]).mean == 0)
    }

    @Test func prometheusTakesTheText() throws {
        let backend = try TestBackend { request in
            request.target == "/slow"
                ? [.wait(.milliseconds(30))] + ReplyStep.ok("slow") : ReplyStep.ok("ok")
        }
        let tandem = try TestPlane([backend.endpoint, try deadEndpoint()])
        let loop = try EventLoop()
        defer { loop.close() }
        try tandem.plane.watchTraffic(on: loop) { _ in }
        let client = try tandem.client()
        for _ in 0..<20 { _ = try client.exchange("/") }
        _ = try client.exchange("/slow")
        _ = try client.exchange("/slow")
        let numbers = tandem.backend(0)
        #expect(numbers.recentLatencies.total == numbers.latencyCount)
        #expect(try #require(numbers.latencies.quantile(perMille: 1_000)) >= .milliseconds(20))
        #expect(try #require(numbers.latencies.quantile(perMille: 500)) < .milliseconds(20))
        #expect(numbers.requestRate > 0)
        #expect(tandem.backend(1).failureKinds.first { $0.label == "refused" }?.count ?? 0 > 0)
        var text = MetricsText()
        tandem.plane.collect(into: &text)
        #expect(
            text.rendered.contains(
                "tandem_backend_response_seconds_count{pool=\"web\",backend=\"be0\"} "
                    + "\(numbers.latencyCount)\n"))
        #expect(text.rendered.contains("# TYPE tandem_backend_response_seconds histogram\n"))
        try Self.lint(text.rendered)
    }

    /// Asks `promtool`, when it is installed.
    private static func lint(_ text: String) throws {
        let path = "/tmp/tandem-metrics-\(RandomBytes.seed())"
        try FileSystem.write(Array(text.utf8), path: path, mode: 0o600)
        defer { try? FileSystem.remove(path: path) }
        let child = try ChildProcess.start(
            shellCommand: "if command -v promtool; then promtool check metrics < \(path); fi")
        var words = ""
        var ending: ChildProcess.Ending?
        let isOver = try eventually {
            if ending == nil { ending = child.reap() }
            while let piece = try child.output.read(upTo: 4_096), !piece.isEmpty {
                words += String(decoding: piece, as: UTF8.self)
            }
            while let piece = try child.errorOutput.read(upTo: 4_096), !piece.isEmpty {
                words += String(decoding: piece, as: UTF8.self)
            }
            return ending != nil
        }
        #expect(isOver)
        #expect(ending == .exited(code: 0), "\(words)")
    }
}
