// SPDX-License-Identifier: Apache-2.0
//
// Goal: the kernel's resets from silenced addresses go nowhere, those that a program asked for
// leave, and without silenced addresses there are no rules. Method: the whole text; a namespace
// with a kernel asked back through the same library.

import NamespaceLaboratory
import Testing
import WireCore

@testable import NFTablesIO

struct ResetSilenceRulesTests {
    private static let rules = ResetSilenceRules(owner: 42)
    private static let addresses = [
        IPAddress(10, 77, 0, 100), IPAddress.v6(IPv6Address(high: 0xFD77 << 48, low: 0x100)),
    ]

    @Test func onlyTheKernelsOwnResetsAreHeldBack() {
        #expect(
            Self.rules.setting(Self.addresses) == """
                table inet tandem_silence_42 { flags owner; }
                delete table inet tandem_silence_42
                table inet tandem_silence_42 {
                    flags owner
                    chain leaving {
                        type filter hook output priority 0; policy accept;
                        tcp flags & (rst | ack) != rst accept
                        ip saddr { 10.77.0.100 } drop
                        ip6 saddr { fd77::100 } drop
                    }
                }

                """)
    }

    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func kernelTakesThemAsOftenAsTheyChange() throws {
        try Laboratory.inNewNamespace {
            let context = try RulesContext()
            for _ in 0..<3 {
                try context.run(Self.rules.setting(Self.addresses))
                try context.run(Self.rules.setting([Self.addresses[1]]))
                let ruleset = try context.run("list ruleset")
                #expect(ruleset.contains("ip6 saddr fd77::100 drop"))
                #expect(!ruleset.contains("10.77.0.100"))
                try context.run(Self.rules.setting([]))
                #expect(try !context.run("list tables").contains("tandem_silence_42"))
            }
        }
    }

    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func kernelsResetIsHeldBackAndAProgramsIsNot() throws {
        try ConnectedHosts.run { hosts in
            let context = try RulesContext()
            let endpoint = try #require(ConnectedHosts.server)
            try context.run(Self.rules.setting([endpoint.address]))
            let (listener, client, server, _) = try hosts.connect(to: endpoint)
            let (_, other, unknown, _) = try hosts.connect(to: endpoint, listener: listener)
            unknown.closeSilently()
            try other.send("to nobody")
            server.reset()
            try untilTrue { (try? client.hasInput()) == nil }
            // The same went unanswered: the client goes on hoping.
            #expect(try !other.hasInput())
            withExtendedLifetime(listener) {}
            try context.run(Self.rules.setting([]))
            // What it sends again meets the kernel's word now.
            try untilTrue { (try? other.hasInput()) == nil }
        }
    }
}
