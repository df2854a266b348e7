// SPDX-License-Identifier: Apache-2.0
//
// A small report with everything in it, for the golden tests.

import WireCore

@testable import DrillService

enum SampleReport {
    /// Two runs that resumed and one that did not.
    static let report: DrillReport = {
        var options = DrillOptions(
            target: DrillTarget(
                endpoint: Endpoint(address: .v4(IPv4Address(10, 77, 0, 100)), port: 80)),
            faultCommand: "netns/kill crash active", restoreCommand: "netns/heal <\"all\" & more>")
        options.label = "crash <1 s> & more"
        options.runs = 3
        options.seed = 99
        options.bars = DrillBars(median: .milliseconds(10), worst: .milliseconds(50))
        return DrillReport(
            options: options,
            results: [
                run(1, gap: 5_230, detect: 1_400), run(2, gap: 41_800, detect: 30_200), stuck,
            ],
            wallNanoseconds: 1_795_000_000_123_456_789)
    }()

    private static func run(_ number: Int, gap: UInt64, detect: UInt64) -> RunResult {
        var result = RunResult(
            number: number, phase: .milliseconds(137 * UInt64(number)),
            faultWallNanoseconds: 1_795_000_000_000_000_000)
        result.outage = Outage(
            gap: .microseconds(gap), firstAnswer: .microseconds(gap - 800),
            startNanoseconds: -800_000)
        result.failover = FailoverTimes(
            because: "peer_process_died", detect: .microseconds(detect),
            claim: .microseconds(310), announce: .microseconds(45))
        let samples: [(Int64, UInt64, ProbeOutcome)] = [
            (-2_000, 600, .answered), (0, 300, .refused), (2_000, 250_000, .answered),
            (4_000, 90, .reset), (6_000, 700, .answered),
        ]
        for (offset, latency, outcome) in samples {
            let scheduled = Instant(nanoseconds: UInt64(1_000_000_000 + offset * 1_000))
            result.probes.add(
                ProbeRecord(
                    scheduled: scheduled, completed: scheduled + .microseconds(latency),
                    outcome: outcome))
            result.points.append(
                ProbePoint(
                    offsetNanoseconds: offset * 1_000, latency: .microseconds(latency),
                    outcome: outcome))
        }
        result.keepAlive = [
            KeepAliveRecord(fate: .kept, longestSilence: .milliseconds(52), slowCount: 0),
            KeepAliveRecord(fate: .closed, longestSilence: .milliseconds(31), slowCount: 1),
        ]
        result.ownLateness = .microseconds(180)
        return result
    }

    private static var stuck: RunResult {
        var result = RunResult(
            number: 3, phase: .milliseconds(3), faultWallNanoseconds: 1_795_000_060_000_000_000)
        let scheduled = Instant(nanoseconds: 5_000)
        result.probes.add(
            ProbeRecord(
                scheduled: scheduled, completed: scheduled + .seconds(5), outcome: .timedOut))
        result.keepAlive = [
            KeepAliveRecord(fate: .hung, longestSilence: .seconds(35), slowCount: 0)
        ]
        return result
    }
}
