// SPDX-License-Identifier: Apache-2.0
//
// The keys that say which backend a client gets: hash, stickiness, zones, slow start.

import WireCore

extension KeyTable {
    static let balancing: [KeyDescription] = hash + sticky + sharing + slowStart

    private static let hash: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).hash", .section, .optional("by client address"),
            "What maglev and ring_hash look at.",
            example: "hash: { key: cookie:session, bound: 125 }"),
        KeyDescription(
            "\(poolPath).hash.key", .hashKey, .word("client"),
            "What keeps its backend; a request without the header or cookie goes by its client.",
            example: "key: header:X-User"),
        KeyDescription(
            "\(poolPath).hash.bound", .integerOrOff(100...1_000), .integer(125),
            "Most load of a backend, in percent of the mean; keys beyond it go to another.",
            tooSmall: "no backend can have less than all of them together",
            tooLarge: "a popular key overloads its backend; write off for no bound",
            example: "bound: 125"),
    ]

    private static let sticky: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).sticky", .sectionOrOff, .optional("off"),
            "A cookie that brings clients back to their backend.",
            example: "sticky: { mode: insert, secure: true }"),
        KeyDescription(
            "\(poolPath).sticky.mode", .choice(StickyConfiguration.Mode.allCases.map(\.rawValue)),
            .word(StickyConfiguration.Mode.insert.rawValue),
            "insert adds a signed cookie; learn remembers the application's own.",
            example: "mode: insert"),
        KeyDescription(
            "\(poolPath).sticky.cookie", .token, .word("tandem"),
            "The cookie's name; mode learn needs the application's.",
            example: "cookie: JSESSIONID"),
        KeyDescription(
            "\(poolPath).sticky.max_age",
            .duration(.seconds(1) ... .seconds(400 * 86_400), step: .seconds(1)),
            .optional("until the browser closes"),
            "How long a browser keeps the cookie; only for mode insert.",
            tooSmall: "a cookie that is gone at once",
            tooLarge: "browsers keep a cookie for 400 days",
            example: "max_age: 12h"),
        KeyDescription(
            "\(poolPath).sticky.secure", .boolean, .boolean(false),
            "Whether browsers send the cookie over https alone; only for mode insert.",
            example: "secure: true"),
        KeyDescription(
            "\(poolPath).sticky.same_site",
            .choice(StickyConfiguration.SameSite.allCases.map(\.rawValue)),
            .word(StickyConfiguration.SameSite.lax.rawValue),
            "SameSite of the cookie; only for mode insert.",
            example: "same_site: lax"),
        KeyDescription(
            "\(poolPath).sticky.domain", .hostName, .optional("the host that was asked"),
            "Domain of the cookie; only for mode insert.",
            example: "domain: example.org"),
        KeyDescription(
            "\(poolPath).sticky.path", .urlPath, .word("/"),
            "Path of the cookie; only for mode insert.",
            example: "path: /app"),
        KeyDescription(
            "\(poolPath).sticky.forward", .boolean, .boolean(false),
            "Whether backends see the cookie; only for mode insert.",
            example: "forward: false"),
        KeyDescription(
            "\(poolPath).sticky.while_draining", .boolean, .boolean(true),
            "Whether clients still reach their backend while it drains.",
            example: "while_draining: true"),
        KeyDescription(
            "\(poolPath).sticky.entries", .integer(1_024...16_777_216), .integer(131_072),
            "Application cookies that are remembered; only for mode learn.",
            tooSmall: "clients lose their backend to newer ones",
            tooLarge: "each entry takes memory",
            example: "entries: 131072"),
        KeyDescription(
            "\(poolPath).sticky.expire", .duration(.seconds(1) ... .seconds(604_800), step: nil),
            .duration(.seconds(1_800)),
            "An application cookie that is not seen for so long is forgotten; only for mode learn.",
            tooSmall: "a client that reads a page loses its backend",
            tooLarge: "the table is full of clients that left",
            example: "expire: 30m"),
    ]

    private static let sharing: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).panic_threshold", .integer(0...100), .integer(50),
            "When fewer backends are healthy, in percent, all are used, healthy or not; 0 never.",
            tooSmall: "the last healthy backends are given everything and fall too",
            tooLarge: "one bad backend makes every check worthless",
            example: "panic_threshold: 50"),
        KeyDescription(
            "\(poolPath).overprovisioning", .integer(100...1_000), .integer(140),
            "Healthy backends x this, in percent, are what a zone or priority may carry.",
            tooSmall: "one backend down already sends traffic to the next zone or priority",
            tooLarge: "the last backends of a zone are given all of its traffic",
            example: "overprovisioning: 140"),
        KeyDescription(
            "\(poolPath).zone_aware", .boolean, .boolean(true),
            "Whether backends of the node's own zone are preferred.",
            example: "zone_aware: true"),
    ]

    private static let slowStart: [KeyDescription] = [
        KeyDescription(
            "\(poolPath).slow_start", .sectionOrOff, .optional("off"),
            "A backend that returns gets its share little by little; not at the process's start.",
            example: "slow_start: { window: 60s }"),
        KeyDescription(
            "\(poolPath).slow_start.window", .duration(.seconds(1) ... .seconds(3_600), step: nil),
            .duration(.seconds(60)),
            "Time until the full share.",
            tooSmall: "caches are still cold when the full load comes",
            tooLarge: "the others carry the share of a healthy backend",
            example: "window: 60s"),
        KeyDescription(
            "\(poolPath).slow_start.aggression", .decimal(10...1_000, places: 2), .decimal(100),
            "1 grows evenly, more grows faster at first.",
            tooSmall: "almost all of the share comes at the end of the window",
            tooLarge: "almost all of the share comes at once",
            example: "aggression: 1.5"),
        KeyDescription(
            "\(poolPath).slow_start.min_percent", .integer(1...100), .integer(10),
            "The share at the beginning, in percent.",
            tooSmall: "so few requests warm nothing up",
            tooLarge: "100 is no slow start",
            example: "min_percent: 10"),
    ]
}
