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
            try Self.duration(text, range, step: step, key)
        }
    }

    /// The span that `text` says, within `range` and in steps of `step`.
    static func duration(
        _ text: String, _ range: ClosedRange<TimeSpan>, step: TimeSpan?, _ key: KeyDescription
    ) throws(ScalarProblem) -> TimeSpan {
        let span = try DurationText.parse(text)
        guard range.contains(span) else {
            let limits =
                "\(DurationText.render(range.lowerBound)) to "
                + DurationText.render(range.upperBound)
            throw ScalarProblem(
                "allowed are \(limits)", suggestion: consequence(span < range.lowerBound, key))
        }
        if let step, !span.nanoseconds.isMultiple(of: step.nanoseconds) {
            let steps = (span.nanoseconds + step.nanoseconds / 2) / step.nanoseconds
            let nearest = max(step.multiplied(by: steps), range.lowerBound)
            throw .didYouMean("allowed are multiples of \(step)", DurationText.render(nearest))
        }
        return span
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
        choice(name, in: section) ?? Self.word(name, in: section)
    }

    /// One of the words of the key; `nil` when absent or bad.
    mutating func choice(_ name: String, in section: Section) -> String? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .choice(let words) = key.form else {
            preconditionFailure("\(key.path) is no choice")
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
                suggestion: (Self.synonyms[key.path]?[text.lowercased()]
                    ?? Suggestion.nearest(to: text, in: words)).map {
                        "did you mean \"\($0)\"?"
                    })
        }
        return located?.value
    }

    /// The word that the key table has as default.
    static func word(_ name: String, in section: Section) -> String {
        let key = KeyTable.key(path(name, in: section))
        guard case .word(let word) = key.presence else {
            preconditionFailure("\(key.path) has no default word")
        }
        return word
    }

    /// A size within its limits.
    mutating func size(_ name: String, in section: Section) -> Located<Int>? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .size(let range) = key.form else {
            preconditionFailure("\(key.path) is no size")
        }
        return value(name, "size", in: section) { text throws(ScalarProblem) in
            let byteCount = try SizeText.parse(text)
            guard range.contains(byteCount) else {
                let limits =
                    "\(SizeText.render(range.lowerBound)) to "
                    + SizeText.render(range.upperBound)
                throw ScalarProblem(
                    "allowed are \(limits)",
                    suggestion: Self.consequence(byteCount < range.lowerBound, key))
            }
            return byteCount
        }
    }

    /// A size, or the default of the key table.
    mutating func sizeOrDefault(_ name: String, in section: Section) -> Int {
        if let located = size(name, in: section) { return located.value }
        guard case .size(let byteCount) = KeyTable.key(Self.path(name, in: section)).presence
        else { preconditionFailure("\(name) has no default") }
        return byteCount
    }

    /// A percentage in hundredths; `nil` when absent or bad.
    mutating func percent(_ name: String, in section: Section) -> Located<Int>? {
        let key = KeyTable.key(Self.path(name, in: section))
        guard case .percent(let range) = key.form else {
            preconditionFailure("\(key.path) is no percentage")
        }
        return value(name, "number", in: section) { text throws(ScalarProblem) -> Int in
            let hundredths = try PercentText.parse(text)
            guard range.contains(hundredths) else {
                let limits =
                    "\(PercentText.render(range.lowerBound)) to "
                    + PercentText.render(range.upperBound)
                throw ScalarProblem(
                    "allowed are \(limits)",
                    suggestion: Self.consequence(hundredths < range.lowerBound, key))
            }
            return hundredths
        }
    }

    /// A percentage in hundredths, or the default of the key table.
    mutating func percentOrDefault(_ name: String, in section: Section) -> Int {
        if let located = percent(name, in: section) { return located.value }
        guard case .percent(let absent) = KeyTable.key(Self.path(name, in: section)).presence
        else { preconditionFailure("\(name) has no default") }
        return absent
    }

    /// The name of a pool, to be looked up once all are known.
    mutating func poolName(_ name: String, in section: Section) -> String? {
        let pool = value(name, "name", in: section) { text throws(ScalarProblem) in
            try NameText.check(name: text)
            return text
        }
        if let pool {
            facts.poolReferences.append(pool)
        } else {
            facts.hasUnreadableRoutes = true
        }
        return pool?.value
    }

    /// Free text up to the limit of the key table.
    mutating func text(_ name: String, in section: Section) -> Located<String>? {
        guard case .text(let byteCountMax) = KeyTable.key(Self.path(name, in: section)).form else {
            preconditionFailure("\(name) is no text")
        }
        return value(name, "text", in: section) { text throws(ScalarProblem) in
            guard text.utf8.count <= byteCountMax else {
                throw ScalarProblem("allowed are at most \(SizeText.render(byteCountMax))")
            }
            return text
        }
    }

    /// A media type, or the default of the key table.
    mutating func mediaTypeOrDefault(_ name: String, in section: Section) -> String {
        let located = value(name, "media type", in: section) { text throws(ScalarProblem) in
            try HeaderText.check(mediaType: text)
            return text
        }
        return located?.value ?? Self.word(name, in: section)
    }

    /// The number that `text` says, within `range`.
    static func integer(
        _ text: String, _ range: ClosedRange<Int>, _ key: KeyDescription
    ) throws(ScalarProblem) -> Int {
        if text.hasSuffix("%") {
            throw .didYouMean("the sign is not written", String(text.dropLast()))
        }
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
        "listeners.NAME.protocol": ["https", "tls", "h2", "http2", "udp"]
    ]

    /// Words that other programs use.
    static let synonyms: [String: [String: String]] = [
        "pair.virtual_routers[].checksum": [
            "9568": "rfc9568", "5798": "rfc5798", "v2": "rfc5798", "keepalived": "rfc5798",
            "frr": "rfc5798", "pseudo_header": "rfc5798",
        ],
        "pair.virtual_routers[].authentication": [
            "none": "off", "false": "off", "no": "off", "on": "hmac", "true": "hmac",
            "yes": "hmac", "ah": "hmac", "pass": "hmac", "sha256": "hmac",
        ],
        "pair.virtual_routers[].takeover": ["slow": "safe", "quick": "fast"],
        "pair.virtual_routers[].announce": [
            "arp": "lan", "vrrp": "lan", "l2": "lan", "bgp": "route", "ospf": "route",
            "ecmp": "route", "bird": "route", "l3": "route", "routes": "route",
        ],
        "pair.track.on_different_configuration": [
            "block": "hold", "wait": "hold", "refuse": "hold", "log": "warn", "ignore": "warn",
        ],
        "access_log.format": ["clf": "common", "ncsa": "common", "apache": "combined"],
        "listeners.NAME.path.dot_segments": [
            "normalize": "resolve", "normalise": "resolve", "remove": "resolve", "deny": "reject",
        ],
        "listeners.NAME.path.encoded_slashes": [
            "unescape": "decode", "deny": "reject", "forward": "keep",
        ],
        "pools.NAME.balance": [
            "leastconn": "least_requests", "least_conn": "least_requests",
            "least_connections": "least_requests", "least_request": "least_requests",
            "roundrobin": "round_robin", "rr": "round_robin", "wrr": "round_robin",
            "random_two": "random", "p2c": "random", "power_of_two": "random",
            "source": "ip_hash", "consistent": "ring_hash", "ketama": "ring_hash",
            "hash": "maglev", "ewma": "least_time", "peak_ewma": "least_time",
        ],
        "pools.NAME.retries.on": [
            "5xx": "server_error", "502": "gateway_error", "503": "gateway_error",
            "504": "gateway_error", "gateway-error": "gateway_error",
            "conn-failure": "connect_failure", "connect-failure": "connect_failure",
            "refused": "connect_failure", "error": "connect_failure",
            "response-timeout": "timeout", "empty-response": "reset",
        ],
        "pools.NAME.outlier_detection.growth": ["exponential": "double", "doubling": "double"],
        "pools.NAME.send_proxy_protocol": ["1": "v1", "2": "v2", "true": "v2", "yes": "v2"],
    ]

    /// What goes wrong with a value out of range.
    static func consequence(_ isSmall: Bool, _ key: KeyDescription) -> String? {
        isSmall ? key.tooSmall.map { "too small: \($0)" } : key.tooLarge.map { "too large: \($0)" }
    }
}
