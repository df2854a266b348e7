// SPDX-License-Identifier: Apache-2.0
//
// The keys that listeners and routes share: `request_headers`, `response_headers`, `rate_limits`;
// and `error_pages`.

import WireCore

extension ConfigurationReader {
    /// Key `request_headers` or `response_headers`.
    ///
    /// `listenerEdits` act before those of a route, on the same messages.
    mutating func headerEdits(
        _ direction: HeaderEditRule.Direction, in section: Section,
        after listenerEdits: HeaderEdits = HeaderEdits()
    ) -> HeaderEdits {
        let title = "\(direction.keyName) of \(section.title ?? "")"
        guard let edits = self.section(direction.keyName, title: title, in: section) else {
            return HeaderEdits()
        }
        if edits.fields.isEmpty, section.fields[direction.keyName]?.value.isEmptyMapping == true {
            warning(
                edits.range, "\(title) changes nothing",
                suggestion: "add remove, set or add, or leave it out")
        }
        let removed = removedNames(direction, in: edits)
        let set = headers("set", direction, in: edits)
        let added = headers("add", direction, in: edits)
        for name in removed {
            let isSet = set.contains {
                HeaderText.lowercased($0.name) == HeaderText.lowercased(name.value)
            }
            guard isSet else { continue }
            warning(
                name.range, "\(title) removes and sets \(Quoted.text(name.value))",
                suggestion: "set replaces every line already; remove it here")
        }
        let result = HeaderEdits(remove: removed.map(\.value), set: set, add: added)
        checkAmount(of: result, after: listenerEdits, in: edits)
        return result
    }

    private mutating func checkAmount(
        of edits: HeaderEdits, after listenerEdits: HeaderEdits, in section: Section
    ) {
        let both = [listenerEdits, edits]
        let count = both.reduce(0) { $0 + HeaderEditRule.count($1) }
        let byteCount = both.reduce(0) { $0 + HeaderEditRule.lineByteCount($1) }
        let title = section.title ?? ""
        let scope = listenerEdits.isEmpty ? "" : " together with those of the listener"
        if count > HeaderEditRule.countMax {
            error(
                section.range, "\(title)\(scope) has \(count) edits",
                suggestion: "allowed are \(HeaderEditRule.countMax) for one message")
        }
        if byteCount > HeaderEditRule.lineByteCountMax {
            let size = SizeText.render(HeaderEditRule.lineByteCountMax)
            error(
                section.range, "\(title)\(scope) writes \(byteCount) bytes",
                suggestion: "allowed are \(size) for one message")
        }
    }

    private mutating func removedNames(
        _ direction: HeaderEditRule.Direction, in section: Section
    ) -> [Located<String>] {
        let place = "\"remove\" in \(section.title ?? "")"
        let noun = Self.phrase("remove", in: section)
        var names: [Located<String>] = []
        for node in list("remove", in: section) ?? [] {
            let name = value(node, "header name", for: place) { text throws(ScalarProblem) in
                try HeaderText.check(name: text)
                try HeaderEditRule.check(text, direction)
                return text
            }
            guard let name, isFirst(name, among: names, noun: noun) else { continue }
            names.append(name)
        }
        return names
    }

    private mutating func headers(
        _ key: String, _ direction: HeaderEditRule.Direction, in section: Section
    ) -> [HeaderEdits.Header] {
        let noun = Self.phrase(key, in: section)
        var names: [Located<String>] = []
        var headers: [HeaderEdits.Header] = []
        for field in pairs(key, in: section) ?? [] {
            let name = fieldName(field, "header name", in: noun) { text throws(ScalarProblem) in
                try HeaderText.check(name: text)
                try HeaderEditRule.check(text, direction)
            }
            let value = pairValue(field, in: noun) { text throws(ScalarProblem) in
                try HeaderText.check(value: text)
                return text
            }
            guard let name, isFirst(name, among: names, noun: noun) else { continue }
            names.append(name)
            if key == "add", HeaderEditRule.isSingle(name.value) {
                warning(
                    name.range, "\(Quoted.text(name.value)) in \(noun) may become a second line",
                    suggestion: "write it under set; this header has one value")
            }
            guard let value else { continue }
            warnOfVariable(value, field.value.range)
            headers.append(HeaderEdits.Header(name: name.value, value: value))
        }
        return headers
    }

    /// Other programs put the request's values here; this one sends the text.
    mutating func warnOfVariable(_ text: String, _ range: SourceRange) {
        guard let variable = HeaderText.variable(in: text) else { return }
        warning(
            range, "\(Quoted.text(variable)) is sent as it stands; there are no variables",
            suggestion: "write the text itself, or remove it")
    }

    /// The name of an entry with free keys, checked; `nil` when bad, which is reported.
    mutating func fieldName(
        _ field: Field, _ kind: String, in noun: String,
        _ check: (String) throws(ScalarProblem) -> Void
    ) -> Located<String>? {
        do throws(ScalarProblem) {
            try check(field.name)
            return Located(value: field.name, range: field.keyRange)
        } catch {
            self.error(
                field.keyRange,
                "bad \(kind) \(Quoted.text(field.name)) in \(noun): \(error.reason)",
                suggestion: error.suggestion)
            return nil
        }
    }

    /// The text of an entry with free keys; `nil` when bad, which is reported.
    mutating func pairValue(
        _ field: Field, in noun: String, _ parse: (String) throws(ScalarProblem) -> String
    ) -> String? {
        if field.value.isNull {
            error(
                field.keyRange, "\(Quoted.text(field.name)) in \(noun) has no value",
                suggestion: "write \"\" for the empty text")
            return nil
        }
        return value(field.value, "value", for: "\(Quoted.text(field.name)) in \(noun)", parse)?
            .value
    }

    /// Reports a header that was there before in other letters; RFC 9110 §5.1 has no case.
    mutating func isFirst(
        _ name: Located<String>, among earlier: [Located<String>], noun: String
    ) -> Bool {
        let folded = HeaderText.lowercased(name.value)
        guard let first = earlier.first(where: { HeaderText.lowercased($0.value) == folded })
        else { return true }
        error(
            name.range, "header \(Quoted.text(name.value)) is twice in \(noun)",
            suggestion: first.value == name.value
                ? "remove one" : "upper and lower case mean the same; remove one",
            notes: [Diagnostic.Note(range: first.range, message: "the first is here")])
        return false
    }

    /// Key `rate_limits`.
    mutating func rateLimits(in section: Section) -> [RateLimitConfiguration] {
        let path = "\(Self.path("rate_limits", in: section))[]"
        let entries = list("rate_limits", in: section) ?? []
        return entries.enumerated().compactMap { index, node in
            let title = "rate limit \(index + 1) of \(section.title ?? "")"
            guard let limit = open(node, path: path, title: title, range: node.range) else {
                return nil
            }
            return rateLimit(in: limit)
        }
    }

    private mutating func rateLimit(in section: Section) -> RateLimitConfiguration? {
        let requests = integer("requests", in: section)
        let per = durationOrDefault("per", in: section)
        let burst = integer("burst", in: section)
        let key = value("key", "key", in: section) { text throws(ScalarProblem) in
            try Self.bucketKey(text)
        }
        guard let requests else { return nil }
        // A token then comes back at most every 100 ns, so that its time stays a whole number.
        let spanMin = UInt64(requests.value) * RateLimitConfiguration.nanosecondsPerTokenMin
        if per.nanoseconds < spanMin {
            error(
                requests.range,
                "\(section.title ?? "") admits more than 10000000 requests a second",
                suggestion: "no node serves so many; make per longer or requests fewer")
        }
        return RateLimitConfiguration(
            requests: requests.value, per: per, burst: burst?.value ?? requests.value,
            key: key?.value ?? .client)
    }

    /// Words people write for the client's address.
    private static let clientSynonyms = [
        "ip", "address", "client_ip", "client-ip", "remote_addr", "remote_address", "source",
        "src", "source_ip", "clients", "per_client",
    ]

    private static func bucketKey(
        _ text: String
    ) throws(ScalarProblem) -> RateLimitConfiguration.Key {
        if text == "client" { return .client }
        if text == "route" { return .route }
        let lowered = HeaderText.lowercased(text)
        if lowered.hasPrefix("header:") {
            let name = String(text.dropFirst(7))
            let trimmed = name.drop { $0 == " " }
            if !text.hasPrefix("header:") || trimmed.count != name.count {
                throw .didYouMean("it is written header:NAME", "header:\(trimmed)")
            }
            try HeaderText.check(name: name)
            return .header(HeaderText.lowercased(name))
        }
        let reason = "allowed are client, route and header:NAME"
        if clientSynonyms.contains(lowered) { throw .didYouMean(reason, "client") }
        if let nearest = Suggestion.nearest(to: text, in: ["client", "route"]) {
            throw .didYouMean(reason, nearest)
        }
        if lowered == "header" || lowered.hasPrefix("header") || lowered.hasPrefix("x-") {
            let name = lowered.hasPrefix("x-") ? text : "NAME"
            throw ScalarProblem(reason, suggestion: "write header:\(name)")
        }
        throw ScalarProblem(reason)
    }

    /// Key `error_pages`.
    mutating func errorPages(in section: Section) -> [ErrorPage] {
        let noun = Self.phrase("error_pages", in: section)
        return (pairs("error_pages", in: section) ?? []).compactMap { field in
            let status = fieldName(field, "status", in: noun) { text throws(ScalarProblem) in
                try Self.checkErrorStatus(text)
            }
            let title = "error page \(Quoted.text(field.name)) of \(section.title ?? "")"
            let path = "\(Self.path("error_pages", in: section)).STATUS"
            guard
                let page = open(field.value, path: path, title: title, range: field.keyRange)
            else { return nil }
            let contentType = mediaTypeOrDefault("content_type", in: page)
            let body = text("body", in: page)
            guard let status = status.flatMap({ UInt16($0.value) }), let body else { return nil }
            return ErrorPage(status: status, contentType: contentType, body: body.value)
        }
    }

    private static func checkErrorStatus(_ text: String) throws(ScalarProblem) {
        if text.utf8.count == 3, let status = UInt16(text), (400...599).contains(status) { return }
        if ["4xx", "5xx"].contains(text.lowercased()) {
            throw ScalarProblem("each status has its own page", suggestion: "write for example 503")
        }
        throw ScalarProblem("allowed are 400 to 599")
    }
}

extension RateLimitConfiguration {
    /// The shortest time between two tokens.
    static let nanosecondsPerTokenMin: UInt64 = 100
}
