// SPDX-License-Identifier: Apache-2.0
//
// The rules between the routes of a listener: each can be reached, for the first match wins, and
// none sends its clients back to itself.

/// Finds routes behind another route that takes all their requests, and redirects in a circle.
enum RouteCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        var earlier: [ConfigurationFacts.Route] = []
        for route in facts.routes {
            // Facts come listener by listener.
            if earlier.last.map({ $0.listener != route.listener }) == true { earlier = [] }
            if let cover = earlier.first(where: { covers($0.match, route.match) }) {
                let isCatchAll = covers(cover.match, RouteMatch())
                let reason = isCatchAll ? "takes every request" : "takes all its requests"
                diagnostics.add(
                    Diagnostic(
                        .warning, route.range,
                        "this route of listener \(Quoted.text(route.listener)) is never reached",
                        suggestion: "move it up; the first match wins",
                        notes: [
                            Diagnostic.Note(range: cover.range, message: "this route \(reason)")
                        ]))
            } else {
                checkRedirect(route, earlier, into: &diagnostics)
            }
            earlier.append(route)
        }
    }

    /// True when every request that `later` matches is matched by `earlier`.
    static func covers(_ earlier: RouteMatch, _ later: RouteMatch) -> Bool {
        coversHost(earlier.host, later.host) && coversPath(earlier.path, later.path)
            && coversMethods(earlier.methods, later.methods)
            && coversConditions(earlier.headers, later.headers)
            && coversConditions(earlier.query, later.query)
            && coversConditions(earlier.cookies, later.cookies)
    }

    private static func coversHost(_ earlier: String?, _ later: String?) -> Bool {
        guard let earlier else { return true }
        guard let later else { return false }
        if earlier == later { return true }
        return earlier.hasPrefix("*.") && later.hasSuffix(earlier.dropFirst())
    }

    private static func coversPath(_ earlier: RouteMatch.Path?, _ later: RouteMatch.Path?) -> Bool {
        switch (earlier, later) {
        case (nil, _), (.prefix("/"), _): return true
        case (_, nil): return false
        case (.exact(let one), .exact(let other)): return one == other
        case (.exact, .prefix): return false
        case (.prefix(let one), .prefix(let other)), (.prefix(let one), .exact(let other)):
            if one == other { return true }
            // Only whole segments are certain: /api covers /api/v1, but says nothing of /apiary.
            return other.hasPrefix(one.hasSuffix("/") ? one : "\(one)/")
        }
    }

    private static func coversMethods(_ earlier: [String], _ later: [String]) -> Bool {
        if earlier.isEmpty { return true }
        return !later.isEmpty && later.allSatisfy(earlier.contains)
    }

    /// Each condition of the earlier route must follow from one of the later.
    private static func coversConditions(
        _ earlier: [RouteMatch.Condition], _ later: [RouteMatch.Condition]
    ) -> Bool {
        earlier.allSatisfy { condition in
            later.contains {
                $0.name == condition.name
                    && (condition.value == nil || condition.value == $0.value)
            }
        }
    }

    /// A client that follows the redirect and meets the same route again goes in circles.
    private static func checkRedirect(
        _ route: ConfigurationFacts.Route, _ earlier: [ConfigurationFacts.Route],
        into diagnostics: inout DiagnosticList
    ) {
        guard let redirect = route.redirect, staysHere(redirect.target, port: route.port) else {
            return
        }
        var next = route.match
        if let host = redirect.target.host { next.host = host }
        if let path = redirect.target.path {
            next.path = .exact(path)
        } else if let prefix = redirect.pathPrefix {
            switch next.path {
            case .prefix: next.path = .prefix(prefix)
            case .exact: next.path = .exact(prefix)
            case nil: break
            }
        }
        // RFC 9110 §15.4.4: a client follows 303 with GET.
        if redirect.target.status == 303, !next.methods.isEmpty { next.methods = ["GET"] }
        guard covers(route.match, next), !earlier.contains(where: { covers($0.match, next) })
        else { return }
        diagnostics.add(
            Diagnostic(
                .warning, redirect.range, "this redirect leads back to its own route",
                suggestion: "clients go in circles; change scheme, host, port or path"))
    }

    private static func staysHere(_ target: RedirectConfiguration, port: UInt16?) -> Bool {
        if target.scheme == "https" { return false }
        guard let targetPort = target.port else { return true }
        return targetPort == port
    }
}
