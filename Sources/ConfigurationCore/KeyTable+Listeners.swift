// SPDX-License-Identifier: Apache-2.0
//
// The keys under `listeners`, except those of routes.

import WireCore

extension KeyTable {
    /// Bodies in the file, held in memory by every worker, stay small.
    static let bodyByteCountMax = 64 << 10

    /// Keys of a listener that only `protocol: http` knows.
    static let httpListenerKeys = [
        "routes", "trusted_proxies", "forwarded", "allow_trace", "path", "request_headers",
        "response_headers", "rate_limits", "error_pages", "carry_over",
    ]

    static let listeners: [KeyDescription] =
        listenerBasics + listenerLimits + listenerPath + headerEdits(under: "listeners.NAME")
        + rateLimits(under: "listeners.NAME") + errorPages

    private static let listenerBasics: [KeyDescription] = [
        KeyDescription(
            "listeners.NAME.bind", .endpoint, .required,
            "Address and port to accept on; a virtual address that the node does not hold is fine.",
            example: "bind: 0.0.0.0:80"),
        KeyDescription(
            "listeners.NAME.protocol", .choice(["http", "tcp"]), .word("http"),
            "http reads requests and routes them; tcp passes bytes to a pool, unread.",
            example: "protocol: tcp"),
        KeyDescription(
            "listeners.NAME.routes", .list(1...1_000), .expected("with protocol http"),
            "Which pool serves which requests; the first match wins.",
            example: "routes: [{ pool: web }]"),
        KeyDescription(
            "listeners.NAME.pool", .poolName, .optional("none; protocol tcp needs one"),
            "The pool that gets the connections of a listener with protocol tcp.",
            example: "pool: db"),
        KeyDescription(
            "listeners.NAME.proxy_protocol", .section, .optional("no PROXY headers are expected"),
            "Who begins connections with a PROXY header.",
            example: "proxy_protocol: { from: [10.0.0.0/8] }"),
        KeyDescription(
            "listeners.NAME.proxy_protocol.from", .networks(1...256), .required,
            "Peers that must begin each connection with a PROXY header, v1 or v2.",
            tooSmall: "leave out proxy_protocol to expect no header",
            tooLarge: "each new connection is compared with every network",
            example: "from: [10.0.0.0/8]"),
        KeyDescription(
            "listeners.NAME.trusted_proxies", .networks(1...256), .optional("nobody is believed"),
            "Peers whose X-Forwarded-*, Forwarded, X-Request-Id and traceparent are believed.",
            tooSmall: "leave the key out to believe nobody",
            tooLarge: "each new connection is compared with every network",
            example: "trusted_proxies: [10.0.0.0/8]"),
        KeyDescription(
            "listeners.NAME.forwarded", .boolean, .boolean(false),
            "Whether backends also get Forwarded (RFC 7239).",
            example: "forwarded: true"),
        KeyDescription(
            "listeners.NAME.allow_trace", .boolean, .boolean(false),
            "Whether TRACE is passed on instead of answered with 405.",
            example: "allow_trace: false"),
        KeyDescription(
            "listeners.NAME.carry_over", .choice(CarryOver.allCases.map(\.rawValue)),
            .word(CarryOver.off.rawValue),
            "Which connections to virtual addresses go on at the other node after a takeover.",
            example: "carry_over: requests"),
    ]

    private static let listenerLimits: [KeyDescription] = [
        KeyDescription(
            "listeners.NAME.limits", .section, .optional("no limits of its own"),
            "What the listener admits.",
            example: "limits: { connections: 10000, connections_per_client: 100 }"),
        KeyDescription(
            "listeners.NAME.limits.connections", .integer(1...1_000_000),
            .optional("the node's own limit only"),
            "Client connections at a time on the node; more wait in the kernel's queue.",
            tooSmall: "0 connections serve nobody",
            tooLarge: "the process has no descriptors for so many",
            example: "connections: 10000"),
        KeyDescription(
            "listeners.NAME.limits.connections_per_client", .integer(1...1_000_000),
            .optional("no limit"),
            "Connections of one address (IPv6: one /64) at a time; more are closed at once.",
            tooSmall: "0 connections serve nobody",
            tooLarge: "leave the key out for no limit",
            example: "connections_per_client: 100"),
    ]

    private static let listenerPath: [KeyDescription] = [
        KeyDescription(
            "listeners.NAME.path", .section, .optional("every setting at its default"),
            "How request paths are brought into one form before routing.",
            example: "path: { merge_slashes: true }"),
        KeyDescription(
            "listeners.NAME.path.dot_segments",
            .choice(PathConfiguration.DotSegments.allCases.map(\.rawValue)),
            .word(PathConfiguration.DotSegments.resolve.rawValue),
            "Dot segments are resolved, rejected with 400, or kept.",
            example: "dot_segments: reject"),
        KeyDescription(
            "listeners.NAME.path.encoded_slashes",
            .choice(PathConfiguration.EncodedSlashes.allCases.map(\.rawValue)),
            .word(PathConfiguration.EncodedSlashes.keep.rawValue),
            "%2F and %5C are kept encoded, rejected with 400, or %2F decoded.",
            example: "encoded_slashes: reject"),
        KeyDescription(
            "listeners.NAME.path.merge_slashes", .boolean, .boolean(false),
            "Whether // becomes /.",
            example: "merge_slashes: true"),
    ]

    private static let errorPages: [KeyDescription] = [
        KeyDescription(
            "listeners.NAME.error_pages", .statuses(1...200), .optional("built-in bodies"),
            "Bodies for answers the proxy gives itself, by status.",
            example: "error_pages: { 503: { body: \"<h1>Back soon</h1>\" } }"),
        KeyDescription(
            "listeners.NAME.error_pages.STATUS.content_type", .mediaType,
            .word("text/html; charset=utf-8"),
            "What the body is.",
            example: "content_type: \"text/html; charset=utf-8\""),
        KeyDescription(
            "listeners.NAME.error_pages.STATUS.body", .text(byteCountMax: bodyByteCountMax),
            .required,
            "The body.",
            example: "body: \"<h1>Back soon</h1>\""),
    ]

    /// The keys `request_headers` and `response_headers` of a listener or route.
    static func headerEdits(under parent: String) -> [KeyDescription] {
        let when =
            parent.hasSuffix("[]") ? "of the route, after those of its listener" : "of the listener"
        return [("request", "X-Debug"), ("response", "Server")].flatMap { kind, name in
            let path = "\(parent).\(kind)_headers"
            return [
                KeyDescription(
                    path, .section, .optional("nothing is changed"),
                    "Edits for every \(kind) \(when): remove, then set, then add.",
                    example: "\(kind)_headers: { set: { X-Edge: \"1\" } }"),
                KeyDescription(
                    "\(path).remove", .list(1...64), .optional("none"),
                    "Names of headers that are taken away.",
                    example: "remove: [\(name)]"),
                KeyDescription(
                    "\(path).set", .pairs(1...64), .optional("none"),
                    "Headers that replace every line of their name.",
                    example: "set: { X-Edge: \"1\" }"),
                KeyDescription(
                    "\(path).add", .pairs(1...64), .optional("none"),
                    "Headers that are added as a line of their own.",
                    example: "add: { X-Hop: a }"),
            ]
        }
    }

    /// The key `rate_limits` of a listener or route.
    static func rateLimits(under parent: String) -> [KeyDescription] {
        let path = "\(parent).rate_limits"
        return [
            KeyDescription(
                path, .list(1...16), .optional("no limit"),
                "Token buckets; every one of them must admit a request, else it is answered 429.",
                tooSmall: "leave the key out for no limit",
                tooLarge: "each request takes a token from every one",
                example: "rate_limits: [{ requests: 100, per: 1s, key: client }]"),
            KeyDescription(
                "\(path)[].requests", .integer(1...10_000_000), .required,
                "Requests that are admitted in each span \"per\" on average.",
                tooSmall: "a route that answers nobody needs respond: { status: 403 }",
                tooLarge: "no node serves so many",
                example: "requests: 100"),
            KeyDescription(
                "\(path)[].per", .duration(.milliseconds(1) ... .seconds(86_400), step: nil),
                .duration(.seconds(1)),
                "The span that \"requests\" counts in.",
                tooSmall: "the clock of the limits is no finer",
                tooLarge: "buckets are forgotten at every restart",
                example: "per: 1s"),
            KeyDescription(
                "\(path)[].burst", .integer(1...10_000_000), .optional("the same as requests"),
                "Requests that are admitted at once after a pause.",
                tooSmall: "an empty bucket admits nobody",
                tooLarge: "the limit never bites",
                example: "burst: 200"),
            KeyDescription(
                "\(path)[].key", .bucketKey, .word("client"),
                "What shares a bucket: a client address (IPv6: a /64), a header's value, or all.",
                example: "key: \"header:X-Api-Key\""),
        ]
    }
}
