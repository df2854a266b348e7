// SPDX-License-Identifier: Apache-2.0
//
// Goal: two real speakers on a cable agree who holds the address. Method: two namespaces, one
// loop, the kernel asked who has the address.

import ConfigurationCore
import LinuxIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, Laboratory.needsRoot))
struct ElectionTests {
    @Test(arguments: [AdvertisementTransport.multicast, .unicast])
    func theBetterNodeBecomesActiveAndTheOtherFollows(
        transport: AdvertisementTransport
    ) throws {
        try NodePair.run(NodePair.router(transport: transport)) { pair in
            let a = try pair.makeGroup(pair.a)
            let b = try pair.makeGroup(pair.b)
            a.start()
            b.start()
            #expect(pair.wait { a.speakers[0].state == .active })
            #expect(
                pair.wait {
                    b.speakers[0].report.status.heardActive?.address == pair.a.configuration.address
                })
            #expect(b.speakers[0].state == .backup)
            #expect(try pair.holdsAddress(pair.a))
            #expect(try !pair.holdsAddress(pair.b))
            #expect(a.speakers[0].report.droppedCount == 0)
            #expect(b.speakers[0].report.droppedCount == 0)
        }
    }
}
