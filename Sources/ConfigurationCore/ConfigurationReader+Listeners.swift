// SPDX-License-Identifier: Apache-2.0
//
// The keys under `listeners`, except those of routes.

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
        let service =
            isTCP(section)
            ? tcpService(in: section)
            : .http(httpService(in: section, name: field.name, bind: bind?.value))
        let sources = self.section(
            "proxy_protocol", title: "proxy_protocol of \(title)", in: section
        ).map { networks("from", in: $0) }
        let limits = listenerLimits(in: section)
        guard let bind, let service else { return nil }
        return ListenerConfiguration(
            name: field.name, bind: bind.value, service: service,
            proxyProtocolSources: sources ?? [], limits: limits)
    }

    /// Whether the listener speaks TCP; of an unreadable `protocol`, what the other keys say.
    private mutating func isTCP(_ section: Section) -> Bool {
        if let word = choice("protocol", in: section) { return word == "tcp" }
        return section.fields["protocol"] != nil && section.fields["routes"] == nil
            && section.fields["pool"] != nil
    }

    private mutating func tcpService(in section: Section) -> ListenerService? {
        for name in KeyTable.httpListenerKeys {
            guard let field = section.fields[name] else { continue }
            reportMeaningless(
                field, in: section, because: "for protocol tcp",
                suggestion: name == "routes" && section.fields["pool"] == nil
                    ? "write pool: NAME" : "remove it, or write protocol: http")
        }
        guard section.fields["pool"] != nil else {
            if section.fields["routes"] == nil { reportMissing("pool", in: section) }
            facts.hasUnreadableRoutes = true
            return nil
        }
        guard let pool = poolName("pool", in: section) else { return nil }
        if let range = section.fields["pool"]?.value.range {
            facts.tcpPools.append(Located(value: pool, range: range))
        }
        return .tcp(pool: pool)
    }

    private mutating func httpService(
        in section: Section, name: String, bind: Endpoint?
    ) -> HTTPListenerConfiguration {
        let title = section.title ?? ""
        if let field = section.fields["pool"] {
            reportMeaningless(
                field, in: section, because: "for protocol http",
                suggestion: section.fields["routes"] == nil
                    ? "write routes: [{ pool: NAME }], or protocol: tcp"
                    : "remove it, or write protocol: tcp")
            // It may have been meant as the use of a pool.
            facts.hasUnreadableRoutes = true
        }
        let allowsTrace = booleanOrDefault("allow_trace", in: section)
        let path = pathConfiguration(in: section, title: title)
        let requestHeaders = headerEdits(.request, in: section)
        let responseHeaders = headerEdits(.response, in: section)
        let place = RoutePlace(
            listener: name, port: bind?.port, path: path, allowsTrace: allowsTrace,
            requestHeaders: requestHeaders, responseHeaders: responseHeaders)
        let earlier = facts.poolReferences.count
        let routes = routes(in: section, place)
        let pools = Set(facts.poolReferences[earlier...].map(\.value))
        return HTTPListenerConfiguration(
            routes: routes,
            trustedProxies: trustedProxies(in: section),
            sendsForwarded: booleanOrDefault("forwarded", in: section),
            path: path, allowsTrace: allowsTrace,
            requestHeaders: requestHeaders, responseHeaders: responseHeaders,
            rateLimits: rateLimits(in: section), errorPages: errorPages(in: section),
            carryOver: carryOver(in: section, bind: bind, pools: pools))
    }

    private mutating func carryOver(
        in section: Section, bind: Endpoint?, pools: Set<String>
    ) -> CarryOver {
        let carryOver = CarryOver(rawValue: choiceOrDefault("carry_over", in: section)) ?? .off
        if carryOver != .off, let field = section.fields["carry_over"] {
            facts.carryOvers.append(
                ConfigurationFacts.CarriedListener(
                    listener: section.title ?? "", bind: bind, range: field.value.range,
                    level: carryOver, pools: pools))
        }
        return carryOver
    }

    private mutating func routes(in section: Section, _ place: RoutePlace) -> [RouteConfiguration] {
        if section.fields["routes"] == nil, section.fields["pool"] == nil {
            reportMissing("routes", in: section)
        }
        guard let entries = list("routes", in: section) else {
            facts.hasUnreadableRoutes = true
            return []
        }
        return entries.enumerated().compactMap { index, entry in
            route(entry, number: index + 1, place)
        }
    }

    private mutating func pathConfiguration(
        in section: Section, title: String
    ) -> PathConfiguration {
        guard let path = self.section("path", title: "path of \(title)", in: section) else {
            return PathConfiguration()
        }
        let dotSegments = choiceOrDefault("dot_segments", in: path)
        let encodedSlashes = choiceOrDefault("encoded_slashes", in: path)
        return PathConfiguration(
            dotSegments: PathConfiguration.DotSegments(rawValue: dotSegments) ?? .resolve,
            encodedSlashes: PathConfiguration.EncodedSlashes(rawValue: encodedSlashes) ?? .keep,
            mergesSlashes: booleanOrDefault("merge_slashes", in: path))
    }

    private mutating func listenerLimits(in section: Section) -> ListenerLimits {
        let title = "limits of \(section.title ?? "")"
        guard let limits = self.section("limits", title: title, in: section) else {
            return ListenerLimits()
        }
        let connections = integer("connections", in: limits)
        let perClient = integer("connections_per_client", in: limits)
        if let connections, let perClient, perClient.value > connections.value {
            warning(
                perClient.range,
                "connections_per_client \(perClient.value) is more than connections "
                    + "\(connections.value)",
                suggestion: "one client may take every connection; make it smaller",
                notes: [Diagnostic.Note(range: connections.range, message: "connections is here")])
        }
        return ListenerLimits(
            connections: connections?.value, connectionsPerClient: perClient?.value)
    }

    private mutating func trustedProxies(in section: Section) -> [IPNetwork] {
        let networks = networks("trusted_proxies", in: section)
        if let field = section.fields["trusted_proxies"],
            networks.contains(where: { $0.prefixLength == 0 })
        {
            warning(
                field.keyRange, "trusted_proxies of \(section.title ?? "") trusts everybody",
                suggestion: "any client can claim any address; name the proxies' networks")
        }
        return networks
    }

    /// A list of networks; one that lies in another is pointed out.
    private mutating func networks(_ name: String, in section: Section) -> [IPNetwork] {
        let nodes = list(name, in: section) ?? []
        let place = "\"\(name)\" in \(section.title ?? "")"
        var networks: [Located<IPNetwork>] = []
        for node in nodes {
            let located = value(node, "network", for: place) { text throws(ScalarProblem) in
                try NetworkText.parse(text)
            }
            guard let located else { continue }
            if let other = networks.first(where: { $0.value.overlaps(located.value) }) {
                let isSame = other.value == located.value
                let isWider = other.value.prefixLength <= located.value.prefixLength
                let (inner, outer) =
                    isWider ? (located.value, other.value) : (other.value, located.value)
                warning(
                    located.range,
                    isSame ? "\(inner) is listed twice" : "\(inner) lies in \(outer)",
                    suggestion: isSame ? "remove one" : "\(outer) alone is enough",
                    notes: [Diagnostic.Note(range: other.range, message: "the first is here")])
            }
            networks.append(located)
        }
        return networks.map(\.value)
    }

    /// Reports a key that another key of its mapping makes pointless.
    mutating func reportMeaningless(
        _ field: Field, in section: Section, because reason: String, suggestion: String
    ) {
        error(
            field.keyRange,
            "\"\(field.name)\" of \(section.title ?? "the file") has no meaning \(reason)",
            suggestion: suggestion)
    }
}

extension IPNetwork {
    /// True when one of the two lies in the other.
    fileprivate func overlaps(_ other: IPNetwork) -> Bool {
        guard address.bitWidth == other.address.bitWidth else { return false }
        let length = min(prefixLength, other.prefixLength)
        return address.masked(prefixLength: length) == other.address.masked(prefixLength: length)
    }
}
