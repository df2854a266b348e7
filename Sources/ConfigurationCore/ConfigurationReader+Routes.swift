// SPDX-License-Identifier: Apache-2.0
//
// The keys under `listeners.NAME.routes`: one route and its conditions.

import WireCore

/// What a route's checks need to know of its listener.
struct RoutePlace: Sendable {
    /// The listener's name.
    var listener: String
    /// The listener's port.
    var port: UInt16?
    /// Key `path` of the listener.
    var path: PathConfiguration
    /// Key `allow_trace` of the listener.
    var allowsTrace: Bool
    /// Key `request_headers` of the listener.
    var requestHeaders: HeaderEdits
    /// Key `response_headers` of the listener.
    var responseHeaders: HeaderEdits
}

extension ConfigurationReader {
    /// One entry of `routes`.
    mutating func route(
        _ node: ConfigurationNode, number: Int, _ place: RoutePlace
    ) -> RouteConfiguration? {
        let title = "route \(number) of listener \(Quoted.text(place.listener))"
        guard let section = open(node, path: KeyTable.routePath, title: title, range: node.range)
        else {
            facts.hasUnreadableRoutes = true
            return nil
        }
        let errorCount = diagnostics.errorCount
        let match = match(in: section, place)
        let isMatchReadable = diagnostics.errorCount == errorCount
        let actionErrorCount = diagnostics.errorCount
        let rewrite = rewrite(in: section)
        let action = action(in: section)
        let isActionReadable = diagnostics.errorCount == actionErrorCount
        let route = RouteConfiguration(
            match: match, action: action ?? .respond(FixedResponseConfiguration()),
            rewrite: rewrite,
            requestHeaders: headerEdits(.request, in: section, after: place.requestHeaders),
            responseHeaders: headerEdits(.response, in: section, after: place.responseHeaders),
            rateLimits: rateLimits(in: section), mirror: mirror(in: section))
        checkMeaning(of: route, in: section)
        if isMatchReadable {
            let keys = ["match"] + KeyTable.routeActions
            let range = keys.lazy.compactMap { section.fields[$0]?.keyRange }.first
            facts.routes.append(
                ConfigurationFacts.Route(
                    listener: place.listener, port: place.port, match: match,
                    range: range ?? node.range,
                    redirect: isActionReadable ? redirectFact(action, rewrite, in: section) : nil))
        }
        return action == nil ? nil : route
    }

    private func redirectFact(
        _ action: RouteAction?, _ rewrite: RouteRewrite, in section: Section
    ) -> ConfigurationFacts.Redirect? {
        guard case .redirect(let redirect) = action, let field = section.fields["redirect"] else {
            return nil
        }
        return ConfigurationFacts.Redirect(
            target: redirect, pathPrefix: rewrite.pathPrefix, range: field.keyRange)
    }

    private mutating func match(in section: Section, _ place: RoutePlace) -> RouteMatch {
        let title = "match of \(section.title ?? "")"
        guard let match = self.section("match", title: title, in: section) else {
            return RouteMatch()
        }
        let prefix = urlPath("path_prefix", in: match)
        let exact = urlPath("path", in: match)
        if let one = match.fields["path_prefix"], let other = match.fields["path"] {
            error(
                other.keyRange, "\(title) has both \"path_prefix\" and \"path\"",
                suggestion: "path is the whole path, path_prefix its beginning; remove one",
                notes: [Diagnostic.Note(range: one.keyRange, message: "path_prefix is here")])
        }
        for located in [prefix, exact] {
            if let located { checkForm(of: located, place.path) }
        }
        let result = RouteMatch(
            host: host("host", allowsWildcard: true, in: match)?.value,
            path: exact.map { .exact($0.value) } ?? prefix.map { .prefix($0.value) },
            methods: methods(in: match, place), headers: headerConditions(in: match),
            query: queryConditions(in: match), cookies: cookieConditions(in: match))
        if match.fields.isEmpty, section.fields["match"]?.value.isEmptyMapping == true {
            error(
                section.fields["match"]?.keyRange ?? match.range,
                "\(title) has no condition",
                suggestion: "remove \"match\" to take every request")
        }
        return result
    }

    /// Routes see paths in the listener's one form; a path in another form matches nothing.
    private mutating func checkForm(of path: Located<String>, _ form: PathConfiguration) {
        let segments = path.value.split(separator: "/")
        if form.dotSegments != .keep, segments.contains(where: { $0 == "." || $0 == ".." }) {
            warning(
                path.range, "no request has a path with dot segments when routes are looked at",
                suggestion: "write the path without . and .., or path: { dot_segments: keep }")
        }
        let lowered = path.value.lowercased()
        if form.encodedSlashes != .keep,
            lowered.contains("%2f") || lowered.contains("%5c")
        {
            warning(
                path.range, "no request has %2F or %5C in its path when routes are looked at",
                suggestion: "remove it, or write path: { encoded_slashes: keep }")
        }
        if form.mergesSlashes, path.value.contains("//") {
            warning(
                path.range, "no request has // in its path when routes are looked at",
                suggestion: "write / once, or path: { merge_slashes: false }")
        }
    }

    private mutating func methods(in match: Section, _ place: RoutePlace) -> [String] {
        let noun = "\"methods\" in \(match.title ?? "")"
        var methods: [Located<String>] = []
        for node in list("methods", in: match) ?? [] {
            let method = value(node, "method", for: noun) { text throws(ScalarProblem) in
                try HeaderText.check(method: text)
                return text
            }
            guard let method else { continue }
            if let first = methods.first(where: { $0.value == method.value }) {
                error(
                    method.range, "method \(method.value) is twice in \(noun)",
                    suggestion: "remove one",
                    notes: [Diagnostic.Note(range: first.range, message: "the first is here")])
                continue
            }
            if method.value == "TRACE", !place.allowsTrace {
                warning(
                    method.range, "TRACE is answered with 405 before routes are looked at",
                    suggestion: "write allow_trace: true in the listener")
            }
            methods.append(method)
        }
        return methods.map(\.value)
    }
}
