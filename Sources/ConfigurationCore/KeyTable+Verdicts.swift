// SPDX-License-Identifier: Apache-2.0
//
// The keys of outlier detection and of the guard against shared causes.

import WireCore

extension KeyTable {
    static let verdicts: [KeyDescription] = outlier + ejection + cascade

    private static let outlierPath = "\(poolPath).outlier_detection"

    private static func inARow(_ name: String, _ what: String) -> KeyDescription {
        KeyDescription(
            "\(outlierPath).\(name)", .integer(0...10_000), .integer(5),
            "\(what) in a row that eject a backend; 0 turns it off.",
            tooSmall: "a single slip ejects a backend",
            tooLarge: "a dead backend gets that many requests first",
            example: "\(name): 5")
    }

    private static let outlier: [KeyDescription] = [
        KeyDescription(
            outlierPath, .sectionOrOff, .optional("every setting at its default"),
            "Backends are judged by what their requests get; the last one is never ejected.",
            example: "outlier_detection: { consecutive_5xx: 5 }"),
        inARow("consecutive_5xx", "Answers 500 to 599"),
        inARow("consecutive_gateway", "Answers 502, 503 and 504"),
        inARow("consecutive_local", "Connections refused, reset or timed out"),
        KeyDescription(
            "\(outlierPath).interval", .duration(.milliseconds(100) ... .seconds(3_600), step: nil),
            .duration(.seconds(10)),
            "How often the rates of all backends are compared.",
            tooSmall: "too few requests for a comparison",
            tooLarge: "a backend with many errors keeps its traffic for that long",
            example: "interval: 10s"),
        KeyDescription(
            "\(outlierPath).success_rate_factor", .decimal(0...10_000, places: 3), .decimal(1_900),
            "A success rate so many deviations below the mean ejects; 0 turns it off.",
            tooSmall: "ordinary differences eject backends",
            tooLarge: "no backend is that far from the others",
            example: "success_rate_factor: 1.9"),
        KeyDescription(
            "\(outlierPath).success_rate_hosts", .integer(2...10_000), .integer(5),
            "Backends with enough requests that a comparison needs.",
            tooSmall: "a mean of so few says nothing",
            tooLarge: "smaller pools are never compared",
            example: "success_rate_hosts: 5"),
        KeyDescription(
            "\(outlierPath).success_rate_requests", .integer(1...1_000_000), .integer(100),
            "Requests in an interval that let a backend take part in the comparison.",
            tooSmall: "one failed request of few looks like a broken backend",
            tooLarge: "a quiet pool is never compared",
            example: "success_rate_requests: 100"),
        KeyDescription(
            "\(outlierPath).failure_percentage", .integer(0...100), .integer(0),
            "A backend that fails so many percent of its requests is ejected; 0 turns it off.",
            tooSmall: "ordinary errors eject backends",
            tooLarge: "100 finds only what fails always, as consecutive_5xx does",
            example: "failure_percentage: 85"),
        KeyDescription(
            "\(outlierPath).failure_percentage_requests", .integer(1...1_000_000), .integer(50),
            "Requests in an interval that failure_percentage needs.",
            tooSmall: "one failed request of few looks like a broken backend",
            tooLarge: "a quiet backend is never judged",
            example: "failure_percentage_requests: 50"),
    ]

    private static let ejection: [KeyDescription] = [
        KeyDescription(
            "\(outlierPath).ejection_time",
            .duration(.milliseconds(100) ... .seconds(86_400), step: nil), .duration(.seconds(30)),
            "How long a backend is out the first time; then one request tries it.",
            tooSmall: "clients are the probes of a broken backend",
            tooLarge: "a healed backend stays idle for that long",
            example: "ejection_time: 30s"),
        KeyDescription(
            "\(outlierPath).ejection_time_max",
            .duration(.milliseconds(100) ... .seconds(86_400), step: nil), .duration(.seconds(300)),
            "The longest that a backend is out.",
            tooSmall: "clients are the probes of a broken backend",
            tooLarge: "a healed backend stays idle for that long",
            example: "ejection_time_max: 5m"),
        KeyDescription(
            "\(outlierPath).growth", .choice(OutlierConfiguration.Growth.allCases.map(\.rawValue)),
            .word(OutlierConfiguration.Growth.linear.rawValue),
            "How ejections of the same backend get longer: 30s, 60s, 90s or 30s, 60s, 120s.",
            example: "growth: linear"),
        KeyDescription(
            "\(outlierPath).max_ejected", .integer(0...100), .integer(50),
            "Backends that are out at once, in percent of the pool, rounded down.",
            tooSmall: "0 ejects nobody",
            tooLarge: "traffic alone may take all backends but the last",
            example: "max_ejected: 50"),
    ]

    private static let cascade: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).cascade_guard", .sectionOrOff, .optional("every setting at its default"),
            "Many bad verdicts at once have a shared cause: only what refuses connections is out.",
            example: "cascade_guard: { threshold: 50, window: 15s }"),
        KeyDescription(
            "\(poolPath).cascade_guard.threshold", .integer(1...100), .integer(50),
            "More bad verdicts within the window, in percent of the pool, have a shared cause.",
            tooSmall: "a single broken backend stays in the pool",
            tooLarge: "a shared cause empties the pool first",
            example: "threshold: 50"),
        KeyDescription(
            "\(poolPath).cascade_guard.window", .duration(.seconds(1) ... .seconds(600), step: nil),
            .duration(.seconds(15)),
            "The time in which they come; longer than the interval of the checks.",
            tooSmall: "the checks of one cause fall into two windows",
            tooLarge: "unrelated faults look like one",
            example: "window: 15s"),
    ]
}
