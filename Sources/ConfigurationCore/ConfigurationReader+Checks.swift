// SPDX-License-Identifier: Apache-2.0
//
// The keys `health_check` and `readiness_check`.

import WireCore

extension ConfigurationReader {
    /// Key `health_check` or `readiness_check`.
    mutating func check(_ name: String, in section: Section) -> HealthCheckConfiguration? {
        switched(name, in: section, absent: nil, off: nil) { $0.check(in: $1) }
    }

    private mutating func check(in section: Section) -> HealthCheckConfiguration? {
        let word = choice("type", in: section)
        let isTypeKnown = word != nil || section.fields["type"] == nil
        let type = word ?? Self.word("type", in: section)
        for (name, types) in KeyTable.checkTypesOfKey where isTypeKnown && !types.contains(type) {
            guard let field = section.fields[name] else { continue }
            error(
                field.keyRange,
                "\"\(name)\" in \(section.title ?? "") has no meaning for type \(type)",
                suggestion: "remove it, or write type: \(types.joined(separator: " or "))")
        }
        let probe = probe(type, isTypeKnown: isTypeKnown, in: section)
        let interval = durationOrDefault("interval", in: section)
        let timeout = durationOrDefault("timeout", in: section)
        let fastInterval = duration("fast_interval", in: section)
        let check = HealthCheckConfiguration(
            probe: probe, interval: interval, timeout: timeout,
            fall: integerOrDefault("fall", in: section),
            rise: integerOrDefault("rise", in: section),
            fastInterval: fastInterval?.value,
            downInterval: duration("down_interval", in: section)?.value,
            jitterPercent: integerOrDefault("jitter", in: section),
            port: integer("port", in: section).map { UInt16(clamping: $0.value) },
            reusesConnection: booleanOrDefault("reuse", in: section))
        checkTimes(of: check, fastInterval: fastInterval, in: section)
        return check
    }

    private mutating func checkTimes(
        of check: HealthCheckConfiguration, fastInterval: Located<TimeSpan>?, in section: Section
    ) {
        if check.timeout > check.interval,
            let field = section.fields["timeout"] ?? section.fields["interval"]
        {
            let spans =
                "\(DurationText.render(check.timeout)), interval "
                + DurationText.render(check.interval)
            warning(
                field.value.range,
                "a probe may outlast the time to the next one (timeout \(spans))",
                suggestion: "make timeout at most interval")
        }
        if let fastInterval, fastInterval.value > check.interval {
            error(
                fastInterval.range,
                "fast_interval \(DurationText.render(fastInterval.value)) is longer than interval "
                    + DurationText.render(check.interval),
                suggestion: "make it shorter, or leave it out")
        }
    }

    private mutating func probe(
        _ type: String, isTypeKnown: Bool, in section: Section
    ) -> HealthCheckConfiguration.Probe {
        switch type {
        case "http":
            return .http(httpProbe(in: section))
        case "grpc":
            let service = text("service", in: section)?.value
            return .grpc(service: service ?? Self.word("service", in: section))
        default:
            let probe = PayloadProbe(
                send: payload("send", in: section), expect: payload("expect", in: section))
            guard type == "udp" else { return .tcp(probe) }
            if section.fields["send"] == nil {
                error(
                    section.range, "\(section.title ?? "") has no \"send\"",
                    suggestion: "a check of type udp needs something to send, "
                        + "for example send: 'ping'")
            }
            return .udp(probe)
        }
    }

    private mutating func httpProbe(in section: Section) -> HTTPProbe {
        let method = choiceOrDefault("method", in: section)
        let body = text("body", in: section)
        if let body, body.value.isEmpty {
            error(
                body.range, "\"body\" in \(section.title ?? "") is empty",
                suggestion: "leave it out to take any body")
        }
        if method == "HEAD", let field = section.fields["body"] {
            error(
                field.keyRange, "an answer to HEAD has no body to look at",
                suggestion: "remove it, or write method: GET")
        }
        return HTTPProbe(
            method: method,
            path: urlPath("path", in: section)?.value ?? Self.word("path", in: section),
            host: host("host", allowsWildcard: false, in: section)?.value,
            headers: probeHeaders(in: section),
            statuses: statusRanges("status", in: section) ?? HTTPProbe().statuses,
            body: body?.value)
    }

    private mutating func probeHeaders(in section: Section) -> [HeaderEdits.Header] {
        let noun = Self.phrase("headers", in: section)
        var names: [Located<String>] = []
        var headers: [HeaderEdits.Header] = []
        for field in pairs("headers", in: section) ?? [] {
            let name = fieldName(field, "header name", in: noun) { text throws(ScalarProblem) in
                try HeaderText.check(name: text)
                try HeaderEditRule.check(probe: text)
            }
            let value = pairValue(field, in: noun) { text throws(ScalarProblem) in
                try HeaderText.check(value: text)
                return text
            }
            guard let name, isFirst(name, among: names, noun: noun) else { continue }
            names.append(name)
            guard let value else { continue }
            warnOfVariable(value, field.value.range)
            headers.append(HeaderEdits.Header(name: name.value, value: value))
        }
        return headers
    }

    /// Bytes written with escapes; empty when absent or bad.
    private mutating func payload(_ name: String, in section: Section) -> [UInt8] {
        guard case .payload(let byteCountMax) = KeyTable.key(Self.path(name, in: section)).form
        else { preconditionFailure("\(name) is no payload") }
        let located = value(name, "text", in: section) { text throws(ScalarProblem) in
            let bytes = try PayloadText.parse(text)
            guard !bytes.isEmpty else {
                throw ScalarProblem("it is empty", suggestion: "leave the key out")
            }
            guard bytes.count <= byteCountMax else {
                throw ScalarProblem("allowed are at most \(byteCountMax) bytes")
            }
            return bytes
        }
        return located?.value ?? []
    }

    /// One range of statuses, several with commas between them, or a list; `nil` when absent.
    private mutating func statusRanges(
        _ name: String, in section: Section
    ) -> [ClosedRange<UInt16>]? {
        guard let field = field(name, in: section) else { return nil }
        let place = "\"\(name)\" in \(section.title ?? "")"
        guard case .sequence(let nodes) = field.value.content else {
            return value(field.value, "status", for: place) { text throws(ScalarProblem) in
                try StatusRangeText.parse(text)
            }?.value
        }
        guard (1...StatusRangeText.countMax).contains(nodes.count) else {
            error(
                field.keyRange,
                "\(Self.phrase(name, in: section)) has \(nodes.count) entries; "
                    + "allowed are 1 to \(StatusRangeText.countMax)")
            return nil
        }
        return nodes.flatMap { node in
            value(node, "status", for: place) { text throws(ScalarProblem) in
                try StatusRangeText.parse(text)
            }?.value ?? []
        }
    }
}
