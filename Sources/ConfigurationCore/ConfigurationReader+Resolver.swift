// SPDX-License-Identifier: Apache-2.0
//
// The key `dns`.

import WireCore

extension ConfigurationReader {
    /// Key `dns`.
    mutating func resolver(in top: Section) -> ResolverConfiguration {
        optionalSection("dns", in: top, absent: ResolverConfiguration()) { $0.resolver(of: $1) }
    }

    private mutating func resolver(of section: Section) -> ResolverConfiguration {
        let servers = servers(in: section)
        let resolver = ResolverConfiguration(
            servers: servers, timeout: durationOrDefault("timeout", in: section),
            tries: integerOrDefault("tries", in: section),
            ttlMin: durationOrDefault("ttl_min", in: section),
            ttlMax: durationOrDefault("ttl_max", in: section),
            hold: durationOrDefault("hold", in: section))
        if resolver.ttlMin > resolver.ttlMax,
            let field = section.fields["ttl_min"] ?? section.fields["ttl_max"]
        {
            error(
                field.value.range,
                "ttl_min \(DurationText.render(resolver.ttlMin)) is longer than ttl_max "
                    + DurationText.render(resolver.ttlMax),
                suggestion: "make ttl_max at least as long")
        }
        return resolver
    }

    private mutating func servers(in section: Section) -> [Endpoint] {
        var servers: [Located<Endpoint>] = []
        for node in list("servers", in: section) ?? [] {
            let server = value(node, "address", for: "\"servers\" in \(section.title ?? "")") {
                text throws(ScalarProblem) -> Endpoint in
                if let address = IPv4Address(text) {
                    return Endpoint(address: .v4(address), port: Self.dnsPort)
                }
                if let address = IPv6Address(text) {
                    return Endpoint(address: .v6(address), port: Self.dnsPort)
                }
                return try AddressText.endpoint(text, assuming: .loopback)
            }
            guard let server else { continue }
            if let first = servers.first(where: { $0.value == server.value }) {
                warning(
                    server.range, "\(server.value) is listed twice", suggestion: "remove one",
                    notes: [Diagnostic.Note(range: first.range, message: "the first is here")])
                continue
            }
            servers.append(server)
        }
        return servers.map(\.value)
    }

    /// RFC 1035 section 4.2.
    private static let dnsPort: UInt16 = 53
}
