// SPDX-License-Identifier: Apache-2.0
//
// Goal: the rules that keep a dead process silent are what they should be, and the kernel takes
// them. Method: the whole text; a namespace with a kernel asked back through the same library. What
// they do is shown by the namespace tests of the real binary.

import NamespaceLaboratory
import Testing
import WireCore

@testable import NFTablesIO

struct FarewellRulesTests {
    private static let rules = FarewellRules(
        addresses: [
            IPv6Address(high: 0xFD77 << 48, low: 0x100),
            IPv6Address(high: 0xFD77 << 48, low: 0x101),
        ], owner: 42)

    @Test func farewellsOfAbsentAddressesGoNowhere() {
        #expect(
            Self.rules.installation == """
                table ip6 tandem_farewell_42 {
                    flags owner
                    chain leaving {
                        type filter hook output priority 0; policy accept;
                        ip6 saddr { fd77::100, fd77::101 } \
                tcp flags & (fin | rst) != 0 fib saddr type != local drop
                    }
                }

                """)
    }

    @Test(.enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
    func kernelTakesThemAndTheyGoWithTheirOwner() throws {
        try Laboratory.inNewNamespace {
            let observer = try RulesContext()
            do {
                let context = try RulesContext()
                try context.run(Self.rules.installation)
                #expect(try observer.run("list tables").contains("tandem_farewell_42"))
                #expect(try observer.run("list ruleset").contains("fib saddr type != local drop"))
            }
            #expect(try !observer.run("list tables").contains("tandem_farewell_42"))
        }
    }
}
