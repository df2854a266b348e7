// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pools`.

import WireCore

extension KeyTable {
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
            "pools.NAME.send_proxy_protocol",
            .choice(ProxyHeaderVersion.allCases.map(\.rawValue)), .optional("no header"),
            "PROXY header that each connection to a backend begins with.",
            example: "send_proxy_protocol: v2"),
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
}
