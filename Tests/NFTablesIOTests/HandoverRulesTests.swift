// SPDX-License-Identifier: Apache-2.0
//
// Goal: the rules of a switchover are what was proven by hand in network namespaces, and the
// kernel takes them. Method: whole texts compared; a namespace of its own per test with a kernel
// asked back through the same library.

import NamespaceLaboratory
import Testing
import WireCore

@testable import NFTablesIO

private func path4(addresses: [IPAddress] = [IPAddress(10, 77, 0, 100)]) throws -> HandoverPath {
    try #require(
        HandoverPath(
            interface: "eth0", ownAddress: IPAddress(10, 77, 0, 11),
            peerAddress: IPAddress(10, 77, 0, 12),
            peerHardwareAddress: [0x02, 0xAB, 0, 0, 0x0C, 0x12], addresses: addresses))
}

private func path6() throws -> HandoverPath {
    let prefix: UInt64 = 0xFD77 << 48
    return try #require(
        HandoverPath(
            interface: "eth0", ownAddress: .v6(IPv6Address(high: prefix, low: 0x11)),
            peerAddress: .v6(IPv6Address(high: prefix, low: 0x12)),
            peerHardwareAddress: [], addresses: [.v6(IPv6Address(high: prefix, low: 0x100))]))
}

struct HandoverRulesTests {
    @Test func oldNodePassesNewConnectionsOn() throws {
        let rules = HandoverRules(
            role: .old, paths: [try path4()], owner: 42, movesConnections: false)
        let key = "ip saddr . tcp sport . ip daddr . tcp dport"
        #expect(
            rules.installation == """
                table ip tandem_handover_42 {
                    flags owner
                    set held0 {
                        type ipv4_addr
                    }
                    set begun0 {
                        type ipv4_addr . inet_service . ipv4_addr . inet_service
                        size 262144
                        flags dynamic
                    }
                    chain path0 {
                        ether saddr 02:ab:00:00:0c:12 accept
                        tcp flags & (syn | ack) == syn add @begun0 { \(key) }
                        tcp flags & (syn | ack) == syn dup to 10.77.0.12 device "eth0" drop
                        \(key) @begun0 dup to 10.77.0.12 device "eth0" drop
                    }
                    chain arriving {
                        type filter hook prerouting priority -300; policy accept;
                        iifname != "lo" ip daddr @held0 meta l4proto tcp jump path0
                    }
                }
                table arp tandem_handover_42 {
                    flags owner
                    set silent {
                        type ipv4_addr
                    }
                    chain asking {
                        type filter hook output priority 0; policy accept;
                        arp operation reply arp saddr ip @silent drop
                        oifname "eth0" arp operation request arp saddr ip @silent arp saddr ip \
                set 10.77.0.11
                    }
                }

                """)
        #expect(
            rules.activation == """
                add element ip tandem_handover_42 held0 { 10.77.0.100 }
                add element arp tandem_handover_42 silent { 10.77.0.100 }

                """)
        #expect(
            rules.removal == """
                delete table ip tandem_handover_42
                delete table arp tandem_handover_42

                """)
    }

    @Test func newNodePassesOnWhatItDoesNotKnow() throws {
        let rules = HandoverRules(
            role: .new, paths: [try path6()], owner: 7, movesConnections: false)
        let key = "ip6 saddr . tcp sport . ip6 daddr . tcp dport"
        #expect(
            rules.installation == """
                table ip6 tandem_handover_7 {
                    flags owner
                    set held0 {
                        type ipv6_addr
                        elements = { fd77::100 }
                    }
                    set begun0 {
                        type ipv6_addr . inet_service . ipv6_addr . inet_service
                        size 262144
                        flags dynamic
                    }
                    chain path0 {
                        tcp flags & (syn | ack) == syn add @begun0 { \(key) }
                        tcp flags & (syn | ack) == syn accept
                        \(key) @begun0 accept
                        dup to fd77::12 device "eth0" drop
                    }
                    chain arriving {
                        type filter hook prerouting priority -300; policy accept;
                        iifname != "lo" ip6 daddr @held0 meta l4proto tcp jump path0
                        iifname != "lo" ip6 daddr @held0 icmpv6 type { destination-unreachable, \
                packet-too-big } dup to fd77::12 device "eth0"
                    }
                }

                """)
        #expect(rules.loudness == nil)
    }

    @Test func oldNodeResetsNobodyWhoHasMoved() throws {
        let rules = HandoverRules(
            role: .old, paths: [try path4()], owner: 42, movesConnections: true)
        let key = "ip saddr . tcp sport . ip daddr . tcp dport"
        let reset = "oifname != \"lo\" ip saddr @held0 tcp flags & (rst | ack) == rst"
        #expect(
            rules.installation.contains(
                """
                    chain path0 {
                        tcp flags & (syn | ack) == syn add @begun0 { \(key) }
                        tcp flags & (syn | ack) == syn dup to 10.77.0.12 device "eth0" drop
                        \(key) @gone0 drop
                        \(key) @begun0 dup to 10.77.0.12 device "eth0" drop
                        ether saddr 02:ab:00:00:0c:12 accept
                    }

                """))
        #expect(
            rules.installation.contains(
                """
                    chain leaving {
                        type filter hook output priority 0; policy accept;
                        \(reset) add @gone0 { ip daddr . tcp dport . ip saddr . tcp sport \
                timeout 1s }
                        \(reset) add @begun0 { ip daddr . tcp dport . ip saddr . tcp sport }
                        \(reset) drop
                    }

                """))
    }

    @Test func withoutHardwareAddressNothingIsPassedBack() throws {
        let rules = HandoverRules(
            role: .old, paths: [try path6()], owner: 42, movesConnections: true)
        let reset = "oifname != \"lo\" ip6 saddr @held0 tcp flags & (rst | ack) == rst"
        #expect(
            rules.installation.contains(
                """
                        \(reset) add @gone0 { ip6 daddr . tcp dport . ip6 saddr . tcp sport \
                timeout 1s }
                        \(reset) drop
                """))
    }

    @Test func newNodeKnowsWhoHasMovedByTheMark() throws {
        let rules = HandoverRules(
            role: .new, paths: [try path4()], owner: 42, movesConnections: true)
        #expect(
            rules.installation.contains(
                """
                    chain path0 {
                        socket mark 0x74646164 accept
                        tcp flags & (syn | ack) == syn add @begun0
                """))
        #expect(!rules.installation.contains("leaving"))
    }

    @Test func pathsThatNoRuleCanNameAreRefused() {
        func path(
            _ interface: String, peer: IPAddress = IPAddress(10, 0, 0, 2),
            hardware: [UInt8] = [], addresses: [IPAddress] = [IPAddress(10, 0, 0, 3)]
        ) -> HandoverPath? {
            HandoverPath(
                interface: interface, ownAddress: IPAddress(10, 0, 0, 1), peerAddress: peer,
                peerHardwareAddress: hardware, addresses: addresses)
        }
        #expect(path("eth0.100@x:1") != nil)
        for name in ["", "a b", "a\"b", "a\\b", "a\nb"] { #expect(path(name) == nil, "\(name)") }
        #expect(path("eth0", peer: .v6(.loopback)) == nil)
        #expect(path("eth0", hardware: [1, 2, 3]) == nil)
        #expect(path("eth0", addresses: []) == nil)
        #expect(path("eth0", addresses: [.v6(.loopback)]) == nil)
    }
}

@Suite(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct RulesContextTests {
    private func tables(_ context: borrowing RulesContext) throws -> String {
        try context.run("list tables")
    }

    @Test(arguments: [HandoverRules.Role.old, .new], [false, true])
    func kernelTakesTheRulesAndForgetsThemWithTheirContext(
        _ role: HandoverRules.Role, moves: Bool
    ) throws {
        try Laboratory.inNewNamespace {
            try Laboratory.ip("link add eth0 type veth peer name b0")
            let rules = HandoverRules(
                role: role, paths: [try path4(), try path6()], owner: 9, movesConnections: moves)
            let observer = try RulesContext()
            do {
                let context = try RulesContext()
                try context.run(rules.installation)
                if role == .old { try context.run(rules.activation) }
                try context.run(try #require(rules.loudness))
                for family in ["ip", "ip6", "arp"] {
                    let found = try tables(observer)
                    #expect(found.contains("table \(family) tandem_handover_9"))
                }
                // Nobody else can take an owner's tables away.
                #expect(throws: RulesError.self) { try observer.run(rules.removal) }
                try context.run(rules.removal)
                #expect(try tables(observer).isEmpty)
                try context.run(rules.installation)
            }
            #expect(try tables(observer).isEmpty)
        }
    }

    @Test func trialIsTakenAndLeavesNothing() throws {
        try Laboratory.inNewNamespace {
            let context = try RulesContext()
            for (role, moves) in [(HandoverRules.Role.old, true), (.new, true), (.old, false)] {
                let trial = HandoverRules.trial(role: role, owner: 1, movesConnections: moves)
                try context.run(trial.installation)
                try context.run(trial.removal)
                #expect(try tables(context).isEmpty)
            }
        }
    }

    @Test func refusalIsOneLine() throws {
        try Laboratory.inNewNamespace {
            let context = try RulesContext()
            let error = #expect(throws: RulesError.self) {
                try context.run("delete table ip nowhere")
            }
            #expect(error?.description.contains("No such file") == true)
            #expect(error?.description.contains("\n") == false)
        }
    }
}
