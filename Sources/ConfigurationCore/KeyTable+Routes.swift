// SPDX-License-Identifier: Apache-2.0
//
// The keys under `listeners.NAME.routes`.

import WireCore

extension KeyTable {
    /// The place of a route in the table.
    static let routePath = "listeners.NAME.routes[]"

    /// The keys of which a route has exactly one.
    static let routeActions = ["pool", "pools", "redirect", "respond"]

    static let routes: [KeyDescription] =
        match + actions + redirect + respond + changes
        + headerEdits(under: routePath) + rateLimits(under: routePath)

    private static let match: [KeyDescription] =
        [
            KeyDescription(
                "\(routePath).match", .section, .optional("every request"),
                "Which requests the route takes; all conditions must hold.",
                example: "match: { host: www.example.org, path_prefix: /api/ }"),
            KeyDescription(
                "\(routePath).match.host", .hostName, .optional("every host"),
                "Host name in the request; *.example.org takes one or more labels in front.",
                example: "host: www.example.org"),
            KeyDescription(
                "\(routePath).match.path_prefix", .urlPath, .optional("every path"),
                "How the request's path begins.",
                example: "path_prefix: /api/"),
            KeyDescription(
                "\(routePath).match.path", .urlPath, .optional("every path"),
                "The request's whole path, without query.",
                example: "path: /login"),
            KeyDescription(
                "\(routePath).match.methods", .list(1...32), .optional("every method"),
                "Methods, any of them; upper and lower case differ (RFC 9110 section 9.1).",
                example: "methods: [GET, HEAD]"),
        ]
        + conditions(
            "headers", "Headers and their values; one of several lines of a name is enough.",
            "X-Canary: \"true\"")
        + conditions(
            "query", "Parameters of the query and their values, percent-decoded.", "v: \"2\"")
        + conditions("cookies", "Cookies and their values.", "beta: \"1\"")

    private static func conditions(
        _ name: String, _ meaning: String, _ example: String
    ) -> [KeyDescription] {
        let path = "\(routePath).match.\(name)"
        return [
            KeyDescription(
                path, .pairs(1...16), .optional("no condition"), meaning,
                example: "\(name): { \(example) }"),
            KeyDescription(
                "\(path).NAME.present", .choice(["true"]), .required,
                "Any value will do.",
                example: "present: true"),
        ]
    }

    private static let actions: [KeyDescription] = [
        KeyDescription(
            "\(routePath).pool", .poolName, .expected("unless pools, redirect or respond is there"),
            "The pool that serves the route.",
            example: "pool: web"),
        KeyDescription(
            "\(routePath).pools", .shares(1...32), .optional("see pool"),
            "Pools and their weights, 0 to 1000000; each request goes to one of them.",
            example: "pools: { web: 95, canary: 5 }"),
        KeyDescription(
            "\(routePath).redirect", .section, .optional("see pool"),
            "Sends the client elsewhere.",
            example: "redirect: { scheme: https }"),
        KeyDescription(
            "\(routePath).respond", .section, .optional("see pool"),
            "Answers without a backend.",
            example: "respond: { status: 404 }"),
    ]

    private static let redirect: [KeyDescription] = [
        KeyDescription(
            "\(routePath).redirect.status", .choice(["301", "302", "303", "307", "308"]),
            .word("308"),
            "301 and 308 are permanent; 307 and 308 keep method and body.",
            example: "status: 308"),
        KeyDescription(
            "\(routePath).redirect.scheme", .choice(["http", "https"]),
            .optional("the request's"),
            "The scheme to go to.",
            example: "scheme: https"),
        KeyDescription(
            "\(routePath).redirect.host", .hostName, .optional("the request's"),
            "The host to go to.",
            example: "host: www.example.org"),
        KeyDescription(
            "\(routePath).redirect.port", .integer(1...65_535),
            .optional("the request's, or none when the scheme changes"),
            "The port to go to.",
            tooSmall: "0 is no port",
            tooLarge: "a TCP port has 16 bits",
            example: "port: 8443"),
        KeyDescription(
            "\(routePath).redirect.path", .urlPath, .optional("the request's"),
            "Replaces the whole path; the query is kept.",
            example: "path: /new"),
    ]

    private static let respond: [KeyDescription] = [
        KeyDescription(
            "\(routePath).respond.status", .integer(200...599), .integer(200),
            "The status; 204, 205 and 304 have no body.",
            tooSmall: "1xx announces another response",
            tooLarge: "a status is 200 to 599 (RFC 9110 section 15)",
            example: "status: 404"),
        KeyDescription(
            "\(routePath).respond.content_type", .mediaType, .word("text/plain; charset=utf-8"),
            "What the body is.",
            example: "content_type: text/plain"),
        KeyDescription(
            "\(routePath).respond.body", .text(byteCountMax: bodyByteCountMax),
            .optional("empty"),
            "The body.",
            example: "body: \"nothing here\""),
    ]

    private static let changes: [KeyDescription] = [
        KeyDescription(
            "\(routePath).rewrite", .section, .optional("nothing is changed"),
            "What is changed in the request line and Host on the way to the backend.",
            example: "rewrite: { path_prefix: / }"),
        KeyDescription(
            "\(routePath).rewrite.path_prefix", .urlPath, .optional("the path stays"),
            "What the matched path_prefix or path is replaced with.",
            example: "path_prefix: /"),
        KeyDescription(
            "\(routePath).rewrite.host", .hostName, .optional("the request's"),
            "The Host that the backend sees.",
            example: "host: internal.example.org"),
        KeyDescription(
            "\(routePath).mirror", .section, .optional("no copies"),
            "Copies of requests, whose answers nobody reads.",
            example: "mirror: { pool: shadow, percent: 5 }"),
        KeyDescription(
            "\(routePath).mirror.pool", .poolName, .required,
            "The pool that gets the copies.",
            example: "pool: shadow"),
        KeyDescription(
            "\(routePath).mirror.percent", .percent(1...10_000), .percent(10_000),
            "How many requests of a hundred are copied.",
            tooSmall: "leave out mirror to copy none",
            tooLarge: "a request is copied once",
            example: "percent: 5"),
    ]
}
