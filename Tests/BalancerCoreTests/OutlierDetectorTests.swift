// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of outlier detection, and the counters of failures in a row.

import BalancerCore
import Testing
import WireCore

@Suite struct OutlierDetectorTests {
    private func samples(_ failures: [UInt64], of requests: UInt64) -> [TrafficSample] {
        failures.enumerated().map {
            TrafficSample(backend: $0.offset, requests: requests, failures: $0.element)
        }
    }

    @Test(arguments: [
        (OutlierSettings.Growth.linear, 1, 30), (.linear, 2, 60), (.linear, 9, 270),
        (.linear, 10, 300), (.linear, 11, 300), (.linear, 1_000_000, 300),
        (.doubling, 1, 30), (.doubling, 2, 60), (.doubling, 3, 120), (.doubling, 4, 240),
        (.doubling, 5, 300), (.doubling, 1_000, 300), (.linear, 0, 30),
    ])
    func ejectionsGetLongerUpToTheMaximum(
        growth: OutlierSettings.Growth, number: Int, seconds: UInt64
    ) {
        var settings = OutlierSettings()
        settings.growth = growth
        let detector = OutlierDetector(settings: settings)
        #expect(detector.ejectionTime(number: number) == .seconds(seconds))
    }

    @Test func jitterLengthensByAtMostATenth() {
        let detector = OutlierDetector(settings: OutlierSettings())
        var generator = SeededGenerator(seed: 7)
        let times = (0..<500).map { _ in detector.ejectionTime(number: 2, using: &generator) }
        #expect(times.allSatisfy { $0 >= .seconds(60) && $0 <= .seconds(66) })
        #expect((times.min() ?? .zero) < .milliseconds(60_300))
        #expect((times.max() ?? .zero) > .milliseconds(65_700))
    }

    /// Whole numbers within the share: in small pools a tenth is nobody, a half of one as well.
    @Test(arguments: [
        (1, 50, 0), (2, 50, 1), (3, 50, 1), (4, 50, 2), (5, 50, 2), (9, 50, 4), (10, 50, 5),
        (5, 10, 0), (9, 10, 0), (10, 10, 1), (19, 10, 1), (20, 10, 2), (3, 100, 3), (0, 50, 0),
        (7, 0, 0), (4, 1_000, 4),
    ])
    func theMostThatMayBeOutIsRoundedDown(total: Int, percent: Int, expected: Int) {
        var settings = OutlierSettings()
        settings.ejectedPercentMax = percent
        #expect(OutlierDetector(settings: settings).outMax(of: total) == expected)
    }

    @Test(arguments: [(3, 0, 3), (3, 29, 3), (3, 30, 2), (3, 61, 1), (3, 90, 0), (3, 9_999, 0)])
    func ejectionsAreForgottenOneByOne(number: Int, servedSeconds: UInt64, left: Int) {
        let detector = OutlierDetector(settings: OutlierSettings())
        #expect(detector.remaining(of: number, after: .seconds(servedSeconds)) == left)
    }

    /// Failures of 100 requests each, and who stands out.
    @Test(
        arguments: [
            ([0, 0, 0, 0, 100], [4]),
            ([0, 0, 0, 0, 50], [4]),
            ([0, 0, 0, 0, 1], []),  // two deviations off, by one request
            ([0, 0, 0, 0, 4], []),
            ([20, 20, 20, 20, 20], []),  // all alike: nobody stands out
            ([0, 0, 0, 100], []),  // too few backends for a mean
            ([50, 0, 50, 0, 50, 0], []),
            ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 90, 100], [11, 10]),  // the worst first
        ] as [([UInt64], [Int])])
    func successRatesFarBelowTheMeanStandOut(failures: [UInt64], expected: [Int]) {
        let detector = OutlierDetector(settings: OutlierSettings())
        #expect(detector.outliers(in: samples(failures, of: 100)).map(\.backend) == expected)
    }

    @Test func successRatesOfFewRequestsDoNotCount() {
        let detector = OutlierDetector(settings: OutlierSettings())
        #expect(detector.outliers(in: samples([0, 0, 0, 0, 99], of: 99)).isEmpty)
        #expect(!detector.outliers(in: samples([0, 0, 0, 0, 99], of: 100)).isEmpty)
    }

    @Test(
        arguments: [
            ([0, 0, 0, 0, 84], 100, 0), ([0, 0, 0, 0, 85], 100, 1), ([85, 85, 85, 85, 85], 100, 5),
            ([0, 0, 0, 0, 49], 49, 0), ([0, 0, 0, 85], 100, 0),
        ] as [([UInt64], UInt64, Int)])
    func failurePercentageStandsOutWhenAskedFor(
        failures: [UInt64], requests: UInt64, count: Int
    ) {
        var settings = OutlierSettings()
        settings.successRateFactorMilli = 0
        #expect(
            OutlierDetector(settings: settings).outliers(
                in: samples(failures, of: requests)
            ).isEmpty)
        settings.failurePercent = 85
        let found = OutlierDetector(settings: settings).outliers(
            in: samples(failures, of: requests))
        #expect(found.count == count)
    }

    @Test func whoStandsOutByBothIsNamedOnce() {
        var settings = OutlierSettings()
        settings.failurePercent = 85
        let found = OutlierDetector(settings: settings).outliers(
            in: samples([0, 0, 0, 0, 100], of: 100))
        #expect(found.count == 1)
    }
}

@Suite struct FailureStreakTests {
    /// What is reported, and after which letter.
    ///
    /// `2` answered well, `4` 404, `5` 500, `G` 503, `R` refused, `T` broken off.
    @Test(
        arguments: [
            ("5555", nil, 0),
            ("55555", .serverErrors(count: 5), 5),
            ("555525555", nil, 0),
            ("5555455555", .serverErrors(count: 5), 10),
            ("GGGGG", .gatewayErrors(count: 5), 5),
            ("GGGG5", .serverErrors(count: 5), 5),  // the gateway counter begins anew, 5xx goes on
            ("5GGGG", .serverErrors(count: 5), 5),
            ("GGGG2GGGG", nil, 0),
            ("RRRRR", .refusedConnections(count: 5), 5),
            ("TTTTR", .refusedConnections(count: 5), 5),
            ("RRRRT", .localErrors(count: 5), 5),
            ("TTTTT", .localErrors(count: 5), 5),
            ("RRRR5RRRR", nil, 0),  // an answer, even a bad one, says that somebody listens
            ("5R5R5R5R5", .serverErrors(count: 5), 9),  // no answer says nothing about answers
            ("TTTT2TTTT", nil, 0),
        ] as [(String, EjectionCause?, Int)])
    func failuresInARowAreReportedAtTheLimit(
        outcomes: String, expected: EjectionCause?, at: Int
    ) {
        var streak = FailureStreak()
        var reported: EjectionCause?
        var reportedAt = 0
        for (offset, letter) in outcomes.enumerated() {
            guard let cause = streak.count(Self.outcome(letter), settings: OutlierSettings())
            else { continue }
            reported = reported ?? cause
            reportedAt = offset + 1
        }
        #expect(reported == expected)
        #expect(reportedAt == at)
    }

    private static func outcome(_ letter: Character) -> TrafficOutcome {
        switch letter {
        case "2": .answered(status: 200)
        case "4": .answered(status: 404)
        case "5": .answered(status: 500)
        case "G": .answered(status: 503)
        case "R": .refused
        default: .brokenOff
        }
    }

    /// Envoy kept the gateway counter of a backend that came back, and ejected it again by its
    /// first 503, or never again.
    @Test func theNextReportTakesAsManyFailuresAgain() {
        var streak = FailureStreak()
        let settings = OutlierSettings()
        for _ in 0..<3 {
            var causes: [EjectionCause?] = []
            for _ in 0..<5 {
                causes.append(streak.count(.answered(status: 503), settings: settings))
            }
            #expect(causes == [nil, nil, nil, nil, .gatewayErrors(count: 5)])
            #expect(streak.rawValue == 0)
        }
    }

    @Test func eachCounterCanBeTurnedOff() {
        var settings = OutlierSettings()
        settings.gatewayErrorsMax = 0
        settings.localErrorsMax = 0
        settings.serverErrorsMax = 7
        var streak = FailureStreak()
        for number in 1...20 {
            #expect(streak.count(.refused, settings: settings) == nil)
            if number < 7 {
                #expect(streak.count(.answered(status: 502), settings: settings) == nil)
            }
        }
        #expect(streak.count(.answered(status: 502), settings: settings) == .serverErrors(count: 7))
    }

    @Test func countersStopAndDoNotSpillIntoEachOther() {
        var settings = OutlierSettings()
        settings.serverErrorsMax = 0
        settings.gatewayErrorsMax = 0
        settings.localErrorsMax = 0
        var streak = FailureStreak()
        for _ in 0..<70_000 { _ = streak.count(.answered(status: 503), settings: settings) }
        #expect(streak.serverErrors == FailureStreak.countMax)
        #expect(streak.gatewayErrors == FailureStreak.countMax)
        for _ in 0..<70_000 { _ = streak.count(.refused, settings: settings) }
        #expect(streak.localErrors == FailureStreak.countMax)
        #expect(streak.serverErrors == FailureStreak.countMax)
        #expect(streak.isRefusing)
        _ = streak.count(.answered(status: 200), settings: settings)
        #expect(streak.rawValue == 0)
    }
}
