// SPDX-License-Identifier: Apache-2.0
//
// Durations as they are written in the file: a number and a unit.

import WireCore

/// Reads and writes durations such as `10ms`, `40.95s`, `5m`.
enum DurationText {
    /// The units and their length in nanoseconds, shortest first.
    static let units: [(name: String, nanoseconds: UInt64)] = [
        ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ]

    private static let vocabulary = QuantityText.Vocabulary(
        noun: "duration", examples: "500ms or 5s", usualUnits: ["ms", "s", "m"],
        unitNames: "us, ms, s, m, h")

    /// Long names people write, and the unit they mean.
    private static let synonyms: [String: String] = [
        "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "msecs": "ms",
        "millis": "ms", "millisecond": "ms", "milliseconds": "ms", "min": "m", "mins": "m",
        "minute": "m", "minutes": "m", "hour": "h", "hours": "h", "hr": "h", "hrs": "h",
        "usec": "us", "usecs": "us", "microsecond": "us", "microseconds": "us", "\u{B5}s": "us",
    ]

    /// The span that `text` says.
    static func parse(_ text: String) throws(ScalarProblem) -> TimeSpan {
        let quantity = try QuantityText(text, vocabulary)
        let unit = try unit(quantity.unit, number: quantity.number)
        let (whole, fraction) = try quantity.digits(unit: unit.name)
        return try span(whole, fraction, unit)
    }

    private static func unit(
        _ text: String, number: String
    ) throws(ScalarProblem) -> (name: String, nanoseconds: UInt64) {
        if let unit = units.first(where: { $0.name == text }) { return unit }
        let lowered = text.lowercased()
        if ["d", "day", "days"].contains(lowered), let days = Int(number), days <= 1_000 {
            throw .didYouMean(
                "there is no unit \(Quoted.text(text)); units: \(vocabulary.unitNames)",
                "\(days * 24)h")
        }
        let meant = synonyms[lowered] ?? units.first { $0.name == lowered }?.name
        let reason = "there is no unit \(Quoted.text(text)); units: \(vocabulary.unitNames)"
        guard let meant else {
            throw ScalarProblem(reason, suggestion: "write for example \(number)ms or \(number)s")
        }
        throw .didYouMean(reason, "\(number)\(meant)")
    }

    /// Exact in whole nanoseconds: 40.95s has no binary fraction.
    private static func span(
        _ whole: Substring, _ fraction: Substring, _ unit: (name: String, nanoseconds: UInt64)
    ) throws(ScalarProblem) -> TimeSpan {
        guard fraction.utf8.count <= 9 else {
            throw ScalarProblem("at most 9 digits after the point")
        }
        guard let count = UInt64(whole), count <= 1_000_000_000 else {
            throw ScalarProblem("the number is too large")
        }
        var nanoseconds = TimeSpan(nanoseconds: unit.nanoseconds).multiplied(by: count)
        var weight = unit.nanoseconds
        for digit in fraction.utf8 {
            // A digit below a nanosecond has no weight left.
            guard weight.isMultiple(of: 10) || digit == 0x30 else {
                throw ScalarProblem("finer than a nanosecond")
            }
            weight /= 10
            nanoseconds =
                nanoseconds
                + TimeSpan(nanoseconds: weight).multiplied(by: UInt64(digit &- 0x30))
        }
        return nanoseconds
    }

    /// The span as a person writes it: whole in the largest unit, or a decimal fraction of
    /// seconds, so that 40,950 ms reads `40.95s`.
    static func render(_ span: TimeSpan) -> String {
        if span == .zero { return "0s" }
        for unit in units.reversed() where span.nanoseconds.isMultiple(of: unit.nanoseconds) {
            let count = span.nanoseconds / unit.nanoseconds
            if unit.name == "ms", count >= 1_000 { return decimalSeconds(span) }
            // People write 60s and 90s, but 10m.
            if unit.name == "m", count < 10 { continue }
            return "\(count)\(unit.name)"
        }
        return decimalSeconds(span)
    }

    private static func decimalSeconds(_ span: TimeSpan) -> String {
        let whole = span.nanoseconds / 1_000_000_000
        let digits = String(span.nanoseconds % 1_000_000_000)
        var fraction = String(repeating: "0", count: 9 - digits.count) + digits
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole).\(fraction)s"
    }
}
