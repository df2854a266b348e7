// SPDX-License-Identifier: Apache-2.0
//
// Order statistics, and the outage that follows from probe records.

import Testing
import WireCore

@testable import DrillService

@Suite struct DistributionTests {
    private func distribution(_ milliseconds: [UInt64]) -> Distribution {
        Distribution(milliseconds.map { .milliseconds($0) })
    }

    @Test func nothingIsSaidAboutNoSamples() {
        let empty = distribution([])
        #expect(empty.minimum == nil)
        #expect(empty.median == nil)
        #expect(empty.percentile(perMille: 990) == nil)
    }

    @Test(
        arguments: [
            ([5], 5_000), ([9, 1, 5], 5_000), ([1, 2], 1_500), ([4, 1, 3, 2], 2_500),
        ] as [([UInt64], UInt64)])
    func medianIsTheMiddle(_ samples: [UInt64], _ microseconds: UInt64) {
        #expect(distribution(samples).median == .microseconds(microseconds))
    }

    @Test(arguments: [
        (0, 1), (10, 1), (11, 2), (500, 50), (501, 51), (990, 99), (991, 100), (1_000, 100),
    ])
    func percentileIsTheNearestRank(_ perMille: Int, _ expected: UInt64) {
        let hundred = distribution(Array((1...100).reversed()))
        #expect(hundred.percentile(perMille: perMille) == .milliseconds(expected))
    }

    @Test func histogramCountsEverySampleOnce() {
        let bins = distribution([0, 1, 9, 10, 19, 20, 500]).histogram(
            from: .zero, to: .milliseconds(20), binCount: 2)
        #expect(bins == [3, 4])
    }
}

@Suite struct OutageFinderTests {
    private let fault = Instant(nanoseconds: 1_000_000_000)

    private func record(
        due milliseconds: UInt64, took latency: UInt64 = 1,
        _ outcome: ProbeOutcome = .answered
    ) -> ProbeRecord {
        let scheduled = Instant(nanoseconds: milliseconds * 1_000_000)
        return ProbeRecord(
            scheduled: scheduled, completed: scheduled + .milliseconds(latency), outcome: outcome)
    }

    @Test func gapLiesBetweenTheLastAnswerBeforeAndTheFirstAfter() {
        let records = [
            record(due: 996), record(due: 998), record(due: 1_000, .refused),
            record(due: 1_002, .reset), record(due: 1_004, took: 5_000, .timedOut),
            record(due: 1_006), record(due: 1_008),
        ]
        let outage = OutageFinder.find(in: records, fault: fault)
        #expect(outage?.gap == .milliseconds(8))
        #expect(outage?.firstAnswer == .milliseconds(7))
        #expect(outage?.startNanoseconds == -1_000_000)
    }

    @Test func longSilenceBeforeTheFaultIsNotTheGap() {
        let records = [record(due: 100), record(due: 900), record(due: 999), record(due: 1_004)]
        #expect(OutageFinder.find(in: records, fault: fault)?.gap == .milliseconds(5))
    }

    @Test func outageThatBeginsAfterTheFaultCounts() {
        let records = [
            record(due: 998), record(due: 1_001), record(due: 1_003), record(due: 1_500),
            record(due: 1_502),
        ]
        let outage = OutageFinder.find(in: records, fault: fault)
        #expect(outage?.gap == .milliseconds(497))
        #expect(outage?.startNanoseconds == 4_000_000)
    }

    @Test func lateAnswerOfAnEarlyProbeCountsWhenItCame() {
        // Due before the fault, answered by the new node: the wait was hers.
        let records = [record(due: 990), record(due: 998, took: 40), record(due: 1_044)]
        #expect(OutageFinder.find(in: records, fault: fault)?.gap == .milliseconds(47))
    }

    @Test func silenceLongAfterTheLastDisturbanceIsNotTheGap() {
        let calm = [record(due: 998), record(due: 1_004), record(due: 2_500), record(due: 4_000)]
        #expect(OutageFinder.find(in: calm, fault: fault)?.gap == .milliseconds(1_496))
        let disturbed = [record(due: 1_600, .reset)] + calm
        #expect(OutageFinder.find(in: disturbed, fault: fault)?.gap == .milliseconds(1_500))
    }

    @Test func noAnswerAfterTheFaultIsNoResumption() {
        let records = [record(due: 990), record(due: 995), record(due: 1_001, .refused)]
        #expect(OutageFinder.find(in: records, fault: fault) == nil)
        #expect(OutageFinder.find(in: [], fault: fault) == nil)
    }

    @Test func countsByOutcomeAndSlowness() {
        var counts = ProbeCounts()
        counts.add(record(due: 1, took: 200))
        counts.add(record(due: 1, took: 201))
        counts.add(record(due: 1, took: 500, .timedOut))
        counts.add(record(due: 1, .errorStatus))
        #expect(counts.total == 4)
        #expect(counts.failed == 2)
        #expect(counts.slow == 1)
        #expect(counts.otherFailures == 1)
        #expect((counts + counts)[.timedOut] == 2)
    }
}
