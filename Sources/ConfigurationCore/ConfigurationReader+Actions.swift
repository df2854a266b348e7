// SPDX-License-Identifier: Apache-2.0
//
// The keys of a route that say where requests go and what is changed on the way.

import WireCore

extension ConfigurationReader {
    /// One of the keys `pool`, `pools`, `redirect`, `respond`; `nil` when none can be read.
    mutating func action(in section: Section) -> RouteAction? {
        let title = section.title ?? ""
        let written = KeyTable.routeActions.compactMap { section.fields[$0] }
        let ordered = written.sorted { $0.keyRange.start < $1.keyRange.start }
        guard let first = ordered.first else {
            error(
                section.range, "\(title) does not say where requests go",
                suggestion: "add one of \(KeyTable.routeActions.joined(separator: ", "))")
            facts.hasUnreadableRoutes = true
            return nil
        }
        for other in ordered.dropFirst() {
            error(
                other.keyRange, "\(title) has both \"\(first.name)\" and \"\(other.name)\"",
                suggestion: "a route has one of \(KeyTable.routeActions.joined(separator: ", "))",
                notes: [
                    Diagnostic.Note(range: first.keyRange, message: "\"\(first.name)\" is here")
                ])
        }
        var actions: [RouteAction] = []
        for field in ordered {
            if let action = action(field.name, in: section) { actions.append(action) }
        }
        return actions.first
    }

    private mutating func action(_ name: String, in section: Section) -> RouteAction? {
        switch name {
        case "pool": poolName("pool", in: section).map { .pool($0) }
        case "pools": shares(in: section).map { .split($0) }
        case "redirect": redirect(in: section).map { .redirect($0) }
        case "respond": fixedResponse(in: section).map { .respond($0) }
        default: preconditionFailure("no action \(name)")
        }
    }

    /// The largest weight of a pool in a split.
    private static let shareWeightMax = 1_000_000

    private mutating func shares(in section: Section) -> [PoolShare]? {
        guard let fields = pairs("pools", in: section) else {
            facts.hasUnreadableRoutes = true
            return nil
        }
        let noun = Self.phrase("pools", in: section)
        var shares: [PoolShare] = []
        for field in fields {
            facts.poolReferences.append(Located(value: field.name, range: field.keyRange))
            guard !field.value.isNull else {
                error(
                    field.keyRange, "\(Quoted.text(field.name)) in \(noun) has no weight",
                    suggestion: "write for example \(field.name): 50")
                continue
            }
            let place = "\(Quoted.text(field.name)) in \(noun)"
            let weight = value(field.value, "weight", for: place) { text throws(ScalarProblem) in
                try Self.weight(text)
            }
            guard let weight else { continue }
            shares.append(PoolShare(pool: field.name, weight: weight.value))
        }
        guard shares.count == fields.count, let first = fields.first else { return nil }
        if shares.allSatisfy({ $0.weight == 0 }) {
            error(
                first.value.range, "every weight in \(noun) is 0",
                suggestion: "at least one pool must get requests")
        }
        return shares
    }

    private static func weight(_ text: String) throws(ScalarProblem) -> Int {
        if text.hasSuffix("%") {
            throw .didYouMean("weights are relative to one another", String(text.dropLast()))
        }
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw ScalarProblem("a whole number is needed, 0 to \(shareWeightMax)")
        }
        guard let weight = Int(text), weight <= shareWeightMax else {
            throw ScalarProblem("allowed are 0 to \(shareWeightMax)")
        }
        return weight
    }

    private mutating func redirect(in section: Section) -> RedirectConfiguration? {
        let title = "redirect of \(section.title ?? "")"
        guard let redirect = self.section("redirect", title: title, in: section) else {
            return nil
        }
        let status = UInt16(choiceOrDefault("status", in: redirect))
        let path = urlPath("path", in: redirect)
        if let path { warnOfVariable(path.value, path.range) }
        return RedirectConfiguration(
            status: status ?? 308, scheme: choice("scheme", in: redirect),
            host: host("host", allowsWildcard: false, in: redirect)?.value,
            port: integer("port", in: redirect).map { UInt16(clamping: $0.value) },
            path: path?.value)
    }

    private mutating func fixedResponse(in section: Section) -> FixedResponseConfiguration? {
        let title = "respond of \(section.title ?? "")"
        guard let respond = self.section("respond", title: title, in: section) else { return nil }
        let response = FixedResponseConfiguration(
            status: UInt16(clamping: integerOrDefault("status", in: respond)),
            contentType: mediaTypeOrDefault("content_type", in: respond),
            body: text("body", in: respond)?.value ?? "")
        // RFC 9110 §15.3.5, §15.3.6, §15.4.5.
        if [204, 205, 304].contains(response.status), !response.body.isEmpty,
            let body = respond.fields["body"]
        {
            error(
                body.keyRange, "a response with status \(response.status) has no body",
                suggestion: "remove the body, or write status: 200")
        }
        if [301, 302, 303, 307, 308].contains(response.status),
            let status = respond.fields["status"]
        {
            warning(
                status.value.range,
                "a response with status \(response.status) does not say where to go",
                suggestion: "write redirect: { status: \(response.status), host: NAME }")
        }
        return response
    }

    /// Key `rewrite`.
    mutating func rewrite(in section: Section) -> RouteRewrite {
        let title = "rewrite of \(section.title ?? "")"
        guard let rewrite = self.section("rewrite", title: title, in: section) else {
            return RouteRewrite()
        }
        let pathPrefix = urlPath("path_prefix", in: rewrite)
        if let pathPrefix { warnOfVariable(pathPrefix.value, pathPrefix.range) }
        return RouteRewrite(
            pathPrefix: pathPrefix?.value,
            host: host("host", allowsWildcard: false, in: rewrite)?.value)
    }

    /// Key `mirror`.
    mutating func mirror(in section: Section) -> MirrorConfiguration? {
        let title = "mirror of \(section.title ?? "")"
        guard section.fields["mirror"] != nil else { return nil }
        guard let mirror = self.section("mirror", title: title, in: section) else {
            facts.hasUnreadableRoutes = true
            return nil
        }
        let pool = poolName("pool", in: mirror)
        let percent = percentOrDefault("percent", in: mirror)
        return pool.map { MirrorConfiguration(pool: $0, shareBasisPoints: percent) }
    }

    /// Finds keys that do nothing beside the others of their route.
    mutating func checkMeaning(of route: RouteConfiguration, in section: Section) {
        checkRewrite(of: route, in: section)
        let title = section.title ?? ""
        if section.fields["respond"] != nil || section.fields["redirect"] != nil {
            let action = section.fields["respond"] != nil ? "respond" : "redirect"
            for name in ["mirror", "request_headers"] {
                guard let field = section.fields[name] else { continue }
                reportMeaningless(
                    field, in: section, because: "beside \(action)",
                    suggestion: "no backend gets the request; remove it")
            }
        }
        if case .respond(let response) = route.action, route.match.methods == ["HEAD"],
            !response.body.isEmpty, let field = section.fields["respond"]
        {
            warning(
                field.keyRange, "\(title) answers HEAD only, whose responses have no body",
                suggestion: "add GET to methods, or remove the body")
        }
        if case .pool(let pool) = route.action, let mirror = route.mirror, mirror.pool == pool,
            let field = section.fields["mirror"]
        {
            warning(
                field.keyRange, "\(title) mirrors to the pool that serves it",
                suggestion: "its backends do the work twice; name another pool")
        }
    }

    private mutating func checkRewrite(of route: RouteConfiguration, in section: Section) {
        guard case .mapping(let entries)? = section.fields["rewrite"]?.value.content else { return }
        func range(of name: String) -> SourceRange? {
            entries.first { $0.key.content.scalarText == name }?.key.range
        }
        let title = "rewrite of \(section.title ?? "")"
        if let field = section.fields["rewrite"], section.fields["respond"] != nil {
            reportMeaningless(
                field, in: section, because: "beside respond",
                suggestion: "no backend gets the request; remove it")
            return
        }
        if let range = range(of: "path_prefix"),
            section.fields["match"] == nil
                || route.match.path == nil && !section.hasPathCondition
        {
            error(
                range, "\"path_prefix\" of \(title) has nothing to replace",
                suggestion: "add match: { path_prefix: / } to put it in front of every path")
        }
        guard case .redirect(let redirect) = route.action else { return }
        if let range = range(of: "host") {
            error(
                range, "\"host\" of \(title) has no meaning beside redirect",
                suggestion: "write redirect: { host: NAME }")
        }
        if let range = range(of: "path_prefix"), redirect.path != nil {
            error(
                range, "\"path_prefix\" of \(title) has no meaning beside redirect.path",
                suggestion: "redirect.path replaces the whole path; remove one")
        }
    }
}

extension ConfigurationReader.Section {
    /// True when `match` has a condition on the path, readable or not.
    fileprivate var hasPathCondition: Bool {
        guard case .mapping(let entries)? = fields["match"]?.value.content else { return false }
        return entries.contains { ["path", "path_prefix"].contains($0.key.content.scalarText) }
    }
}

extension ConfigurationNode.Content {
    /// The text of a single value.
    fileprivate var scalarText: String? {
        guard case .scalar(let text, _) = self else { return nil }
        return text
    }
}
