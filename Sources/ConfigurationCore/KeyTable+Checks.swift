// SPDX-License-Identifier: Apache-2.0
//
// The keys by which a pool learns which backends work: checks, outlier detection, cascade guard.

import WireCore

extension KeyTable {
    /// The most bytes that a probe sends, and that its answer is searched for.
    static let payloadByteCountMax = 1_024

    static let checks: [KeyDescription] =
        [
            KeyDescription(
                "\(poolPath).health_check", .sectionOrOff,
                .optional("every backend counts as healthy"),
                "Is it alive? A backend that fails gets nothing; its idle connections are closed.",
                example: "health_check: { path: /healthz, interval: 5s }")
        ] + check(under: "\(poolPath).health_check")
        + [
            KeyDescription(
                "\(poolPath).readiness_check", .sectionOrOff,
                .optional("every backend that is alive is ready"),
                "Does it want work? A backend that fails gets nothing new and keeps what it has.",
                example: "readiness_check: { path: /ready, interval: 5s }")
        ] + check(under: "\(poolPath).readiness_check")

    /// The types of a check.
    static let checkTypes = ["http", "tcp", "grpc", "udp"]

    /// Keys of a check that only some types know.
    static let checkTypesOfKey: [(key: String, types: [String])] = [
        ("method", ["http"]), ("path", ["http"]), ("host", ["http"]), ("headers", ["http"]),
        ("status", ["http"]), ("body", ["http"]), ("service", ["grpc"]),
        ("send", ["tcp", "udp"]), ("expect", ["tcp", "udp"]), ("reuse", ["http", "grpc"]),
    ]

    private static func check(under path: String) -> [KeyDescription] {
        [
            KeyDescription(
                "\(path).type", .choice(checkTypes), .word("http"),
                "What a probe does: ask over HTTP, connect, ask grpc.health.v1, send a datagram.",
                example: "type: http")
        ] + httpProbe(under: path) + otherProbes(under: path) + times(under: path)
    }

    private static func httpProbe(under path: String) -> [KeyDescription] {
        [
            KeyDescription(
                "\(path).method", .choice(["GET", "HEAD", "OPTIONS"]), .word("GET"),
                "Method of the request; only for type http.",
                example: "method: HEAD"),
            KeyDescription(
                "\(path).path", .urlPath, .word("/"),
                "Path to ask for; only for type http.",
                example: "path: /healthz"),
            KeyDescription(
                "\(path).host", .hostName, .optional("the backend's address"),
                "Host header to send; only for type http.",
                example: "host: www.example.org"),
            KeyDescription(
                "\(path).headers", .pairs(1...64), .optional("none"),
                "Further headers to send; only for type http.",
                example: "headers: { X-Probe: \"1\" }"),
            KeyDescription(
                "\(path).status", .statusRanges, .word("200-399"),
                "Statuses that pass; only for type http.",
                example: "status: [200-299, 404]"),
            KeyDescription(
                "\(path).body", .text(byteCountMax: payloadByteCountMax), .optional("any body"),
                "Text that the first 64 KiB of the body must contain; only for type http.",
                example: "body: '\"status\":\"ok\"'"),
        ]
    }

    private static func otherProbes(under path: String) -> [KeyDescription] {
        [
            KeyDescription(
                "\(path).service", .text(byteCountMax: 256), .word(""),
                "Service to ask about, \"\" is the whole server; only for type grpc.",
                example: "service: shop.v1.Cart"),
            KeyDescription(
                "\(path).send", .payload(byteCountMax: payloadByteCountMax),
                .optional("nothing is sent"),
                "Bytes to send; only for types tcp and udp, which needs it.",
                example: "send: 'PING\\r\\n'"),
            KeyDescription(
                "\(path).expect", .payload(byteCountMax: payloadByteCountMax),
                .optional("any answer for udp, none needed for tcp"),
                "Bytes that the answer must contain; only for types tcp and udp.",
                example: "expect: '+PONG'"),
        ]
    }

    private static func times(under path: String) -> [KeyDescription] {
        let interval = KeyDescription.Form.duration(
            .milliseconds(100) ... .seconds(3_600), step: nil)
        return [
            KeyDescription(
                "\(path).interval", interval, .duration(.seconds(5)),
                "Time between two probes of a backend.",
                tooSmall: "probes become a load of their own",
                tooLarge: "a dead backend keeps its traffic for that long",
                example: "interval: 5s"),
            KeyDescription(
                "\(path).timeout", .duration(.milliseconds(10) ... .seconds(600), step: nil),
                .duration(.seconds(3)),
                "Time a probe may take.",
                tooSmall: "a slow moment counts as a failure",
                tooLarge: "a hanging backend is noticed late",
                example: "timeout: 3s"),
            KeyDescription(
                "\(path).fall", .integer(1...100), .integer(3),
                "Failed probes in a row that take a backend out.",
                tooSmall: "one lost probe takes a backend out",
                tooLarge: "a dead backend keeps its traffic for fall probes",
                example: "fall: 3"),
            KeyDescription(
                "\(path).rise", .integer(1...100), .integer(2),
                "Passed probes in a row that bring a backend back.",
                tooSmall: "a flapping backend gets traffic after every good probe",
                tooLarge: "a healed backend stays idle for rise probes",
                example: "rise: 2"),
            KeyDescription(
                "\(path).fast_interval", interval, .optional("1s, or interval when that is less"),
                "Time between probes while their results speak against the verdict.",
                tooSmall: "a short pause of the backend is asked for three times",
                tooLarge: "longer than interval is not fast",
                example: "fast_interval: 1s"),
            KeyDescription(
                "\(path).down_interval", interval, .optional("the same as interval"),
                "Time between probes of a backend that is out.",
                tooSmall: "a starting backend answers probes instead of starting",
                tooLarge: "a healed backend stays idle for that long",
                example: "down_interval: 5s"),
            KeyDescription(
                "\(path).jitter", .integer(0...100), .integer(15),
                "Each wait is drawn from its length plus or minus so many percent.",
                tooSmall: "both nodes and all backends are probed in step",
                tooLarge: "some waits are twice as long as they should be",
                example: "jitter: 15"),
            KeyDescription(
                "\(path).port", .integer(1...65_535), .optional("where the traffic goes"),
                "Port to ask at.",
                tooSmall: "0 is no port",
                tooLarge: "a port has 16 bits",
                example: "port: 9000"),
            KeyDescription(
                "\(path).reuse", .boolean, .boolean(true),
                "Whether probes go on with their connection; only for types http and grpc.",
                example: "reuse: false"),
        ]
    }
}
