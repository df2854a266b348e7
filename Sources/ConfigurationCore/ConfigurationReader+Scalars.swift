// SPDX-License-Identifier: Apache-2.0
//
// Single values: text to typed value within the limits of the key table.

import WireCore

extension ConfigurationReader {
    /// Reads the key `name` with `parse`; `nil` when absent or bad, which is reported.
    mutating func value<Value: Sendable>(
        _ name: String, _ noun: String, in section: Section,
        _ parse: (String) throws(ScalarProblem) -> Value
    ) -> Located<Value>? {
        guard let field = field(name, in: section) else { return nil }
        let place = section.title.map { "\"\(name)\" in \($0)" } ?? "\"\(name)\""
        return value(field.value, noun, for: place, parse)
    }

    /// Reads one node with `parse`; `place` is what the value is for, in words.
    mutating func value<Value: Sendable>(
        _ node: ConfigurationNode, _ noun: String, for place: String,
        _ parse: (String) throws(ScalarProblem) -> Value
    ) -> Located<Value>? {
        switch node.content {
        case .unusable:
            return nil
        case .sequence, .mapping:
            let article = noun.first.map { "aeio".contains($0) } == true ? "an" : "a"
            error(node.range, "\(place) must be \(article) \(noun), got \(node.kindText)")
            return nil
        case .scalar(let text, _):
            do throws(ScalarProblem) {
                return Located(value: try parse(text), range: node.range)
            } catch {
                self.error(
                    node.range, "bad \(noun) \(Quoted.text(text)) for \(place): \(error.reason)",
                    suggestion: error.suggestion)
                return nil
            }
        }
    }

    /// A duration within its limits.
    mutating func duration(_ name: String, in section: Section) -> Located<TimeSpan>? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .duration(let range, let step) = key.form else {
            preconditionFailure("\(key.path) is no duration")
        }
        return value(name, "duration", in: section) { text throws(ScalarProblem) in
            let span = try DurationText.parse(text)
            let limits =
                "\(DurationText.render(range.lowerBound)) to "
                + DurationText.render(range.upperBound)
            guard range.contains(span) else {
                throw ScalarProblem(
                    "allowed are \(limits)",
                    suggestion: Self.consequence(span < range.lowerBound, key))
            }
            if let step, !span.nanoseconds.isMultiple(of: step.nanoseconds) {
                let steps = (span.nanoseconds + step.nanoseconds / 2) / step.nanoseconds
                let nearest = max(step.multiplied(by: steps), range.lowerBound)
                throw .didYouMean(
                    "allowed are multiples of \(step)", DurationText.render(nearest))
            }
            return span
        }
    }

    /// A duration, or the default of the key table.
    mutating func durationOrDefault(_ name: String, in section: Section) -> TimeSpan {
        if let located = duration(name, in: section) { return located.value }
        guard case .duration(let span) = KeyTable.key(Self.path(name, in: section)).presence else {
            preconditionFailure("\(name) has no default")
        }
        return span
    }

    /// An integer within its limits.
    mutating func integer(_ name: String, in section: Section) -> Located<Int>? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .integer(let range) = key.form else {
            preconditionFailure("\(key.path) is no integer")
        }
        return value(name, "number", in: section) { text throws(ScalarProblem) in
            try Self.integer(text, range, key)
        }
    }

    /// An integer, or the default of the key table.
    mutating func integerOrDefault(_ name: String, in section: Section) -> Int {
        if let located = integer(name, in: section) { return located.value }
        guard case .integer(let number) = KeyTable.key(Self.path(name, in: section)).presence
        else { preconditionFailure("\(name) has no default") }
        return number
    }

    /// `true` or `false`, or the default of the key table.
    mutating func booleanOrDefault(_ name: String, in section: Section) -> Bool {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .boolean(let absent) = key.presence else {
            preconditionFailure("\(key.path) has no default")
        }
        let located = value(name, "value", in: section) { text throws(ScalarProblem) -> Bool in
            switch text.lowercased() {
            case "true", "yes", "on", "y", "1":
                if text == "true" { return true }
                throw .didYouMean("allowed are true and false", "true")
            case "false", "no", "off", "n", "0":
                if text == "false" { return false }
                throw .didYouMean("allowed are true and false", "false")
            default:
                throw ScalarProblem("allowed are true and false")
            }
        }
        return located?.value ?? absent
    }

    /// One of the words of the key, or its default.
    mutating func choiceOrDefault(_ name: String, in section: Section) -> String {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .choice(let words) = key.form, case .word(let absent) = key.presence else {
            preconditionFailure("\(key.path) is no choice with a default")
        }
        let located = value(name, "value", in: section) { text throws(ScalarProblem) -> String in
            if words.contains(text) { return text }
            if let planned = Self.planned[key.path], planned.contains(text) {
                throw ScalarProblem(
                    "this version does not have it",
                    suggestion: "it has: \(Suggestion.list(words))")
            }
            throw ScalarProblem(
                "allowed are \(Suggestion.list(words))",
                suggestion: Suggestion.nearest(to: text, in: words).map {
                    "did you mean \"\($0)\"?"
                })
        }
        return located?.value ?? absent
    }

    /// The number that `text` says, within `range`.
    static func integer(
        _ text: String, _ range: ClosedRange<Int>, _ key: KeyDescription
    ) throws(ScalarProblem) -> Int {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ScalarProblem(
                "a whole number is needed, \(range.lowerBound) to \(range.upperBound)")
        }
        let number = Int(text)
        guard let number, range.contains(number) else {
            // Too long for Int: only the sign matters.
            let isSmall = number.map { $0 < range.lowerBound } ?? text.hasPrefix("-")
            throw ScalarProblem(
                "allowed are \(range.lowerBound) to \(range.upperBound)",
                suggestion: consequence(isSmall, key))
        }
        return number
    }

    /// Words that the contract names and that this version cannot do yet.
    private static let planned: [String: [String]] = [
        "pools.NAME.balance": ["maglev", "ip_hash"]
    ]

    private static func consequence(_ isSmall: Bool, _ key: KeyDescription) -> String? {
        isSmall ? key.tooSmall.map { "too small: \($0)" } : key.tooLarge.map { "too large: \($0)" }
    }
}
