// SPDX-License-Identifier: Apache-2.0
//
// The keys `headers`, `query` and `cookies` of a route's match: names and the values they must
// have.

extension ConfigurationReader {
    /// Key `headers`; names in lower case.
    mutating func headerConditions(in match: Section) -> [RouteMatch.Condition] {
        let noun = Self.phrase("headers", in: match)
        var names: [Located<String>] = []
        var conditions: [RouteMatch.Condition] = []
        for field in pairs("headers", in: match) ?? [] {
            let name = fieldName(field, "header name", in: noun) { text throws(ScalarProblem) in
                try HeaderText.check(name: text)
                try Self.checkCondition(header: text)
            }
            let value = condition(field, "headers", in: match) { text throws(ScalarProblem) in
                try HeaderText.check(value: text)
            }
            guard let name, isFirst(name, among: names, noun: noun) else { continue }
            names.append(name)
            guard let value else { continue }
            conditions.append(
                RouteMatch.Condition(name: HeaderText.lowercased(name.value), value: value.text))
        }
        return conditions
    }

    private static func checkCondition(header name: String) throws(ScalarProblem) {
        switch HeaderText.lowercased(name) {
        case "host":
            throw ScalarProblem(
                "the host has its own key", suggestion: "write match: { host: NAME }")
        case "cookie":
            throw ScalarProblem(
                "cookies have their own key",
                suggestion: "write match: { cookies: { NAME: VALUE } }")
        default: break
        }
    }

    /// Key `query`.
    mutating func queryConditions(in match: Section) -> [RouteMatch.Condition] {
        let noun = Self.phrase("query", in: match)
        return (pairs("query", in: match) ?? []).compactMap { field in
            let name = fieldName(field, "parameter", in: noun) { text throws(ScalarProblem) in
                guard !text.isEmpty else { throw ScalarProblem("a name cannot be empty") }
                try Self.check(parameter: text)
            }
            let value = condition(field, "query", in: match) { text throws(ScalarProblem) in
                try Self.check(parameter: text)
            }
            warnIfEncoded(field)
            guard let name, let value else { return nil }
            return RouteMatch.Condition(name: name.value, value: value.text)
        }
    }

    /// Names and values stand decoded, so that any character but controls may occur.
    private static func check(parameter text: String) throws(ScalarProblem) {
        guard text.utf8.count <= HeaderText.valueByteCountMax else {
            throw ScalarProblem("allowed are at most \(HeaderText.valueByteCountMax) bytes")
        }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ScalarProblem("control characters are not allowed")
        }
    }

    private mutating func warnIfEncoded(_ field: Field) {
        guard case .scalar(let text, _) = field.value.content, Self.hasEncodedByte(text) else {
            return
        }
        warning(
            field.value.range, "parameters are decoded before they are compared",
            suggestion: "write the character itself instead of %XX")
    }

    private static func hasEncodedByte(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.indices.contains {
            bytes[$0] == 0x25 && $0 + 2 < bytes.count && NameText.isHexadecimalDigit(bytes[$0 + 1])
                && NameText.isHexadecimalDigit(bytes[$0 + 2])
        }
    }

    /// Key `cookies`.
    mutating func cookieConditions(in match: Section) -> [RouteMatch.Condition] {
        let noun = Self.phrase("cookies", in: match)
        return (pairs("cookies", in: match) ?? []).compactMap { field in
            let name = fieldName(field, "cookie name", in: noun) { text throws(ScalarProblem) in
                try HeaderText.check(name: text)
            }
            let value = condition(field, "cookies", in: match) { text throws(ScalarProblem) in
                try HeaderText.check(cookieValue: text)
            }
            guard let name, let value else { return nil }
            return RouteMatch.Condition(name: name.value, value: value.text)
        }
    }

    /// A value, or `nil` text for `{ present: true }`.
    private struct Condition: Sendable {
        var text: String?
    }

    private mutating func condition(
        _ field: Field, _ key: String, in match: Section,
        _ check: (String) throws(ScalarProblem) -> Void
    ) -> Condition? {
        let noun = Self.phrase(key, in: match)
        switch field.value.content {
        case .unusable:
            return nil
        case .mapping:
            let title = "\(Quoted.text(field.name)) in \(noun)"
            let path = "\(Self.path(key, in: match)).NAME"
            guard
                let section = open(field.value, path: path, title: title, range: field.keyRange)
            else { return nil }
            return isPresent(in: section) ? Condition(text: nil) : nil
        case .sequence:
            error(
                field.value.range,
                "\(Quoted.text(field.name)) in \(noun) must be a value, got a list",
                suggestion: "write one route for each value")
            return nil
        case .scalar:
            return pairValue(field, in: noun) { text throws(ScalarProblem) in
                try check(text)
                return text
            }.map { Condition(text: $0) }
        }
    }

    private mutating func isPresent(in section: Section) -> Bool {
        let located = value("present", "value", in: section) { text throws(ScalarProblem) -> Bool in
            if text == "true" { return true }
            if text == "false" {
                throw ScalarProblem(
                    "a condition cannot ask for absence",
                    suggestion: "send requests that have it elsewhere with a route before this one")
            }
            throw .didYouMean("allowed is true", "true")
        }
        return located != nil
    }
}
