// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pools`.

import WireCore

extension ConfigurationReader {
    /// Key `pools`.
    mutating func pools(in top: Section) -> [PoolConfiguration] {
        guard let fields = named("pools", in: top) else { return [] }
        facts.pools = fields.map { Located(value: $0.name, range: $0.keyRange) }
        return fields.compactMap { pool($0) }
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
        let sendsProxyHeader = choice("send_proxy_protocol", in: section).flatMap {
            ProxyHeaderVersion(rawValue: $0)
        }
        let healthCheck = self.section(
            "health_check", title: "health_check of \(title)", in: section
        )
        .map { self.healthCheck(in: $0) }
        return PoolConfiguration(
            name: field.name, balance: balance ?? .leastTime, backends: backends,
            healthCheck: healthCheck, sendsProxyHeader: sendsProxyHeader)
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
        return HealthCheckConfiguration(
            probe: isTCP
                ? .tcp(PayloadProbe())
                : .http(HTTPProbe(path: path ?? Self.word("path", in: section), host: host)),
            interval: interval, timeout: timeout,
            fall: integerOrDefault("fall", in: section),
            rise: integerOrDefault("rise", in: section))
    }

    /// A host name.
    mutating func host(
        _ name: String, allowsWildcard: Bool, in section: Section
    ) -> Located<String>? {
        value(name, "host name", in: section) { text throws(ScalarProblem) in
            try NameText.host(text, allowsWildcard: allowsWildcard)
        }
    }

    /// A path or the beginning of one.
    mutating func urlPath(_ name: String, in section: Section) -> Located<String>? {
        value(name, "path", in: section) { text throws(ScalarProblem) in
            try NameText.check(urlPath: text)
            return text
        }
    }
}
