// SPDX-License-Identifier: Apache-2.0
//
// The keys that bound what a pool takes on: limits, queue, retries, hedging, drain.

import WireCore

extension KeyTable {
    static let poolLimits: [KeyDescription] =
        breakers + queue + retries + hedging + adaptiveConcurrency + drain

    private static let breakers: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).limits", .section, .optional("every limit at its default"),
            "What the pool takes on at once; what is beyond waits in the queue.",
            example: "limits: { requests: 2000 }"),
        KeyDescription(
            "\(poolPath).limits.requests", .integerOrOff(1...1_000_000), .integer(1_024),
            "Requests in flight at all backends, tunnels not counted.",
            tooSmall: "a pool without requests needs respond: { status: 503 }",
            tooLarge: "a slow pool takes all buffers of the node; write off for no limit",
            example: "requests: 2000"),
        KeyDescription(
            "\(poolPath).limits.connections", .integerOrOff(1...1_000_000), .word("off"),
            "Connections to all backends, tunnels included.",
            tooSmall: "a pool without connections serves nobody",
            tooLarge: "write off for no limit",
            example: "connections: 5000"),
        KeyDescription(
            "\(poolPath).limits.retries", .integerOrOff(1...1_000_000), .integer(64),
            "Retries in flight.",
            tooSmall: "no retries are written as retries: off",
            tooLarge: "retries add to the load of a pool that fails",
            example: "retries: 64"),
    ]

    private static let queue: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).queue", .sectionOrOff, .optional("every setting at its default"),
            "Where requests wait when no backend has room; off answers them 503 at once.",
            example: "queue: { length: 1000, timeout: 5s }"),
        KeyDescription(
            "\(poolPath).queue.length", .integer(0...1_000_000), .integer(1_024),
            "Requests that may wait; more are answered 503 at once.",
            tooSmall: "a short burst is answered 503",
            tooLarge: "clients wait for what they no longer want",
            example: "length: 1000"),
        KeyDescription(
            "\(poolPath).queue.timeout", .duration(.milliseconds(10) ... .seconds(600), step: nil),
            .duration(.seconds(5)),
            "How long a request waits before it is answered 503.",
            tooSmall: "a short burst is answered 503",
            tooLarge: "clients wait for what they no longer want",
            example: "timeout: 5s"),
        KeyDescription(
            "\(poolPath).queue.retry_after",
            .duration(.seconds(1) ... .seconds(3_600), step: .seconds(1)), .duration(.seconds(1)),
            "The Retry-After of those answers.",
            tooSmall: "0 asks for the next request at once",
            tooLarge: "clients stay away from a pool that has room again",
            example: "retry_after: 1s"),
    ]

    private static let retries: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).retries", .sectionOrOff, .optional("every setting at its default"),
            "Failed requests that are tried again at another backend, where that is safe.",
            example: "retries: { attempts: 1, budget: 20 }"),
        KeyDescription(
            "\(poolPath).retries.attempts", .integer(0...3), .integer(1),
            "Retries of one request.",
            tooSmall: "one broken connection is an error for the client",
            tooLarge: "a failing pool gets its traffic several times over",
            example: "attempts: 1"),
        KeyDescription(
            "\(poolPath).retries.on",
            .words(RetryConfiguration.Condition.allCases.map(\.rawValue)),
            .optional("connect_failure, reset, timeout"),
            "What is tried again; all but connect_failure only for idempotent methods.",
            example: "on: [connect_failure, reset]"),
        KeyDescription(
            "\(poolPath).retries.per_try_timeout",
            .duration(.milliseconds(10) ... .seconds(3_600), step: nil),
            .optional("timeouts.response_head"),
            "An attempt whose answer does not begin within is given up.",
            tooSmall: "slow answers are thrown away and asked for again",
            tooLarge: "a hung backend holds its requests for that long",
            example: "per_try_timeout: 2s"),
        KeyDescription(
            "\(poolPath).retries.backoff",
            .duration(.milliseconds(1) ... .seconds(10), step: nil), .duration(.milliseconds(25)),
            "Up to so long a second retry, or one at the same backend, waits; it doubles.",
            tooSmall: "retries come in a burst",
            tooLarge: "clients wait while a backend is free",
            example: "backoff: 25ms"),
        KeyDescription(
            "\(poolPath).retries.backoff_max",
            .duration(.milliseconds(1) ... .seconds(60), step: nil), .duration(.milliseconds(250)),
            "The longest such wait.",
            tooSmall: "retries come in a burst",
            tooLarge: "clients wait while a backend is free",
            example: "backoff_max: 250ms"),
        KeyDescription(
            "\(poolPath).retries.budget", .integerOrOff(0...100), .integer(20),
            "Retries in percent of the requests of the last 10 s.",
            tooSmall: "only budget_floor is left",
            tooLarge: "a failing pool gets its traffic twice",
            example: "budget: 20"),
        KeyDescription(
            "\(poolPath).retries.budget_floor", .integer(0...10_000), .integer(10),
            "Retries a second that are allowed whatever the budget.",
            tooSmall: "a quiet pool has no retries",
            tooLarge: "the budget never bites",
            example: "budget_floor: 10"),
        KeyDescription(
            "\(poolPath).retries.body_size", .size(0...64 << 10), .size(64 << 10),
            "A request body up to so many bytes is kept for a retry.",
            tooSmall: "requests with a body are not tried again",
            tooLarge: "each request in flight may hold that much memory",
            example: "body_size: 16KiB"),
    ]

    private static let hedging: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).hedging", .sectionOrOff, .optional("off"),
            "A slow request is sent to a second backend, and the first answer counts.",
            example: "hedging: { after: auto, budget: 5 }"),
        KeyDescription(
            "\(poolPath).hedging.after",
            .durationOrAuto(.milliseconds(1) ... .seconds(60)), .word("auto"),
            "How long the first attempt has; auto is what all but \"budget\" percent stay below.",
            tooSmall: "ordinary requests are sent twice until the budget is gone",
            tooLarge: "the client has given up before",
            example: "after: 50ms"),
        KeyDescription(
            "\(poolPath).hedging.budget", .integer(1...100), .integer(5),
            "Second attempts in percent of the requests.",
            tooSmall: "no hedging is written as hedging: off",
            tooLarge: "the pool gets its traffic twice",
            example: "budget: 5"),
    ]

    private static let adaptiveConcurrency: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).adaptive_concurrency", .sectionOrOff, .optional("off"),
            "limits.requests follows the latency: it falls while the pool gets slower.",
            example: "adaptive_concurrency: { min: 10 }"),
        KeyDescription(
            "\(poolPath).adaptive_concurrency.min", .integer(1...1_000_000), .integer(10),
            "The limit never falls below.",
            tooSmall: "a short stall leaves room for almost nobody",
            tooLarge: "the limit cannot fall far enough to help",
            example: "min: 10"),
        KeyDescription(
            "\(poolPath).adaptive_concurrency.interval",
            .duration(.milliseconds(50) ... .seconds(10), step: nil),
            .duration(.milliseconds(100)),
            "How often the limit is set anew.",
            tooSmall: "too few requests for a measurement",
            tooLarge: "an overload has filled the queue before the limit falls",
            example: "interval: 100ms"),
        KeyDescription(
            "\(poolPath).adaptive_concurrency.baseline_interval",
            .duration(.seconds(1) ... .seconds(3_600), step: nil), .duration(.seconds(60)),
            "How often the best latency is measured anew.",
            tooSmall: "an overload is taken for the best there is",
            tooLarge: "a pool that became faster or slower keeps its old measure",
            example: "baseline_interval: 60s"),
    ]

    private static let drain: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).drain", .section, .optional("every setting at its default"),
            "How long work may go on at a backend that is drained.",
            example: "drain: { timeout: 30s }"),
        KeyDescription(
            "\(poolPath).drain.timeout", .duration(.zero ... .seconds(86_400), step: nil),
            .duration(.seconds(30)),
            "Requests in flight are cut after so long.",
            tooSmall: "requests are cut that would have finished",
            tooLarge: "one slow download keeps a backend from its upgrade",
            example: "timeout: 30s"),
        KeyDescription(
            "\(poolPath).drain.tunnel_timeout", .duration(.zero ... .seconds(604_800), step: nil),
            .duration(.seconds(300)),
            "Tunnels (WebSocket, TCP) are cut after so long.",
            tooSmall: "all of them come back at once",
            tooLarge: "one quiet WebSocket keeps a backend from its upgrade",
            example: "tunnel_timeout: 5m"),
    ]
}
