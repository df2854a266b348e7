// SPDX-License-Identifier: Apache-2.0
//
// Goal: acknowledgements leave while signs of life come and not without; data leaves for as long as
// nobody else can have taken over.
// Method: a connection between two namespaces whose server is told to acknowledge late; what the
// client's kernel still holds shows whether the acknowledgement came.

import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

@testable import NFTablesIO

struct FreezeGuardRulesTests {
    private static func rules(_ endpoint: Endpoint) -> FreezeGuardRules {
        FreezeGuardRules(
            addresses: [endpoint.address], ports: [endpoint.port],
            silenceSpan: .milliseconds(1_000), owner: 42)
    }

    @Test func onlyWhatIsNothingButAnAcknowledgementIsHeldBack() throws {
        let text = Self.rules(try #require(ConnectedHosts.server)).installation
        #expect(text.contains("ip saddr { 10.77.0.1 } tcp sport { 8080 } goto carried"))
        // With time stamps, the usual one.
        #expect(text.contains("ip length 52 tcp doff 8 counter name held drop"))
        #expect(text.contains("ip length 40 tcp doff 5 counter name held drop"))
        #expect(text.contains("ip length 80 tcp doff 15 counter name held drop"))
        #expect(!text.contains("ip6"))
        let ipv6 = Self.rules(try #require(ConnectedHosts.serverIPv6)).installation
        #expect(ipv6.contains("ip6 length 32 tcp doff 8 counter name held drop"))
        #expect(!ipv6.contains("ip saddr"))
    }

    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func acknowledgementsNeedASignOfLife() throws {
        try ConnectedHosts.run { hosts in
            for endpoint in [ConnectedHosts.server, ConnectedHosts.serverIPv6] {
                let endpoint = try #require(endpoint)
                let context = try RulesContext()
                let rules = Self.rules(endpoint)
                try context.run(rules.installation)
                let sign = try LifeSign(mark: FreezeGuardRules.lifeSignMark)
                sign.send()
                #expect(try context.run(rules.look).contains("elements"))
                let (_, client, server, _) = try hosts.connect(to: endpoint)
                try client.send("unheard")
                // As if stopped: nobody reads, no sign.
                #expect(throws: Late.self) {
                    try untilTrue(within: .milliseconds(150)) {
                        try client.unacknowledgedByteCount() == 0
                    }
                }
                let held = FreezeGuardRules.heldCount(in: try context.run(rules.lookHeld))
                #expect(try #require(held) > 0)
                // Data leaves all the same, and brings the acknowledgement along.
                #expect(try server.receive(7) == "unheard")
                try server.send("answer")
                #expect(try client.receive(6) == "answer")
                try untilTrue { try client.unacknowledgedByteCount() == 0 }
                // Longer without a sign than another node waits: nothing leaves.
                try untilTrue { try !context.run(rules.lookAlive).contains("elements") }
                try server.send("late")
                #expect(throws: Late.self) {
                    try untilTrue(within: .milliseconds(150)) {
                        try server.unacknowledgedByteCount() == 0
                    }
                }
                sign.send()
                #expect(try client.receive(4) == "late")
                ConnectionRepair.delayAcknowledgements(server.descriptor)
                try client.send("heard")
                try untilTrue {
                    sign.send()
                    return try client.unacknowledgedByteCount() == 0
                }
                try context.run(rules.removal)
            }
        }
    }
}
