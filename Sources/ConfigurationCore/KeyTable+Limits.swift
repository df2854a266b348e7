// SPDX-License-Identifier: Apache-2.0
//
// The keys under `timeouts`, `limits` and `access_log`.

import WireCore

extension KeyTable {
    static let limits: [KeyDescription] = [
        KeyDescription(
            "limits.header_fields", .integer(10...1_000), .integer(100),
            "Field lines in the head of a request or response.",
            tooSmall: "browsers behind other proxies send 20 to 40",
            tooLarge: "each line costs a comparison at every rule",
            example: "header_fields: 100"),
        KeyDescription(
            "limits.header_size", .size(4 << 10...64 << 10), .size(64 << 10),
            "Bytes of a whole head.",
            tooSmall: "requests with large cookies are answered 431",
            tooLarge: "each unfinished head holds that much memory",
            example: "header_size: 32KiB"),
        KeyDescription(
            "limits.uri_size", .size(256...32 << 10), .size(8 << 10),
            "Bytes of a request target.",
            tooSmall: "searches with long queries are answered 414",
            tooLarge: "backends with smaller limits answer what this node let through",
            example: "uri_size: 8KiB"),
        KeyDescription(
            "limits.body_size", .size(0...1 << 40), .optional("any size"),
            "Bytes of a request body; more is answered 413.",
            tooSmall: "uploads are answered 413",
            tooLarge: "leave the key out to take any size",
            example: "body_size: 10MiB"),
        KeyDescription(
            "limits.body_rate_min", .size(0...1 << 30), .size(500),
            "Bytes a second that a client must send or take on average; 0B turns it off.",
            tooSmall: "0B turns it off",
            tooLarge: "clients on ordinary networks are cut off",
            example: "body_rate_min: 500B"),
        KeyDescription(
            "limits.buffer_memory", .size(8 << 20...64 << 30), .size(256 << 20),
            "Bytes of all buffers of the node; requests that would need more are answered 503.",
            tooSmall: "a few slow clients make the node answer 503",
            tooLarge: "the kernel kills the process before the limit is met",
            example: "buffer_memory: 256MiB"),
        KeyDescription(
            "limits.requests_per_connection", .integer(1...10_000_000), .optional("no limit"),
            "A client connection closes after so many requests.",
            tooSmall: "0 requests serve nobody",
            tooLarge: "leave the key out for no limit",
            example: "requests_per_connection: 1000"),
    ]

    static let accessLog: [KeyDescription] = [
        KeyDescription(
            "access_log.file", .logFile(byteCountMax: 4_095), .required,
            "stderr, or a file that is opened for appending, and anew on each reload.",
            example: "file: /var/log/tandem/access.log"),
        KeyDescription(
            "access_log.format", .choice(AccessLogConfiguration.Format.allCases.map(\.rawValue)),
            .word(AccessLogConfiguration.Format.json.rawValue),
            "What a line looks like: JSON, or NCSA Common or Combined Log Format.",
            example: "format: json"),
    ]

    static let timeouts: [KeyDescription] = [
        timeout(
            "proxy_header", .seconds(3), "A PROXY header must arrive within this time.",
            tooSmall: "a connection whose header comes in a later packet is closed",
            tooLarge: "whatever connects and says nothing holds a connection"),
        timeout(
            "request_head", .seconds(10), "A whole request head must arrive within this time.",
            tooSmall: "clients on slow networks are cut off",
            tooLarge: "clients that send a byte at a time hold connections"),
        timeout(
            "keep_alive", .seconds(60), "A client connection may idle between requests.",
            tooSmall: "clients connect again for every page",
            tooLarge: "idle clients hold memory"),
        timeout(
            "body_idle", .seconds(60), "A body may make no progress for this long.",
            tooSmall: "slow uploads and long polls are cut off",
            tooLarge: "a stuck transfer holds two connections"),
        timeout(
            "body_grace", .seconds(20), "limits.body_rate_min counts after this time of a body.",
            tooSmall: "transfers that start slowly are cut off",
            tooLarge: "slow clients hold connections for that long at least"),
        timeout(
            "connect", .seconds(3), "A backend must accept a connection within this time.",
            tooSmall: "one lost SYN (sent again after 1 s) fails the attempt",
            tooLarge: "the retry on another backend comes too late to help"),
        timeout(
            "response_head", .seconds(30), "A backend must begin its response within this time.",
            tooSmall: "slow pages become 504",
            tooLarge: "clients wait for a backend that hangs"),
        timeout(
            "stream_idle", .seconds(300), "A backend may be silent within a response body.",
            tooSmall: "event streams without heartbeats are cut off",
            tooLarge: "a backend that hangs within a body holds its client"),
        timeout(
            "tunnel_idle", .seconds(3_600),
            "A tunnel (protocol tcp, WebSocket) may be silent in both directions.",
            tooSmall: "quiet database sessions and WebSockets are cut off",
            tooLarge: "peers that vanished without a word hold connections"),
        timeout(
            "upstream_idle", .seconds(50), "An unused upstream connection is kept for this long.",
            tooSmall: "more requests pay for a new connection",
            tooLarge: "backends that close first make requests fail; stay below their own limit"),
        timeout(
            "drain", .seconds(30), "Requests in flight may finish after SIGTERM.",
            tooSmall: "long downloads are cut when the node leaves",
            tooLarge: "a stopped node takes that long to end"),
    ]

    private static func timeout(
        _ name: String, _ value: TimeSpan, _ meaning: String, tooSmall: String, tooLarge: String
    ) -> KeyDescription {
        KeyDescription(
            "timeouts.\(name)", .duration(.milliseconds(10) ... .seconds(86_400), step: nil),
            .duration(value), meaning, tooSmall: tooSmall, tooLarge: tooLarge,
            example: "\(name): \(DurationText.render(value))")
    }
}
