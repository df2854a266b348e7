// SPDX-License-Identifier: Apache-2.0
//
// The keys under `pair.virtual_routers`.

import WireCore

extension KeyTable {
    /// Where the keys of a virtual router are.
    static let virtualRouterPath = "pair.virtual_routers[]"

    static let virtualRouters = routerBasics + routerNodes + routerWire + routerModes

    private static let routerBasics: [KeyDescription] = [
        KeyDescription(
            "pair.virtual_routers[].id", .integer(1...255), .required,
            "VRID: unique among the virtual routers of a network and family (RFC 9568 section "
                + "5.2.3).",
            tooSmall: "0 is not a VRID",
            tooLarge: "the field on the wire has 8 bits",
            example: "id: 51"),
        KeyDescription(
            "pair.virtual_routers[].addresses", .list(1...40), .required,
            "The virtual addresses, at most 20 of each family; they move together.",
            tooSmall: "a virtual router without an address serves nobody",
            tooLarge: "every takeover adds and announces each address",
            example: "addresses: [10.0.0.100, \"fd00::100\"]"),
        KeyDescription(
            "pair.virtual_routers[].interface", .interfaceName, .optional("pair.interface"),
            "Where this virtual router speaks and announces its addresses.",
            example: "interface: eth1"),
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
    ]

    private static let routerNodes: [KeyDescription] = [
        KeyDescription(
            "pair.virtual_routers[].nodes", .named(1...16), .optional("as in pair.nodes"),
            "What differs from pair.nodes for this virtual router; two with opposite priorities "
                + "make both nodes serve.",
            example: "nodes: { lb1: { priority: 100 }, lb2: { priority: 200 } }"),
        KeyDescription(
            "pair.virtual_routers[].nodes.NAME.priority", .integer(1...255),
            .optional("that of pair.nodes"),
            "The node's VRRP priority in this virtual router.",
            tooSmall: "0 means \"I am leaving\" on the wire and cannot be configured",
            tooLarge: "the field on the wire has 8 bits; 255 claims to own the address",
            example: "priority: 100"),
        KeyDescription(
            "pair.virtual_routers[].nodes.NAME.address", .ipv4Address,
            .optional("that of pair.nodes"),
            "The node's own address on the interface of this virtual router.",
            example: "address: 10.0.1.1"),
        KeyDescription(
            "pair.virtual_routers[].nodes.NAME.ipv6_address", .ipv6Address,
            .optional("that of pair.nodes"),
            "The node's own IPv6 address on the interface of this virtual router.",
            example: "ipv6_address: fd00:1::1"),
    ]

    private static let routerWire: [KeyDescription] = [
        KeyDescription(
            "pair.virtual_routers[].transport", .choice(words(AdvertisementTransport.self)),
            .word("multicast"),
            "How adverts reach the other node; unicast is for networks without multicast.",
            example: "transport: multicast"),
        KeyDescription(
            "pair.virtual_routers[].version", .integer(2...3), .integer(3),
            "VRRP version that is sent; 2 is for old peers and stock keepalived (IPv4 alone).",
            tooSmall: "version 1 is not in use anywhere",
            tooLarge: "there is no later version",
            example: "version: 3"),
        KeyDescription(
            "pair.virtual_routers[].checksum", .choice(words(AdvertisementChecksum.self)),
            .word("rfc9568"),
            "Which bytes the IPv4 checksum covers; stock keepalived and FRR demand rfc5798.",
            example: "checksum: rfc5798"),
        KeyDescription(
            "pair.virtual_routers[].authentication",
            .choice(words(AdvertisementAuthentication.self)), .word("off"),
            "Whether adverts are signed with the pair's secret and unsigned ones ignored.",
            example: "authentication: hmac"),
        KeyDescription(
            "pair.virtual_routers[].virtual_mac", .boolean, .boolean(false),
            "Whether the addresses have the virtual MAC 00-00-5E-00-01-VRID (RFC 9568 section "
                + "7.3).",
            example: "virtual_mac: true"),
    ]

    private static let routerModes: [KeyDescription] = [
        KeyDescription(
            "pair.virtual_routers[].group", .name, .optional("none, it moves alone"),
            "Virtual routers of one group are active on the same node.",
            example: "group: main"),
        KeyDescription(
            "pair.virtual_routers[].takeover", .choice(words(TakeoverMode.self)), .word("safe"),
            "Which silence lets the backup take over: that of the adverts alone (fast), or also "
                + "that of the pair link (safe).",
            example: "takeover: safe"),
        KeyDescription(
            "pair.virtual_routers[].announce", .choice(words(AnnounceMode.self)), .word("lan"),
            "lan: one node at a time answers on the LAN; route: every healthy node holds the "
                + "addresses and a routing daemon exports them.",
            example: "announce: lan"),
        KeyDescription(
            "pair.virtual_routers[].announce_interval",
            .duration(.seconds(1) ... .seconds(3_600), step: nil), .duration(.seconds(10)),
            "How often the active node announces its addresses again without a reason.",
            tooSmall: "every host of the LAN handles an announcement a second for each address",
            tooLarge: "a switch or neighbour that missed a takeover stays wrong for that long",
            example: "announce_interval: 10s"),
    ]

    /// The words of a choice in the order of its type.
    static func words<Choice: CaseIterable & RawRepresentable<String>>(
        _ choice: Choice.Type
    ) -> [String] {
        choice.allCases.map(\.rawValue)
    }
}
