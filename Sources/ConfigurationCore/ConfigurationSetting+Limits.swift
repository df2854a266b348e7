// SPDX-License-Identifier: Apache-2.0
//
// The settings of `timeouts`, `limits` and `access_log`; all of them change live.

import WireCore

extension TimeoutConfiguration {
    var settings: [ConfigurationSetting] {
        let values: [(String, TimeSpan)] = [
            ("proxy_header", proxyHeader), ("request_head", requestHead),
            ("keep_alive", keepAlive), ("body_idle", bodyIdle), ("body_grace", bodyGrace),
            ("connect", connect), ("response_head", responseHead), ("stream_idle", streamIdle),
            ("tunnel_idle", tunnelIdle), ("upstream_idle", upstreamIdle), ("drain", drain),
        ]
        return values.map { name, span in
            ConfigurationSetting("timeouts.\(name)", DurationText.render(span))
        }
    }
}

extension LimitConfiguration {
    var settings: [ConfigurationSetting] {
        let values: [(String, String)] = [
            ("header_fields", String(headerFields)),
            ("header_size", SizeText.render(headerByteCount)),
            ("uri_size", SizeText.render(uriByteCount)),
            ("body_size", bodyByteCount.map(SizeText.render) ?? "any"),
            ("body_rate_min", SizeText.render(bodyRateMin)),
            ("buffer_memory", SizeText.render(bufferByteCount)),
            ("requests_per_connection", requestsPerConnection.map { String($0) } ?? "any"),
        ]
        return values.map { ConfigurationSetting("limits.\($0)", $1) }
    }
}

extension AccessLogConfiguration {
    static func settings(_ log: AccessLogConfiguration?) -> [ConfigurationSetting] {
        guard let log else { return [ConfigurationSetting("access_log", "none")] }
        let file = log.file.map(Configuration.quoted) ?? "stderr"
        return [ConfigurationSetting("access_log", "\(file), format \(log.format.rawValue)")]
    }
}
