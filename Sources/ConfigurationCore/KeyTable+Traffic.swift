// SPDX-License-Identifier: Apache-2.0
//
// The keys under `listeners` and `pools`.

import WireCore

extension KeyTable {
    static let listeners: [KeyDescription] = [
        KeyDescription(
            "listeners.NAME.bind", .endpoint, .required,
            "Address and port to accept on; a virtual address that the node does not hold is fine.",
            example: "bind: 0.0.0.0:80"),
        KeyDescription(
            "listeners.NAME.routes", .list(1...1_000), .required,
            "Which pool serves which requests; the first match wins.",
            example: "routes: [{ pool: web }]"),
        KeyDescription(
            "listeners.NAME.routes[].match", .section, .optional("every request"),
            "Which requests the route takes; all conditions must hold.",
            example: "match: { host: www.example.org, path_prefix: /api/ }"),
        KeyDescription(
            "listeners.NAME.routes[].match.host", .hostName, .optional("every host"),
            "Host name in the request; *.example.org takes one or more labels in front.",
            example: "host: www.example.org"),
        KeyDescription(
            "listeners.NAME.routes[].match.path_prefix", .urlPath, .optional("every path"),
            "How the request's path begins.",
            example: "path_prefix: /api/"),
        KeyDescription(
            "listeners.NAME.routes[].pool", .poolName, .required,
            "The pool that serves the route.",
            example: "pool: web"),
    ]

    static let pools: [KeyDescription] = [
        KeyDescription(
            "pools.NAME.balance", .choice(BalancePolicy.allCases.map(\.rawValue)),
            .word(BalancePolicy.leastTime.rawValue),
            "How a backend is chosen.",
            example: "balance: least_time"),
        KeyDescription(
            "pools.NAME.backends", .named(1...1_000), .required,
            "The backends by name.",
            example: "backends: { be1: { address: 10.0.0.1:8080 } }"),
        KeyDescription(
            "pools.NAME.backends.NAME.address", .endpoint, .required,
            "Where the backend listens.",
            example: "address: 10.0.0.1:8080"),
        KeyDescription(
            "pools.NAME.backends.NAME.weight", .integer(1...256), .integer(1),
            "Share of traffic relative to the pool's other backends.",
            tooSmall: "a backend without traffic is taken out by removing it",
            tooLarge: "one backend in place of the whole pool",
            example: "weight: 2"),
        KeyDescription(
            "pools.NAME.health_check", .section, .optional("every backend counts as healthy"),
            "Probes that take a backend out and bring it back.",
            example: "health_check: { path: /healthz, interval: 5s }"),
    ]

    static let healthCheck: [KeyDescription] = [
        KeyDescription(
            "pools.NAME.health_check.type", .choice(["http", "tcp"]), .word("http"),
            "What a probe does: GET a path (2xx and 3xx pass), or connect only.",
            example: "type: http"),
        KeyDescription(
            "pools.NAME.health_check.path", .urlPath, .word("/"),
            "Path to GET; only for type http.",
            example: "path: /healthz"),
        KeyDescription(
            "pools.NAME.health_check.host", .hostName, .optional("the backend's address"),
            "Host header to send; only for type http.",
            example: "host: www.example.org"),
        KeyDescription(
            "pools.NAME.health_check.interval",
            .duration(.milliseconds(100) ... .seconds(3_600), step: nil), .duration(.seconds(5)),
            "Time between two probes of a backend.",
            tooSmall: "probes become a load of their own",
            tooLarge: "a dead backend keeps its traffic for fall x interval",
            example: "interval: 5s"),
        KeyDescription(
            "pools.NAME.health_check.timeout",
            .duration(.milliseconds(10) ... .seconds(600), step: nil), .duration(.seconds(3)),
            "Time a probe may take.",
            tooSmall: "a slow moment counts as a failure",
            tooLarge: "a hanging backend is noticed late",
            example: "timeout: 3s"),
        KeyDescription(
            "pools.NAME.health_check.fall", .integer(1...100), .integer(3),
            "Failed probes in a row that take a backend out.",
            tooSmall: "one lost probe takes a backend out",
            tooLarge: "a dead backend keeps its traffic for fall x interval",
            example: "fall: 3"),
        KeyDescription(
            "pools.NAME.health_check.rise", .integer(1...100), .integer(2),
            "Passed probes in a row that bring a backend back.",
            tooSmall: "a flapping backend gets traffic after every good probe",
            tooLarge: "a healed backend stays idle for rise x interval",
            example: "rise: 2"),
    ]

    static let timeouts: [KeyDescription] = [
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
            "connect", .seconds(3), "A backend must accept a connection within this time.",
            tooSmall: "one lost SYN (sent again after 1 s) fails the attempt",
            tooLarge: "the retry on another backend comes too late to help"),
        timeout(
            "response_head", .seconds(30), "A backend must begin its response within this time.",
            tooSmall: "slow pages become 504",
            tooLarge: "clients wait for a backend that hangs"),
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
