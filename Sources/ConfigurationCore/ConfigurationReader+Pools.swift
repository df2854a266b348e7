// SPDX-License-Identifier: Apache-2.0
//
// The keys of pools and backends; what belongs to checks, balancing and limits is read beside this.

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
                field.value, path: KeyTable.poolPath, title: title, range: field.keyRange)
        else { return nil }
        let balance = choice("balance", in: section).flatMap { BalancePolicy(rawValue: $0) }
        let backends = backends(in: section, pool: field.name)
        var pool = PoolConfiguration(
            name: field.name, balance: balance ?? .leastTime, backends: backends, healthCheck: nil)
        pool.sendsProxyHeader = choice("send_proxy_protocol", in: section).flatMap {
            ProxyHeaderVersion(rawValue: $0)
        }
        pool.tunnelSource = tunnelSource(in: section, of: pool)
        pool.hash = optionalSection("hash", in: section, absent: HashConfiguration()) {
            $0.hash(in: $1)
        }
        pool.sticky = switched("sticky", in: section, absent: nil, off: nil) { $0.sticky(in: $1) }
        pool.sharing = sharing(in: section)
        pool.slowStart = switched("slow_start", in: section, absent: nil, off: nil) {
            $0.slowStart(in: $1)
        }
        pool.healthCheck = check("health_check", in: section)
        pool.readinessCheck = check("readiness_check", in: section)
        pool.outlierDetection = switched(
            "outlier_detection", in: section, absent: OutlierConfiguration(), off: nil
        ) { $0.outlierDetection(in: $1) }
        pool.cascadeGuard = switched(
            "cascade_guard", in: section, absent: CascadeConfiguration(), off: nil
        ) { $0.cascadeGuard(in: $1) }
        readLimits(of: &pool, in: section)
        PoolReview.run(
            pool, hasBalance: section.fields["balance"] == nil || balance != nil, section, &self)
        return pool
    }

    private mutating func tunnelSource(
        in section: Section, of pool: PoolConfiguration
    ) -> IPAddress? {
        let source = value("tunnel_source", "address", in: section) {
            text throws(ScalarProblem) in try AddressText.ip(text)
        }
        guard let source else { return nil }
        facts.tunnelSources.append(
            ConfigurationFacts.TunnelSource(
                pool: pool.name, address: source,
                backends: pool.backends.compactMap(\.address?.address)))
        return source.value
    }

    /// What bounds the work of the pool.
    private mutating func readLimits(of pool: inout PoolConfiguration, in section: Section) {
        pool.limits = optionalSection("limits", in: section, absent: PoolLimits()) {
            $0.poolLimits(in: $1)
        }
        pool.queue = switched(
            "queue", in: section, absent: QueueConfiguration(),
            off: QueueConfiguration(length: 0)
        ) { $0.queue(in: $1) }
        pool.retries = switched(
            "retries", in: section, absent: RetryConfiguration(),
            off: RetryConfiguration(attempts: 0)
        ) { $0.retries(in: $1) }
        pool.hedging = switched("hedging", in: section, absent: nil, off: nil) {
            $0.hedging(in: $1)
        }
        pool.adaptiveConcurrency = switched(
            "adaptive_concurrency", in: section, absent: nil, off: nil
        ) { $0.adaptiveConcurrency(in: $1) }
        pool.drain = optionalSection("drain", in: section, absent: DrainConfiguration()) {
            $0.drain(in: $1)
        }
    }

    private mutating func backends(in section: Section, pool: String) -> [BackendConfiguration] {
        let fields = named("backends", in: section) ?? []
        let backends = fields.compactMap { backend($0, pool: pool) }
        if !backends.isEmpty, backends.count == fields.count,
            backends.allSatisfy({ $0.weight == 0 }), let field = section.fields["backends"]
        {
            error(
                field.keyRange, "every weight in \(Self.phrase("backends", in: section)) is 0",
                suggestion: "at least one backend must get requests")
        }
        return backends
    }

    private mutating func backend(_ field: Field, pool: String) -> BackendConfiguration? {
        guard
            let section = open(
                field.value, path: "\(KeyTable.poolPath).backends.NAME",
                title: "backend \(Quoted.text(field.name))", range: field.keyRange)
        else { return nil }
        let address = value("address", "address", in: section) { text throws(ScalarProblem) in
            try BackendAddressText.parse(text)
        }
        let weight = integerOrDefault("weight", in: section)
        let zone = name("zone", in: section)
        let priority = integerOrDefault("priority", in: section)
        let maxRequests = limitOrDefault("max_requests", in: section)
        let maxConnections = limitOrDefault("max_connections", in: section)
        if let zone { facts.backendZones.append(zone) }
        guard let address else { return nil }
        facts.backends.append(
            ConfigurationFacts.Backend(name: field.name, pool: pool, address: address))
        return BackendConfiguration(
            name: field.name, location: address.value, weight: weight, zone: zone?.value,
            priority: priority, maxRequests: maxRequests, maxConnections: maxConnections)
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
