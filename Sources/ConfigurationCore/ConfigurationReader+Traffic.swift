// SPDX-License-Identifier: Apache-2.0
//
// The keys under `listeners` and `pools`.

import WireCore

extension ConfigurationReader {
    /// Key `listeners`.
    mutating func listeners(in top: Section) -> [ListenerConfiguration] {
        guard let fields = named("listeners", in: top) else {
            facts.hasUnreadableRoutes = true
            return []
        }
        return fields.compactMap { listener($0) }
    }

    /// Key `pools`.
    mutating func pools(in top: Section) -> [PoolConfiguration] {
        guard let fields = named("pools", in: top) else { return [] }
        facts.pools = fields.map { Located(value: $0.name, range: $0.keyRange) }
        return fields.compactMap { pool($0) }
    }

    private mutating func listener(_ field: Field) -> ListenerConfiguration? {
        let title = "listener \(Quoted.text(field.name))"
        guard
            let section = open(
                field.value, path: "listeners.NAME", title: title, range: field.keyRange)
        else {
            facts.hasUnreadableRoutes = true
            return nil
        }
        let bind = value("bind", "address", in: section) { text throws(ScalarProblem) in
            let endpoint = try AddressText.endpoint(text)
            if case .v4(let address) = endpoint.address, address.isMulticast {
                throw ScalarProblem("this is a multicast address")
            }
            return endpoint
        }
        if let bind {
            facts.sockets.append(
                ConfigurationFacts.Socket(owner: title, endpoint: bind.value, range: bind.range))
        }
        let entries = list("routes", in: section)
        if entries == nil { facts.hasUnreadableRoutes = true }
        let routes = (entries ?? []).enumerated().compactMap { index, entry in
            route(entry, number: index + 1, listener: field.name)
        }
        guard let bind else { return nil }
        return ListenerConfiguration(name: field.name, bind: bind.value, routes: routes)
    }

    private mutating func route(
        _ node: ConfigurationNode, number: Int, listener: String
    ) -> RouteConfiguration? {
        let title = "route \(number) of listener \(Quoted.text(listener))"
        guard
            let section = open(
                node, path: "listeners.NAME.routes[]", title: title, range: node.range)
        else {
            facts.hasUnreadableRoutes = true
            return nil
        }
        let pool = value("pool", "name", in: section) { text throws(ScalarProblem) in
            try NameText.check(name: text)
            return text
        }
        if let pool {
            facts.poolReferences.append(pool)
        } else {
            facts.hasUnreadableRoutes = true
        }
        var host: String?
        var pathPrefix: String?
        var isReadable = true
        if section.fields["match"] != nil {
            let match = self.section("match", title: "match of \(title)", in: section)
            host = match.flatMap { self.host("host", allowsWildcard: true, in: $0)?.value }
            pathPrefix = match.flatMap { urlPath("path_prefix", in: $0)?.value }
            isReadable =
                (host != nil) == (match?.fields["host"] != nil)
                && (pathPrefix != nil) == (match?.fields["path_prefix"] != nil) && match != nil
            if isReadable, host == nil, pathPrefix == nil {
                error(
                    section.fields["match"]?.keyRange ?? node.range,
                    "match of \(title) has no condition",
                    suggestion: "remove \"match\" to take every request")
            }
        }
        if isReadable {
            let range = section.fields["match"]?.keyRange ?? section.fields["pool"]?.keyRange
            facts.routes.append(
                ConfigurationFacts.Route(
                    listener: listener, host: host, pathPrefix: pathPrefix,
                    range: range ?? node.range))
        }
        guard let pool else { return nil }
        return RouteConfiguration(host: host, pathPrefix: pathPrefix, pool: pool.value)
    }

    private mutating func pool(_ field: Field) -> PoolConfiguration? {
        let title = "pool \(Quoted.text(field.name))"
        guard
            let section = open(
                field.value, path: "pools.NAME", title: title, range: field.keyRange)
        else { return nil }
        let balance = BalancePolicy(rawValue: choiceOrDefault("balance", in: section))
        let backends = (named("backends", in: section) ?? []).compactMap {
            backend($0, pool: field.name)
        }
        let healthCheck = self.section(
            "health_check", title: "health_check of \(title)", in: section
        )
        .map { self.healthCheck(in: $0) }
        return PoolConfiguration(
            name: field.name, balance: balance ?? .leastTime, backends: backends,
            healthCheck: healthCheck)
    }

    private mutating func backend(_ field: Field, pool: String) -> BackendConfiguration? {
        guard
            let section = open(
                field.value, path: "pools.NAME.backends.NAME",
                title: "backend \(Quoted.text(field.name))", range: field.keyRange)
        else { return nil }
        let address = value("address", "address", in: section) { text throws(ScalarProblem) in
            let endpoint = try AddressText.endpoint(text)
            if endpoint.address.isAny {
                throw ScalarProblem("\(endpoint.address) is no host's address")
            }
            if case .v4(let address) = endpoint.address, address.isMulticast {
                throw ScalarProblem("this is a multicast address")
            }
            return endpoint
        }
        let weight = integerOrDefault("weight", in: section)
        guard let address else { return nil }
        facts.backends.append(
            ConfigurationFacts.Backend(name: field.name, pool: pool, address: address))
        return BackendConfiguration(name: field.name, address: address.value, weight: weight)
    }

    private mutating func healthCheck(in section: Section) -> HealthCheckConfiguration {
        let isTCP = choiceOrDefault("type", in: section) == "tcp"
        let path = urlPath("path", in: section)?.value
        let host = host("host", allowsWildcard: false, in: section)?.value
        for name in ["path", "host"] where isTCP {
            guard let field = section.fields[name] else { continue }
            error(
                field.keyRange, "\"\(name)\" in \(section.title ?? "") has no meaning for type tcp",
                suggestion: "remove it, or write type: http")
        }
        let interval = durationOrDefault("interval", in: section)
        let timeout = durationOrDefault("timeout", in: section)
        if timeout > interval,
            let field = section.fields["timeout"] ?? section.fields["interval"]
        {
            let spans = "\(DurationText.render(timeout)), interval \(DurationText.render(interval))"
            diagnostics.add(
                Diagnostic(
                    .warning, field.value.range,
                    "a probe may outlast the time to the next one (timeout \(spans))",
                    suggestion: "make timeout at most interval"))
        }
        let defaultPath = KeyTable.key("pools.NAME.health_check.path").presence
        return HealthCheckConfiguration(
            probe: isTCP ? .tcp : .http(path: path ?? Self.word(defaultPath), host: host),
            interval: interval, timeout: timeout,
            fall: integerOrDefault("fall", in: section),
            rise: integerOrDefault("rise", in: section))
    }

    private mutating func host(
        _ name: String, allowsWildcard: Bool, in section: Section
    ) -> Located<String>? {
        value(name, "host name", in: section) { text throws(ScalarProblem) in
            try NameText.host(text, allowsWildcard: allowsWildcard)
        }
    }

    private mutating func urlPath(_ name: String, in section: Section) -> Located<String>? {
        value(name, "path", in: section) { text throws(ScalarProblem) in
            try NameText.check(urlPath: text)
            return text
        }
    }

    private static func word(_ presence: KeyDescription.Presence) -> String {
        guard case .word(let word) = presence else { preconditionFailure("no default word") }
        return word
    }
}
