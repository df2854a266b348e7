// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair`.

import WireCore

extension KeyTable {
    static let pair: [KeyDescription] = [
        KeyDescription(
            "pair.interface", .interfaceName, .required,
            "Interface that carries adverts and announces the virtual addresses.",
            example: "interface: eth0"),
        KeyDescription(
            "pair.nodes", .named(2...2), .required,
            "The two nodes by name; each process takes the one that --node or the host name says.",
            tooSmall: "a node alone needs no pair; remove the key pair",
            tooLarge: "a pair has two nodes; remove the others",
            example: "nodes: { lb1: { address: 10.0.0.1, priority: 200 }, lb2: {...} }"),
        KeyDescription(
            "pair.nodes.NAME.address", .ipv4Address, .required,
            "The node's own address on the interface; stays with the node.",
            example: "address: 10.0.0.1"),
        KeyDescription(
            "pair.nodes.NAME.priority", .integer(1...255), .required,
            "VRRP priority; the higher node becomes active when both start together.",
            tooSmall: "0 means \"I am leaving\" on the wire and cannot be configured",
            tooLarge: "the field on the wire has 8 bits; 255 claims to own the address",
            example: "priority: 200"),
        KeyDescription(
            "pair.nodes.NAME.zone", .name, .optional("the key zone at the top"),
            "Where the node stands; backends of the same zone are preferred.",
            example: "zone: east"),
        KeyDescription(
            "pair.link", .section, .optional("port 7946 without authentication"),
            "The connection between the nodes: heartbeat, replication, takeover.",
            example: "link: { port: 7946, secret_file: /etc/tandem/pair.key }"),
        KeyDescription(
            "pair.link.port", .integer(1...65_534), .integer(7946),
            "TCP port of the link on the nodes' own addresses; replication uses the next one.",
            tooSmall: "0 is no port",
            tooLarge: "a TCP port has 16 bits, and replication needs the next port",
            example: "port: 7946"),
        KeyDescription(
            "pair.link.secret_file", .filePath(byteCountMax: 4_095),
            .optional("an unauthenticated link"),
            "File with the secret both nodes share, at least 16 bytes, readable by tandem alone.",
            example: "secret_file: /etc/tandem/pair.key"),
        KeyDescription(
            "pair.link.heartbeat_interval",
            .duration(.milliseconds(10) ... .seconds(10), step: nil),
            .duration(.milliseconds(100)),
            "Time between two heartbeats on the link.",
            tooSmall: "a busy core makes the link look dead",
            tooLarge: "replication lag and a dead link are noticed late",
            example: "heartbeat_interval: 100ms"),
        KeyDescription(
            "pair.virtual_routers", .list(1...255), .required,
            "Groups of virtual addresses that move together.",
            example: "virtual_routers: [{ id: 51, addresses: [10.0.0.100] }]"),
    ]

    static let virtualRouters: [KeyDescription] = [
        KeyDescription(
            "pair.virtual_routers[].id", .integer(1...255), .required,
            "VRID: unique among all virtual routers of the network (RFC 9568 section 5.2.3).",
            tooSmall: "0 is not a VRID",
            tooLarge: "the field on the wire has 8 bits",
            example: "id: 51"),
        KeyDescription(
            "pair.virtual_routers[].addresses", .list(1...20), .required,
            "The virtual addresses.",
            tooSmall: "a virtual router without an address serves nobody",
            tooLarge: "every takeover adds and announces each address",
            example: "addresses: [10.0.0.100]"),
        KeyDescription(
            "pair.virtual_routers[].advertise_interval",
            .duration(.milliseconds(10) ... .milliseconds(40_950), step: .milliseconds(10)),
            .duration(.seconds(1)),
            "Time between adverts; the backup waits a little more than three of them.",
            tooSmall: "a stall of 30 ms on a busy host looks like a dead node",
            tooLarge: "after a power loss nobody serves for more than three intervals",
            example: "advertise_interval: 10ms"),
        KeyDescription(
            "pair.virtual_routers[].preempt", .boolean, .boolean(false),
            "Whether a returning node of higher priority takes the addresses back.",
            example: "preempt: false"),
        KeyDescription(
            "pair.virtual_routers[].preempt_delay",
            .duration(.zero ... .seconds(3_600), step: nil), .duration(.zero),
            "How long a node of higher priority waits after start before it preempts.",
            tooSmall: "a node that keeps restarting moves the addresses each time",
            tooLarge: "the weaker node serves for that long after every fault",
            example: "preempt_delay: 30s"),
        KeyDescription(
            "pair.virtual_routers[].lease",
            .duration(.seconds(2) ... .seconds(60), step: .seconds(1)),
            .duration(.seconds(2)),
            "How long an address outlives a process that no longer renews it.",
            tooSmall: "the kernel counts leases in seconds and a busy node loses its address",
            tooLarge: "a frozen node keeps answering for the address while the other serves it",
            example: "lease: 2s"),
        KeyDescription(
            "pair.virtual_routers[].transport", .choice(["multicast", "unicast"]),
            .word("multicast"),
            "How adverts reach the other node; unicast is for networks without multicast.",
            example: "transport: multicast"),
    ]
}
