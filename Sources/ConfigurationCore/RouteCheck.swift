// SPDX-License-Identifier: Apache-2.0
//
// The rule that every route can be reached: the first match wins.

/// Finds routes behind another route that takes all their requests.
enum RouteCheck {
    static func run(_ facts: ConfigurationFacts, into diagnostics: inout DiagnosticList) {
        var earlier: [ConfigurationFacts.Route] = []
        for route in facts.routes {
            // Facts come listener by listener.
            if earlier.last.map({ $0.listener != route.listener }) == true { earlier = [] }
            if let cover = earlier.first(where: { covers($0, route) }) {
                let isCatchAll = cover.host == nil && cover.pathPrefix == nil
                let reason = isCatchAll ? "takes every request" : "takes all its requests"
                diagnostics.add(
                    Diagnostic(
                        .warning, route.range,
                        "this route of listener \(Quoted.text(route.listener)) is never reached",
                        suggestion: "move it up; the first match wins",
                        notes: [
                            Diagnostic.Note(range: cover.range, message: "this route \(reason)")
                        ]))
            }
            earlier.append(route)
        }
    }

    /// True when every request that `later` matches is matched by `earlier`.
    static func covers(_ earlier: ConfigurationFacts.Route, _ later: ConfigurationFacts.Route)
        -> Bool
    {
        coversHost(earlier.host, later.host) && coversPath(earlier.pathPrefix, later.pathPrefix)
    }

    private static func coversHost(_ earlier: String?, _ later: String?) -> Bool {
        guard let earlier else { return true }
        guard let later else { return false }
        if earlier == later { return true }
        return earlier.hasPrefix("*.") && later.hasSuffix(earlier.dropFirst())
    }

    private static func coversPath(_ earlier: String?, _ later: String?) -> Bool {
        guard let earlier, earlier != "/" else { return true }
        guard let later else { return false }
        if earlier == later { return true }
        // Only whole segments are certain: /api covers /api/v1, but says nothing of /apiary.
        return later.hasPrefix(earlier.hasSuffix("/") ? earlier : "\(earlier)/")
    }
}
