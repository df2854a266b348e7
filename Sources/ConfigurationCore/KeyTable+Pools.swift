// SPDX-License-Identifier: Apache-2.0
//
// The keys of pools and backends. Checks: KeyTable+Checks.swift; stickiness, zones and what follows
// traffic: KeyTable+Balancing.swift; limits, queue, retries, drain: KeyTable+PoolLimits.swift.

import WireCore

extension KeyTable {
    /// The place of a pool in the table.
    static let poolPath = "pools.NAME"

    static let pools: [KeyDescription] =
        poolBasics + backends + balancing + checks + verdicts + poolLimits

    private static let poolBasics: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).balance", .choice(BalancePolicy.allCases.map(\.rawValue)),
            .word(BalancePolicy.leastTime.rawValue),
            "How a backend is chosen; maglev, ring_hash and ip_hash keep a client with one.",
            example: "balance: least_time"),
        KeyDescription(
            "\(poolPath).backends", .named(1...10_000), .required,
            "The backends by name.",
            tooSmall: "a pool without a backend serves nobody",
            tooLarge: "every choice and every check has to look at them",
            example: "backends: { be1: { address: 10.0.0.1:8080 } }"),
        KeyDescription(
            "\(poolPath).send_proxy_protocol",
            .choice(ProxyHeaderVersion.allCases.map(\.rawValue)), .optional("no header"),
            "PROXY header that each connection to a backend begins with.",
            example: "send_proxy_protocol: v2"),
        KeyDescription(
            "\(poolPath).tunnel_source", .ipAddress, .optional("WebSockets end at a takeover"),
            "Virtual address that connections for WebSockets come from, so that they carry over.",
            example: "tunnel_source: 10.0.0.100"),
    ]

    private static let backends: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).backends.NAME.address", .backendAddress, .required,
            "Where the backend listens; each address that a name stands for is a backend.",
            example: "address: 10.0.0.1:8080"),
        KeyDescription(
            "\(poolPath).backends.NAME.weight", .integer(0...256), .integer(1),
            "Share of traffic relative to its siblings; 0 serves only clients that stick to it.",
            tooSmall: "a backend that is not wanted is taken out by removing it",
            tooLarge: "one backend in place of the whole pool",
            example: "weight: 2"),
        KeyDescription(
            "\(poolPath).backends.NAME.zone", .name, .optional("no zone"),
            "Where it stands; nodes of the same zone prefer it.",
            example: "zone: east"),
        KeyDescription(
            "\(poolPath).backends.NAME.priority", .integer(0...7), .integer(0),
            "Larger numbers serve when the backends of smaller ones are not enough.",
            tooSmall: "0 serves first",
            tooLarge: "eight levels of standby are more than anybody has",
            example: "priority: 1"),
        KeyDescription(
            "\(poolPath).backends.NAME.max_requests", .integerOrOff(1...1_000_000), .word("off"),
            "Requests it may have in flight; further ones go elsewhere or wait in the queue.",
            tooSmall: "a backend without requests has weight: 0",
            tooLarge: "write off for no limit",
            example: "max_requests: 200"),
        KeyDescription(
            "\(poolPath).backends.NAME.max_connections", .integerOrOff(1...1_000_000),
            .word("off"),
            "Connections it may have, tunnels included.",
            tooSmall: "a backend without connections has weight: 0",
            tooLarge: "write off for no limit",
            example: "max_connections: 500"),
    ]
}
