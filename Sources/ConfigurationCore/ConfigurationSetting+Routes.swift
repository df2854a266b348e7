// SPDX-License-Identifier: Apache-2.0
//
// A route as one setting: its conditions, what it changes, and where its requests go.

extension RouteConfiguration {
    /// The route in one line.
    var text: String {
        var parts = [match.text]
        if let pathPrefix = rewrite.pathPrefix {
            parts.append("rewrite path_prefix \(Configuration.quoted(pathPrefix))")
        }
        if let host = rewrite.host { parts.append("rewrite host \(Configuration.quoted(host))") }
        if !requestHeaders.isEmpty { parts.append("request_headers { \(requestHeaders.text) }") }
        if !responseHeaders.isEmpty { parts.append("response_headers { \(responseHeaders.text) }") }
        parts += rateLimits.map { "rate limit \($0.text)" }
        if let mirror {
            let percent = PercentText.render(mirror.shareBasisPoints)
            parts.append("mirror \(percent)% to pool \(mirror.pool)")
        }
        return "\(parts.joined(separator: "; ")) -> \(action.text)"
    }
}

extension RouteMatch {
    /// The conditions in one line.
    var text: String {
        var parts = ["host \(host.map(Configuration.quoted) ?? "any")"]
        switch path {
        case nil: parts.append("path_prefix any")
        case .prefix(let prefix): parts.append("path_prefix \(Configuration.quoted(prefix))")
        case .exact(let path): parts.append("path \(Configuration.quoted(path))")
        }
        if !methods.isEmpty { parts.append("methods \(methods.joined(separator: "|"))") }
        parts += headers.map { "header \($0.text)" }
        parts += query.map { "query \($0.text)" }
        parts += cookies.map { "cookie \($0.text)" }
        return parts.joined(separator: ", ")
    }
}

extension RouteMatch.Condition {
    /// The condition in one line.
    var text: String {
        guard let value else { return "\(Configuration.quoted(name)) present" }
        return "\(Configuration.quoted(name)) = \(Configuration.valueText(value, of: name))"
    }
}

extension RouteAction {
    /// The action in one line.
    var text: String {
        switch self {
        case .pool(let name): "pool \(name)"
        case .split(let shares):
            "pools \(shares.map { "\($0.pool) \($0.weight)" }.joined(separator: ", "))"
        case .redirect(let redirect): "redirect \(redirect.text)"
        case .respond(let response):
            "respond \(response.status), \(Configuration.quoted(response.contentType)), "
                + Configuration.bodyText(response.body)
        }
    }
}

extension RedirectConfiguration {
    /// The redirect in one line.
    var text: String {
        var parts = [String(status)]
        if let scheme { parts.append("scheme \(Configuration.quoted(scheme))") }
        if let host { parts.append("host \(Configuration.quoted(host))") }
        if let port { parts.append("port \(port)") }
        if let path { parts.append("path \(Configuration.quoted(path))") }
        return parts.joined(separator: ", ")
    }
}
