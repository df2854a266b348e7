// SPDX-License-Identifier: Apache-2.0
//
// Values that may be `off` or `auto`, and sections that may be `on` or `off`.

import WireCore

extension ConfigurationReader {
    /// A number, or what `off` makes of it.
    struct Limit: Sendable {
        /// `nil` is `off`.
        var number: Int?
    }

    /// Words that people write for `off`.
    private static let offSynonyms: Set<String> = [
        "no", "false", "none", "never", "disable", "disabled", "unlimited", "infinity", "any",
        "null", "nil",
    ]

    /// Reads a section that may also be `on` (every key at its default) or `off`.
    mutating func switched<Value>(
        _ name: String, in section: Section, absent: Value, off: Value,
        _ read: (inout ConfigurationReader, Section) -> Value
    ) -> Value {
        guard let field = field(name, in: section) else { return absent }
        let title = section.title.map { "\(name) of \($0)" } ?? name
        let path = Self.path(name, in: section)
        if case .scalar(let text, _) = field.value.content {
            switch text {
            case "off": return off
            case "on":
                let empty = Section(path: path, title: title, range: field.keyRange, fields: [:])
                return read(&self, empty)
            default: break
            }
            let lowered = text.lowercased()
            let meant =
                Self.offSynonyms.contains(lowered) || lowered == "off"
                ? "off" : ["true", "yes", "on", "enabled", "enable"].contains(lowered) ? "on" : nil
            if let meant {
                error(
                    field.value.range,
                    "bad value \(Quoted.text(text)) for \(Self.phrase(name, in: section)): "
                        + "allowed are on, off and a mapping",
                    suggestion: "did you mean \"\(meant)\"?")
                return absent
            }
        }
        guard let opened = open(field.value, path: path, title: title, range: field.keyRange) else {
            return absent
        }
        return read(&self, opened)
    }

    /// A section whose keys are all optional; `absent` when it is not there.
    mutating func optionalSection<Value>(
        _ name: String, in section: Section, absent: Value,
        _ read: (inout ConfigurationReader, Section) -> Value
    ) -> Value {
        let title = section.title.map { "\(name) of \($0)" } ?? name
        guard let opened = self.section(name, title: title, in: section) else { return absent }
        return read(&self, opened)
    }

    /// A number or `off`; `nil` when absent or bad.
    mutating func limit(_ name: String, in section: Section) -> Located<Limit>? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .integerOrOff(let range) = key.form else {
            preconditionFailure("\(key.path) is no number or off")
        }
        return value(name, "number", in: section) { text throws(ScalarProblem) in
            if text == "off" { return Limit(number: nil) }
            let allowed = "allowed are off and \(range.lowerBound) to \(range.upperBound)"
            if Self.offSynonyms.contains(text.lowercased()) || text.lowercased() == "off" {
                throw .didYouMean(allowed, "off")
            }
            do throws(ScalarProblem) {
                return Limit(number: try Self.integer(text, range, key))
            } catch {
                throw ScalarProblem(allowed, suggestion: error.suggestion)
            }
        }
    }

    /// A number or `nil` for `off`; the default of the key table when absent.
    mutating func limitOrDefault(_ name: String, in section: Section) -> Int? {
        if let located = limit(name, in: section) { return located.value.number }
        switch KeyTable.key(Self.path(name, in: section)).presence {
        case .integer(let number): return number
        case .word("off"): return nil
        default: preconditionFailure("\(name) has no default")
        }
    }

    /// A duration or `nil` for `auto`, which is the default.
    mutating func durationOrAuto(_ name: String, in section: Section) -> Located<TimeSpan?>? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .durationOrAuto(let range) = key.form else {
            preconditionFailure("\(key.path) is no duration or auto")
        }
        return value(name, "duration", in: section) { text throws(ScalarProblem) -> TimeSpan? in
            if text == "auto" { return nil }
            if text.first?.isLetter == true {
                throw ScalarProblem(
                    "allowed are auto and a duration",
                    suggestion: Suggestion.nearest(to: text, in: ["auto"]).map {
                        "did you mean \"\($0)\"?"
                    })
            }
            return try Self.duration(text, range, step: nil, key)
        }
    }

    /// A number with decimals in units of the last one, or the default of the key table.
    mutating func decimalOrDefault(_ name: String, in section: Section) -> Int {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .decimal(let range, let places) = key.form,
            case .decimal(let absent) = key.presence
        else { preconditionFailure("\(key.path) is no decimal number with a default") }
        let located = value(name, "number", in: section) { text throws(ScalarProblem) -> Int in
            let limits =
                "\(DecimalText.render(range.lowerBound, places: places)) to "
                + DecimalText.render(range.upperBound, places: places)
            let isNegative = text.hasPrefix("-")
            let number = isNegative ? -1 : try DecimalText.parse(text, places: places)
            guard range.contains(number) else {
                throw ScalarProblem(
                    "allowed are \(limits)",
                    suggestion: Self.consequence(number < range.lowerBound, key))
            }
            return number
        }
        return located?.value ?? absent
    }

    /// A list of words, none of them twice; `nil` when absent or no list.
    mutating func words(_ name: String, in section: Section) -> [Located<String>]? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .words(let allowed) = key.form else {
            preconditionFailure("\(key.path) is no list of words")
        }
        guard let nodes = list(name, in: section) else { return nil }
        let place = "\"\(name)\" in \(section.title ?? "")"
        var words: [Located<String>] = []
        for node in nodes {
            let word = value(node, "value", for: place) { text throws(ScalarProblem) in
                if allowed.contains(text) { return text }
                throw ScalarProblem(
                    "allowed are \(Suggestion.list(allowed))",
                    suggestion: (Self.synonyms[key.path]?[text.lowercased()]
                        ?? Suggestion.nearest(to: text, in: allowed)).map {
                            "did you mean \"\($0)\"?"
                        })
            }
            guard let word else { continue }
            if let first = words.first(where: { $0.value == word.value }) {
                warning(
                    word.range, "\(Quoted.text(word.value)) is listed twice",
                    suggestion: "remove one",
                    notes: [Diagnostic.Note(range: first.range, message: "the first is here")])
                continue
            }
            words.append(word)
        }
        return words
    }

    /// A name as of nodes and pools.
    mutating func name(_ name: String, in section: Section) -> Located<String>? {
        value(name, "name", in: section) { text throws(ScalarProblem) in
            try NameText.check(name: text)
            return text
        }
    }

    /// Warns that a key has no effect beside another.
    mutating func warnOfNoEffect(
        _ name: String, in section: Section, because reason: String, suggestion: String
    ) {
        guard let field = section.fields[name] else { return }
        warning(
            field.keyRange,
            "\(Self.phrase(name, in: section)) has no effect \(reason)", suggestion: suggestion)
    }
}
