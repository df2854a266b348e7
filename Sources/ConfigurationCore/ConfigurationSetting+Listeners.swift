// SPDX-License-Identifier: Apache-2.0
//
// The settings of listeners. What is not written has no setting, so that the list stays short;
// every value that is written has one.

import WireCore

extension ListenerConfiguration {
    var settings: [ConfigurationSetting] {
        let path = "listeners.\(Configuration.component(name))"
        var values: [(String, String)] = []
        if !proxyProtocolSources.isEmpty {
            values.append(("proxy_protocol.from", Self.text(proxyProtocolSources)))
        }
        if let connections = limits.connections {
            values.append(("limits.connections", String(connections)))
        }
        if let connections = limits.connectionsPerClient {
            values.append(("limits.connections_per_client", String(connections)))
        }
        var settings = [
            ConfigurationSetting(
                "\(path).bind", bind.description, needsRestart: true, group: path)
        ]
        switch service {
        case .tcp(let pool):
            // What a connection is cannot change under it.
            settings.append(
                ConfigurationSetting("\(path).protocol", "tcp", needsRestart: true, group: path))
            values.append(("pool", Configuration.quoted(pool)))
        case .http(let http):
            settings.append(
                ConfigurationSetting("\(path).protocol", "http", needsRestart: true, group: path))
            values += http.values
        }
        return settings
            + values.map { ConfigurationSetting("\(path).\($0)", $1, group: path) }
    }

    /// Networks in one line; their order means nothing.
    fileprivate static func text(_ networks: [IPNetwork]) -> String {
        networks.map(\.description).sorted().joined(separator: ", ")
    }
}

extension HTTPListenerConfiguration {
    /// Keys below the listener with their values.
    fileprivate var values: [(String, String)] {
        var values: [(String, String)] = []
        if !trustedProxies.isEmpty {
            values.append(("trusted_proxies", ListenerConfiguration.text(trustedProxies)))
        }
        values += [
            ("forwarded", String(sendsForwarded)), ("allow_trace", String(allowsTrace)),
            ("path.dot_segments", path.dotSegments.rawValue),
            ("path.encoded_slashes", path.encodedSlashes.rawValue),
            ("path.merge_slashes", String(path.mergesSlashes)),
            ("carry_over", carryOver.rawValue),
        ]
        if !requestHeaders.isEmpty { values.append(("request_headers", requestHeaders.text)) }
        if !responseHeaders.isEmpty { values.append(("response_headers", responseHeaders.text)) }
        for (index, limit) in rateLimits.enumerated() {
            values.append(("rate_limits[\(index + 1)]", limit.text))
        }
        for page in errorPages {
            let type = Configuration.quoted(page.contentType)
            let body = Configuration.bodyText(page.body)
            values.append(("error_pages.\(page.status)", "\(type), \(body)"))
        }
        for (index, route) in routes.enumerated() {
            values.append(("routes[\(index + 1)]", route.text))
        }
        return values
    }
}

extension HeaderEdits {
    /// The edits in one line.
    var text: String {
        var parts: [String] = []
        if !remove.isEmpty {
            parts.append("remove \(remove.map(Configuration.quoted).joined(separator: ", "))")
        }
        for (verb, headers) in [("set", set), ("add", add)] where !headers.isEmpty {
            let pairs = headers.map {
                "\(Configuration.quoted($0.name)): "
                    + Configuration.valueText($0.value, of: $0.name)
            }
            parts.append("\(verb) \(pairs.joined(separator: ", "))")
        }
        return parts.joined(separator: "; ")
    }
}

extension RateLimitConfiguration {
    /// The limit in one line.
    var text: String {
        let name =
            switch key {
            case .client: "client"
            case .route: "route"
            case .header(let name): "header:\(Configuration.quoted(name))"
            }
        return "\(requests) per \(DurationText.render(per)), burst \(burst), key \(name)"
    }
}

extension Configuration {
    /// What names of secret values have in them.
    private static let secretMarks = [
        "auth", "cookie", "key", "password", "secret", "session", "token",
    ]

    /// The value of a header or cookie; one that is likely a secret stays out of logs and status,
    /// only its fingerprint shows that it changed.
    static func valueText(_ value: String, of name: String) -> String {
        let name = HeaderText.lowercased(name)
        guard secretMarks.contains(where: name.contains) else { return quoted(value) }
        let hash = ConfigurationHash(rawValue: ConfigurationHash.fingerprint(value.utf8))
        return "hidden (\(hash))"
    }

    /// A body by its length and fingerprint: a change is seen without printing a page.
    static func bodyText(_ body: String) -> String {
        let hash = ConfigurationHash(rawValue: ConfigurationHash.fingerprint(body.utf8))
        return "body of \(body.utf8.count) bytes (\(hash))"
    }
}
