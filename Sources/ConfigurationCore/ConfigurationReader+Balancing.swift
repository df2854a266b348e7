// SPDX-License-Identifier: Apache-2.0
//
// The keys that say which backend a client gets: hash, stickiness, zones, slow start.

import WireCore

extension ConfigurationReader {
    /// Key `hash`.
    mutating func hash(in section: Section) -> HashConfiguration {
        let key = value("key", "key", in: section) { text throws(ScalarProblem) in
            try HashKeyText.parse(text)
        }
        return HashConfiguration(
            key: key?.value ?? .client, boundPercent: limitOrDefault("bound", in: section))
    }

    /// Key `sticky`.
    mutating func sticky(in section: Section) -> StickyConfiguration? {
        let word = choice("mode", in: section)
        let isModeKnown = word != nil || section.fields["mode"] == nil
        let mode = word.flatMap { StickyConfiguration.Mode(rawValue: $0) } ?? .insert
        if isModeKnown { checkStickyKeys(mode, in: section) }
        let cookie = value("cookie", "cookie name", in: section) { text throws(ScalarProblem) in
            try HeaderText.check(name: text)
            return text
        }
        let sticky = StickyConfiguration(
            mode: mode, cookie: cookie?.value ?? Self.word("cookie", in: section),
            maxAge: duration("max_age", in: section)?.value,
            isSecure: booleanOrDefault("secure", in: section),
            sameSite: StickyConfiguration.SameSite(
                rawValue: choiceOrDefault("same_site", in: section)) ?? .lax,
            domain: host("domain", allowsWildcard: false, in: section)?.value,
            path: urlPath("path", in: section)?.value ?? Self.word("path", in: section),
            forwards: booleanOrDefault("forward", in: section),
            whileDraining: booleanOrDefault("while_draining", in: section),
            entriesMax: integerOrDefault("entries", in: section),
            expire: durationOrDefault("expire", in: section))
        if mode == .insert, sticky.sameSite == .none, !sticky.isSecure,
            let field = section.fields["same_site"]
        {
            error(
                field.value.range, "browsers refuse a cookie with same_site: none without secure",
                suggestion: "add secure: true")
        }
        return sticky
    }

    private mutating func checkStickyKeys(_ mode: StickyConfiguration.Mode, in section: Section) {
        let others =
            mode == .insert
            ? ["entries", "expire"]
            : ["max_age", "secure", "same_site", "domain", "path", "forward"]
        for name in others {
            guard let field = section.fields[name] else { continue }
            let other: StickyConfiguration.Mode = mode == .insert ? .learn : .insert
            reportMeaningless(
                field, in: section, because: "for mode \(mode.rawValue)",
                suggestion: "remove it, or write mode: \(other.rawValue)")
        }
        guard mode == .learn, section.fields["cookie"] == nil else { return }
        error(
            section.fields["mode"]?.value.range ?? section.range,
            "\(section.title ?? "sticky") has no \"cookie\"",
            suggestion: "add the application's, for example cookie: JSESSIONID")
    }

    /// Keys `panic_threshold`, `overprovisioning`, `zone_aware`.
    mutating func sharing(in section: Section) -> SharingConfiguration {
        let sharing = SharingConfiguration(
            panicPercent: integerOrDefault("panic_threshold", in: section),
            overprovisionPercent: integerOrDefault("overprovisioning", in: section),
            isZoneAware: booleanOrDefault("zone_aware", in: section))
        if sharing.panicPercent == 0, let field = section.fields["panic_threshold"] {
            warning(
                field.value.range,
                "with panic_threshold: 0 a pool whose checks all fail answers every request 503",
                suggestion: "a wrong check takes the whole pool out; the default is 50")
        }
        return sharing
    }

    /// Key `slow_start`.
    mutating func slowStart(in section: Section) -> SlowStartConfiguration? {
        let slowStart = SlowStartConfiguration(
            window: durationOrDefault("window", in: section),
            aggressionPercent: decimalOrDefault("aggression", in: section),
            minPercent: integerOrDefault("min_percent", in: section))
        if slowStart.minPercent == 100, let field = section.fields["min_percent"] {
            warning(
                field.value.range, "with min_percent: 100 the full share comes at once",
                suggestion: "write slow_start: off, or a smaller share")
        }
        return slowStart
    }
}

/// Reads what the hash policies look at.
enum HashKeyText {
    private static let words = ["client", "path", "tuple"]

    /// Words that other programs use.
    private static let synonyms: [String: String] = [
        "ip": "client", "address": "client", "client_ip": "client", "source": "client",
        "src": "client", "source_ip": "client", "remote_addr": "client", "uri": "path",
        "url": "path", "request_uri": "path", "5-tuple": "tuple", "five_tuple": "tuple",
        "connection": "tuple",
    ]

    /// What `text` says; names of headers in lower case.
    static func parse(_ text: String) throws(ScalarProblem) -> HashConfiguration.Key {
        switch text {
        case "client": return .client
        case "path": return .path
        case "tuple": return .tuple
        default: break
        }
        let lowered = HeaderText.lowercased(text)
        for kind in ["header", "cookie"] where lowered.hasPrefix("\(kind):") {
            let name = String(text.dropFirst(kind.utf8.count + 1))
            let trimmed = name.drop { $0 == " " }
            if !text.hasPrefix(kind) || trimmed.count != name.count {
                throw .didYouMean("it is written \(kind):NAME", "\(kind):\(trimmed)")
            }
            do throws(ScalarProblem) {
                try HeaderText.check(name: name)
            } catch {
                throw ScalarProblem(error.reason)
            }
            return kind == "cookie" ? .cookie(name) : .header(HeaderText.lowercased(name))
        }
        let reason = "allowed are client, path, tuple, header:NAME and cookie:NAME"
        if let meant = synonyms[lowered] ?? Suggestion.nearest(to: text, in: words) {
            throw .didYouMean(reason, meant)
        }
        if lowered == "header" || lowered == "cookie" {
            throw ScalarProblem(reason, suggestion: "write \(lowered):NAME")
        }
        if lowered.hasPrefix("x-") {
            throw ScalarProblem(reason, suggestion: "write header:\(text)")
        }
        throw ScalarProblem(reason)
    }
}
