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
            "pair.nodes", .named(1...16), .required,
            "The nodes by name: two, or 1 to 16 when every virtual router has announce: route; "
                + "each process takes the one that --node or the host name says.",
            tooSmall: "a pair has two nodes",
            tooLarge: "a router shares its load over a limited number of ways",
            example: "nodes: { lb1: { address: 10.0.0.1, priority: 200 }, lb2: {...} }"),
        KeyDescription(
            "pair.nodes.NAME.address", .ipv4Address, .required,
            "The node's own address on the interface; stays with the node.",
            example: "address: 10.0.0.1"),
        KeyDescription(
            "pair.nodes.NAME.ipv6_address", .ipv6Address,
            .optional("the interface's link-local address"),
            "Where the node's IPv6 adverts come from and, with transport: unicast, go to.",
            example: "ipv6_address: fd00::1"),
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
            "pair.track", .section, .optional("only the interfaces of the virtual routers"),
            "What else a node watches to know whether it should serve.",
            example: "track: { gateway: { address: 10.0.0.254 } }"),
        KeyDescription(
            "pair.virtual_routers", .list(1...255), .required,
            "Groups of virtual addresses that move together.",
            example: "virtual_routers: [{ id: 51, addresses: [10.0.0.100] }]"),
    ]
}
