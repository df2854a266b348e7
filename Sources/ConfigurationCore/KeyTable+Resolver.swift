// SPDX-License-Identifier: Apache-2.0
//
// The keys under `dns`.

import WireCore

extension KeyTable {
    static let resolver: [KeyDescription] = [
        KeyDescription(
            "dns", .section, .optional("every setting at its default"),
            "How the names of backends are asked for.",
            example: "dns: { servers: [10.0.0.53], ttl_max: 5m }"),
        KeyDescription(
            "dns.servers", .list(1...8), .optional("those of /etc/resolv.conf"),
            "Addresses of the servers to ask, with a port when it is not 53.",
            tooSmall: "leave the key out to ask those of /etc/resolv.conf",
            tooLarge: "a name that none of them knows takes a try at each",
            example: "servers: [10.0.0.53]"),
        KeyDescription(
            "dns.timeout", .duration(.milliseconds(100) ... .seconds(30), step: nil),
            .duration(.seconds(2)),
            "Time of one try.",
            tooSmall: "a lookup that the server has to pass on fails",
            tooLarge: "a dead server holds the others up",
            example: "timeout: 2s"),
        KeyDescription(
            "dns.tries", .integer(1...10), .integer(3),
            "Tries at each server.",
            tooSmall: "one lost datagram fails a lookup",
            tooLarge: "a dead server is given up late",
            example: "tries: 3"),
        KeyDescription(
            "dns.ttl_min", .duration(.milliseconds(100) ... .seconds(3_600), step: nil),
            .duration(.seconds(1)),
            "An answer is kept at least so long.",
            tooSmall: "records with a TTL of 0 are asked for all the time",
            tooLarge: "a backend that moved is looked for at its old address",
            example: "ttl_min: 1s"),
        KeyDescription(
            "dns.ttl_max", .duration(.seconds(1) ... .seconds(86_400), step: nil),
            .duration(.seconds(300)),
            "An answer is asked for again after so long, whatever its TTL.",
            tooSmall: "servers are asked more often than records change",
            tooLarge: "a backend that moved is looked for at its old address",
            example: "ttl_max: 5m"),
        KeyDescription(
            "dns.hold", .duration(.zero ... .seconds(86_400), step: nil), .duration(.seconds(30)),
            "Addresses outlive an answer that there are none; without an answer they stay.",
            tooSmall: "one wrong answer empties a pool",
            tooLarge: "a name that was taken away on purpose keeps its traffic",
            example: "hold: 30s"),
    ]
}
