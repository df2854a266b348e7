// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair.track`.

import WireCore

extension KeyTable {
    /// Where the keys of trackers are.
    static let trackPath = "pair.track"

    static let tracking =
        trackedInterfaces + trackedGateway + trackedBackends + trackedScripts + [
            KeyDescription(
                "pair.track.worker_stall",
                .duration(.milliseconds(300) ... .seconds(3_600), step: nil),
                .duration(.seconds(3)),
                "A data-plane thread without progress for this long is a fault of the node.",
                tooSmall: "a thread that waits for its core looks dead",
                tooLarge: "clients of a stuck thread wait for that long",
                example: "worker_stall: 3s"),
            KeyDescription(
                "pair.track.on_different_configuration",
                .choice(words(ConfigurationDifferencePolicy.self)), .word("warn"),
                "Whether a backup whose configuration differs from the active node's may take "
                    + "over from it.",
                example: "on_different_configuration: hold"),
        ]

    /// The range of points that a priority of 1 to 254 can lose.
    private static let points = KeyDescription.Form.penalty(1...253)

    private static func penalty(
        _ path: String, _ presence: KeyDescription.Presence, _ what: String, example: String
    ) -> KeyDescription {
        KeyDescription(
            path, points, presence,
            "What \(what) does: fault takes the node out of service, a number lowers its priority.",
            tooSmall: "less than the nodes' difference in priority changes nothing",
            tooLarge: "a priority is never lowered below 1",
            example: example)
    }

    private static func count(
        _ path: String, _ value: Int, _ meaning: String, tooSmall: String, tooLarge: String
    ) -> KeyDescription {
        let name = path.split(separator: ".").last ?? ""
        return KeyDescription(
            path, .integer(1...100), .integer(value), meaning,
            tooSmall: tooSmall, tooLarge: tooLarge, example: "\(name): \(value)")
    }

    private static let trackedInterfaces: [KeyDescription] = [
        KeyDescription(
            "pair.track.interfaces", .named(1...TrackingConfiguration.interfaceCountMax),
            .optional("none"),
            "Interfaces whose carrier counts, beside those of the virtual routers.",
            example: "interfaces: { eth1: { penalty: fault } }"),
        penalty(
            "pair.track.interfaces.NAME.penalty", .word("fault"), "a missing carrier",
            example: "penalty: fault"),
        KeyDescription(
            "pair.track.interfaces.NAME.up_delay", .duration(.zero ... .seconds(3_600), step: nil),
            .duration(.seconds(1)),
            "How long the carrier must be back before it counts as good.",
            tooSmall: "a cable that flickers moves the addresses each time",
            tooLarge: "the node stays out of service for that long after a short loss",
            example: "up_delay: 1s"),
    ]

    private static let trackedGateway: [KeyDescription] = [
        KeyDescription(
            "pair.track.gateway", .section, .optional("none"),
            "A witness on the LAN: a backup that cannot reach it does not take over because of "
                + "silence.",
            example: "gateway: { address: 10.0.0.254 }"),
        KeyDescription(
            "pair.track.gateway.address", .ipAddress, .required,
            "The witness, asked by ARP or neighbour solicitation; the clients' router is best.",
            example: "address: 10.0.0.254"),
        KeyDescription(
            "pair.track.gateway.interface", .interfaceName, .optional("pair.interface"),
            "Where the witness is.",
            example: "interface: eth0"),
        KeyDescription(
            "pair.track.gateway.interval",
            .duration(.milliseconds(10) ... .seconds(60), step: nil),
            .duration(.milliseconds(200)),
            "Time between two probes.",
            tooSmall: "a busy router leaves probes unanswered",
            tooLarge: "a node that is cut off takes over before it notices",
            example: "interval: 200ms"),
        count(
            "pair.track.gateway.fall", 3, "Unanswered probes in a row that mean it is gone.",
            tooSmall: "one lost frame keeps a node from taking over",
            tooLarge: "a node that is cut off takes over before it notices"),
        count(
            "pair.track.gateway.rise", 2, "Answered probes in a row that mean it is back.",
            tooSmall: "a half-broken link counts as good",
            tooLarge: "a node that is back may not take over for that long"),
        penalty(
            "pair.track.gateway.penalty", .optional("nothing more, the priority stays"),
            "its absence", example: "penalty: 50"),
    ]

    private static let trackedBackends: [KeyDescription] = [
        KeyDescription(
            "pair.track.backends", .section, .optional("not counted"),
            "The share of backends that this node can reach.",
            example: "backends: { below: 50, penalty: 50 }"),
        KeyDescription(
            "pair.track.backends.pools", .list(1...1_000), .optional("every pool"),
            "Whose backends count, each pool for itself.",
            example: "pools: [web]"),
        KeyDescription(
            "pair.track.backends.below", .percent(1...10_000), .percent(5_000),
            "The penalty begins when a smaller share of a pool's backends can serve, in percent.",
            tooSmall: "the node keeps the addresses while it reaches next to nothing",
            tooLarge: "the first backend that fails counts",
            example: "below: 50"),
        KeyDescription(
            "pair.track.backends.above", .percent(1...10_000), .optional("below"),
            "The penalty ends when at least this share of every pool can serve again, in percent.",
            tooSmall: "a share that swings around below moves the addresses each time",
            tooLarge: "the penalty stays while one backend is down",
            example: "above: 60"),
        penalty(
            "pair.track.backends.penalty", .integer(50), "a small share",
            example: "penalty: 50"),
    ]

    private static let trackedScripts: [KeyDescription] = [
        KeyDescription(
            "pair.track.scripts", .named(1...TrackingConfiguration.scriptCountMax),
            .optional("none"),
            "Commands whose exit status says whether the node may serve; 0 is yes.",
            example: "scripts: { disk: { command: [/usr/local/bin/check-disk] } }"),
        KeyDescription(
            "pair.track.scripts.NAME.command", .list(1...64), .required,
            "The executable's absolute path and its arguments; no shell reads them.",
            tooSmall: "the path of the executable is missing",
            tooLarge: "put them into a script of your own",
            example: "command: [/usr/local/bin/check-disk, --fast]"),
        KeyDescription(
            "pair.track.scripts.NAME.interval",
            .duration(.milliseconds(100) ... .seconds(3_600), step: nil), .duration(.seconds(2)),
            "Time between two runs.",
            tooSmall: "starting processes takes the core from the data plane",
            tooLarge: "a failure is noticed that late",
            example: "interval: 2s"),
        KeyDescription(
            "pair.track.scripts.NAME.timeout",
            .duration(.milliseconds(10) ... .seconds(3_600), step: nil), .duration(.seconds(1)),
            "A run that takes longer is killed and counts as failed.",
            tooSmall: "a slow disk fails a check that would have passed",
            tooLarge: "a run that hangs hides a failure for that long",
            example: "timeout: 1s"),
        count(
            "pair.track.scripts.NAME.fall", 2, "Failed runs in a row that mean no.",
            tooSmall: "one bad run moves the addresses",
            tooLarge: "a failure is noticed that many intervals late"),
        count(
            "pair.track.scripts.NAME.rise", 2, "Good runs in a row that mean yes.",
            tooSmall: "a check that swings moves the addresses each time",
            tooLarge: "a node that is well stays penalised for that many intervals"),
        penalty(
            "pair.track.scripts.NAME.penalty", .word("fault"), "a failing script",
            example: "penalty: fault"),
    ]
}
