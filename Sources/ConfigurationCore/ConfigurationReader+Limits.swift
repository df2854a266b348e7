// SPDX-License-Identifier: Apache-2.0
//
// The keys `timeouts`, `limits` and `access_log`.

import WireCore

extension ConfigurationReader {
    /// Key `timeouts`.
    mutating func timeouts(in top: Section) -> TimeoutConfiguration {
        guard let section = section("timeouts", title: "timeouts", in: top) else {
            return TimeoutConfiguration()
        }
        return TimeoutConfiguration(
            proxyHeader: durationOrDefault("proxy_header", in: section),
            requestHead: durationOrDefault("request_head", in: section),
            keepAlive: durationOrDefault("keep_alive", in: section),
            bodyIdle: durationOrDefault("body_idle", in: section),
            bodyGrace: durationOrDefault("body_grace", in: section),
            connect: durationOrDefault("connect", in: section),
            responseHead: durationOrDefault("response_head", in: section),
            streamIdle: durationOrDefault("stream_idle", in: section),
            tunnelIdle: durationOrDefault("tunnel_idle", in: section),
            upstreamIdle: durationOrDefault("upstream_idle", in: section),
            drain: durationOrDefault("drain", in: section))
    }

    /// Key `limits`.
    mutating func limits(in top: Section) -> LimitConfiguration {
        guard let section = section("limits", title: "limits", in: top) else {
            return LimitConfiguration()
        }
        let limits = LimitConfiguration(
            headerFields: integerOrDefault("header_fields", in: section),
            headerByteCount: sizeOrDefault("header_size", in: section),
            uriByteCount: sizeOrDefault("uri_size", in: section),
            bodyByteCount: size("body_size", in: section)?.value,
            bodyRateMin: sizeOrDefault("body_rate_min", in: section),
            bufferByteCount: sizeOrDefault("buffer_memory", in: section),
            requestsPerConnection: integer("requests_per_connection", in: section)?.value)
        if limits.uriByteCount >= limits.headerByteCount,
            let field = section.fields["uri_size"] ?? section.fields["header_size"]
        {
            let sizes =
                "uri_size \(SizeText.render(limits.uriByteCount)), "
                + "header_size \(SizeText.render(limits.headerByteCount))"
            warning(
                field.value.range, "a target as long as uri_size never fits a head (\(sizes))",
                suggestion: "make uri_size smaller than header_size")
        }
        return limits
    }

    /// Key `access_log`.
    mutating func accessLog(in top: Section) -> AccessLogConfiguration? {
        guard let section = section("access_log", title: "access_log", in: top) else { return nil }
        let format = AccessLogConfiguration.Format(
            rawValue: choiceOrDefault("format", in: section))
        guard case .logFile(let byteCountMax) = KeyTable.key("access_log.file").form else {
            preconditionFailure("access_log.file is no log file")
        }
        let file = value("file", "path", in: section) { text throws(ScalarProblem) -> String? in
            if text == "stderr" { return nil }
            if ["stdout", "-", "STDERR", "/dev/stderr", "/dev/stdout"].contains(text) {
                throw .didYouMean("the standard stream for logs is called stderr", "stderr")
            }
            try NameText.check(filePath: text, byteCountMax: byteCountMax)
            if text.hasSuffix("/") {
                throw .didYouMean("this is a directory", "\(text)access.log")
            }
            return text
        }
        guard let file else { return nil }
        return AccessLogConfiguration(file: file.value, format: format ?? .json)
    }
}
