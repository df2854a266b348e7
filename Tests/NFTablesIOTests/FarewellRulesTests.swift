// SPDX-License-Identifier: Apache-2.0
//
// Goal: the rules that keep a dead process silent are what they should be, and the kernel takes
// them. Method: the whole text; a namespace with a kernel asked back through the same library. What
// they do is shown by the namespace tests of the real binary.

import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@testable import NFTablesIO

struct FarewellRulesTests {
    private static let rules = FarewellRules(
        addresses: [
            IPAddress(10, 77, 0, 100), .v6(IPv6Address(high: 0xFD77 << 48, low: 0x100)),
            .v6(IPv6Address(high: 0xFD77 << 48, low: 0x101)),
        ])

    @Test func farewellsOfAbsentAddressesGoNowhere() {
        let name = Self.rules.tableName
        #expect(
            Self.rules.installation == """
                table inet \(name) { }
                delete table inet \(name)
                table inet \(name) {
                    chain leaving {
                        type filter hook output priority 0; policy accept;
                        ip saddr { 10.77.0.100 } \
                tcp flags & (fin | rst) != 0 fib saddr type != local drop
                        ip6 saddr { fd77::100, fd77::101 } \
                tcp flags & (fin | rst) != 0 fib saddr type != local drop
                    }
                }

                """)
    }

    @Test func sameAddressesHaveOneTable() {
        let reversed = FarewellRules(addresses: Self.rules.addresses.reversed())
        #expect(reversed.tableName == Self.rules.tableName)
        let other = FarewellRules(addresses: Array(Self.rules.addresses.dropFirst()))
        #expect(other.tableName != Self.rules.tableName)
    }

    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func theyOutliveTheirMakerAndAreMadeOnce() throws {
        try Laboratory.inNewNamespace {
            for _ in 0..<2 { try RulesContext().run(Self.rules.installation) }
            let observer = try RulesContext()
            let ruleset = try observer.run("list ruleset")
            #expect(ruleset.components(of: "chain leaving") == 1)
            #expect(ruleset.components(of: "fib saddr type != local drop") == 2)
            try observer.run(Self.rules.removal)
            #expect(try observer.run("list tables").isEmpty)
        }
    }

    /// RFC 6298: what is not acknowledged is sent again, 200 ms later at the earliest on Linux.
    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func neitherTheFirstNorARepeatedFarewellReachesTheClient() throws {
        try ConnectedHosts.run { hosts in
            let endpoint = try #require(ConnectedHosts.serverIPv6)
            let (_, client, server, _) = try hosts.connect(to: endpoint)
            try RulesContext().run(FarewellRules(addresses: [endpoint.address]).installation)
            // The client's way stays, the address goes: as when a process with a device dies.
            try Laboratory.ip("addr add fd77::3/64 dev cable nodad")
            try Laboratory.ip("addr del fd77::1/64 dev cable")
            server.close()
            #expect(throws: Late.self) {
                try untilTrue(within: .milliseconds(700)) { try client.hasInput() }
            }
        }
    }
}

extension String {
    /// How often `text` occurs.
    fileprivate func components(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
