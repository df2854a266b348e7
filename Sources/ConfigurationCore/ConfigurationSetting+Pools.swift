// SPDX-License-Identifier: Apache-2.0
//
// The settings of pools, backends, checks and the resolver; all of them change live.

import WireCore

extension PoolConfiguration {
    var settings: [ConfigurationSetting] {
        let path = "pools.\(Configuration.component(name))"
        var values: [(String, String)] = [("balance", balance.rawValue)]
        values += backends.map { backend in
            ("backends.\(Configuration.component(backend.name))", backend.text)
        }
        values += [
            ("send_proxy_protocol", sendsProxyHeader?.rawValue ?? "none"),
            ("tunnel_source", tunnelSource?.description ?? "none"),
            ("hash", hash.text),
            ("sticky", sticky?.text ?? "off"),
            ("panic_threshold", String(sharing.panicPercent)),
            ("overprovisioning", String(sharing.overprovisionPercent)),
            ("zone_aware", String(sharing.isZoneAware)),
            ("slow_start", slowStart?.text ?? "off"),
            ("health_check", healthCheck?.text ?? "none"),
            ("readiness_check", readinessCheck?.text ?? "none"),
            ("outlier_detection", outlierDetection?.text ?? "off"),
            ("cascade_guard", cascadeGuard?.text ?? "off"),
        ]
        values += limitValues
        return values.map { ConfigurationSetting("\(path).\($0)", $1, group: path) }
    }
}

extension BackendConfiguration {
    /// The backend in one line.
    var text: String {
        var parts = ["\(location), weight \(weight)"]
        if let zone { parts.append("zone \(zone)") }
        if priority != 0 { parts.append("priority \(priority)") }
        if let maxRequests { parts.append("max_requests \(maxRequests)") }
        if let maxConnections { parts.append("max_connections \(maxConnections)") }
        return parts.joined(separator: ", ")
    }
}

extension HashConfiguration {
    /// The settings in one line.
    var text: String {
        let name =
            switch key {
            case .client: "client"
            case .header(let name): "header:\(Configuration.quoted(name))"
            case .cookie(let name): "cookie:\(Configuration.quoted(name))"
            case .path: "path"
            case .tuple: "tuple"
            }
        return "key \(name), bound \(boundPercent.map { String($0) } ?? "off")"
    }
}

extension StickyConfiguration {
    /// The settings in one line.
    var text: String {
        let draining = "while_draining \(whileDraining)"
        let name = "\(mode.rawValue) \(Configuration.quoted(cookie))"
        let age = maxAge.map(DurationText.render) ?? "session"
        let place =
            "domain \(domain.map(Configuration.quoted) ?? "any"), path "
            + Configuration.quoted(path)
        return [
            name, "max_age \(age)", "secure \(isSecure)", "same_site \(sameSite.rawValue)", place,
            "forward \(forwards)", draining, "entries \(entriesMax)",
            "expire \(DurationText.render(expire))",
        ].joined(separator: ", ")
    }
}

extension SlowStartConfiguration {
    /// The settings in one line.
    var text: String {
        let aggression = DecimalText.render(aggressionPercent, places: 2)
        return "window \(DurationText.render(window)), aggression \(aggression), "
            + "min_percent \(minPercent)"
    }
}

extension HealthCheckConfiguration {
    /// The check in one line.
    var text: String {
        var parts = [
            probe.text, "interval \(DurationText.render(interval))",
            "timeout \(DurationText.render(timeout))", "fall \(fall)", "rise \(rise)",
            "fast_interval \(DurationText.render(fastInterval))",
            "down_interval \(DurationText.render(downInterval))", "jitter \(jitterPercent)",
        ]
        if let port { parts.append("port \(port)") }
        if !reusesConnection { parts.append("no reuse") }
        return parts.joined(separator: ", ")
    }
}

extension HealthCheckConfiguration.Probe {
    /// The probe in one line.
    fileprivate var text: String {
        switch self {
        case .http(let http): http.text
        case .tcp(let payload): "tcp\(payload.text)"
        case .grpc(let service): "grpc \(Configuration.quoted(service))"
        case .udp(let payload): "udp\(payload.text)"
        }
    }
}

extension HTTPProbe {
    /// The probe in one line.
    fileprivate var text: String {
        var parts = [
            "http \(method) \(Configuration.quoted(path))",
            "host \(host.map(Configuration.quoted) ?? "none")",
            "status \(StatusRangeText.render(statuses))",
        ]
        parts += headers.map {
            "header \(Configuration.quoted($0.name)): "
                + Configuration.valueText($0.value, of: $0.name)
        }
        if let body { parts.append("body \(Configuration.quoted(body))") }
        return parts.joined(separator: ", ")
    }
}

extension PayloadProbe {
    /// What is sent and expected; empty when nothing is.
    fileprivate var text: String {
        var text = ""
        if !send.isEmpty { text += " send \(PayloadText.render(send))" }
        if !expect.isEmpty { text += " expect \(PayloadText.render(expect))" }
        return text
    }
}

extension OutlierConfiguration {
    /// The settings in one line.
    var text: String {
        let factor = DecimalText.render(successRateFactorMilli, places: 3)
        return [
            "consecutive 5xx \(consecutiveServerErrors)", "gateway \(consecutiveGatewayErrors)",
            "local \(consecutiveLocalErrors)", "interval \(DurationText.render(interval))",
            "success_rate \(factor) of \(successRateHostsMin) with \(successRateRequestsMin)",
            "failure_percentage \(failurePercent) of \(failurePercentRequestsMin)",
            "ejection_time \(DurationText.render(ejectionTime)) to "
                + "\(DurationText.render(ejectionTimeMax)) \(growth.rawValue)",
            "max_ejected \(ejectedPercentMax)",
        ].joined(separator: ", ")
    }
}

extension CascadeConfiguration {
    /// The settings in one line.
    var text: String { "threshold \(thresholdPercent), window \(DurationText.render(window))" }
}

extension ResolverConfiguration {
    var settings: [ConfigurationSetting] {
        let names = servers.map(\.description).joined(separator: ", ")
        let values: [(String, String)] = [
            ("servers", servers.isEmpty ? "of the system" : names),
            ("timeout", DurationText.render(timeout)), ("tries", String(tries)),
            ("ttl_min", DurationText.render(ttlMin)), ("ttl_max", DurationText.render(ttlMax)),
            ("hold", DurationText.render(hold)),
        ]
        return values.map { ConfigurationSetting("dns.\($0)", $1) }
    }
}
