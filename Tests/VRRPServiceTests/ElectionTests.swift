// SPDX-License-Identifier: Apache-2.0
//
// Goal: two real speakers on a cable agree who holds the address, whatever happens to them.
// Method: two namespaces, one loop, the kernel asked who has the address.

import ConfigurationCore
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct ElectionTests {
    /// Starts both nodes and waits until `a` is Active and `b` follows it.
    private func elect(
        _ pair: NodePair
    ) throws -> (a: VirtualRouterGroup, b: VirtualRouterGroup) {
        let a = try pair.makeGroup(pair.a)
        let b = try pair.makeGroup(pair.b)
        a.start()
        #expect(pair.wait { a.speakers[0].state == .active })
        b.start()
        #expect(
            pair.wait {
                b.speakers[0].report.status.heardActive?.address
                    == .v4(pair.a.configuration.address)
            })
        #expect(b.speakers[0].state == .backup)
        return (a, b)
    }

    @Test(arguments: [AdvertisementTransport.multicast, .unicast])
    func oneNodeBecomesActiveAndTheOtherFollows(transport: AdvertisementTransport) throws {
        try NodePair.run(NodePair.router(transport: transport)) { pair in
            let (a, b) = try elect(pair)
            #expect(try pair.holdsAddress(pair.a))
            #expect(try !pair.holdsAddress(pair.b))
            pair.loop.run(for: .milliseconds(500))
            #expect(b.speakers[0].state == .backup)
            #expect(a.speakers[0].report.droppedCount == 0)
            #expect(b.speakers[0].report.droppedCount == 0)
        }
    }

    @Test func bothStartingTogetherEndWithOneActive() throws {
        try NodePair.run { pair in
            let a = try pair.makeGroup(pair.a)
            let b = try pair.makeGroup(pair.b)
            b.start()
            a.start()
            #expect(
                pair.wait {
                    [a.speakers[0].state, b.speakers[0].state].sorted { $0.rawValue < $1.rawValue }
                        == [.active, .backup]
                })
            #expect(try pair.holdsAddress(pair.a) != pair.holdsAddress(pair.b))
        }
    }

    @Test(arguments: [AdvertisementTransport.multicast, .unicast])
    func shutdownHandsOverByPriorityZero(transport: AdvertisementTransport) throws {
        try NodePair.run(NodePair.router(transport: transport)) { pair in
            let (a, b) = try elect(pair)
            a.shutDown()
            #expect(try !pair.holdsAddress(pair.a))
            #expect(pair.wait { b.speakers[0].state == .active })
            #expect(try pair.holdsAddress(pair.b))
            #expect(b.speakers[0].report.status.lastFailover?.detectedBecause == .priorityZero)
        }
    }

    @Test func switchoverMovesTheAddressAndItStaysThere() throws {
        try NodePair.run(NodePair.router(preempt: true)) { pair in
            let (a, b) = try elect(pair)
            a.switchOver()
            b.takeOver(b.speakers.map(\.instance), detectedAt: Clock.now())
            #expect(b.speakers[0].state == .active)
            pair.loop.run(for: .milliseconds(600))
            #expect(b.speakers[0].state == .active)
            #expect(a.speakers[0].state == .backup)
            #expect(try !pair.holdsAddress(pair.a))
        }
    }

    @Test func deadProcessIsReplacedAndLeavesNoAddress() throws {
        try NodePair.run(NodePair.router(interval: .seconds(1))) { pair in
            let a = try pair.makeGroup(pair.a)
            let b = try pair.makeGroup(pair.b)
            a.start()
            b.start()
            #expect(pair.wait { a.speakers[0].state == .active })
            #expect(pair.wait { b.speakers[0].report.status.heardActive != nil })
            // What the kernel does at a SIGKILL: every descriptor is closed, nothing is said.
            a.close()
            // A child that another test forks just now keeps the descriptor until its exec.
            #expect(pair.wait { try !pair.holdsAddress(pair.a) })
            b.peerProcessDied(detectedAt: Clock.now())
            #expect(try pair.holdsAddress(pair.b))
            #expect(b.speakers[0].report.status.lastFailover?.detectedBecause == .peerProcessDead)
        }
    }

    @Test func splitThatHealsEndsWithOneActiveAndANewAnnouncement() throws {
        try NodePair.run { pair in
            let (a, b) = try elect(pair)
            try Laboratory.ip("link set \(NodePair.interface) down")
            #expect(pair.wait { a.speakers[0].report.status.faults == [.interfaceDown] })
            #expect(try !pair.holdsAddress(pair.a))
            // The other end of the cable lost its carrier, too.
            #expect(pair.wait { b.speakers[0].report.status.faults == [.interfaceDown] })
            try Laboratory.ip("link set \(NodePair.interface) up")
            #expect(
                pair.wait {
                    [a, b].filter { $0.speakers[0].state == .active }.count == 1
                        && [a, b].filter { $0.speakers[0].state == .backup }.count == 1
                })
            #expect(try pair.holdsAddress(pair.a) != pair.holdsAddress(pair.b))
        }
    }

    @Test func ownAddressThatIsRemovedTakesTheNodeOutOfService() throws {
        try NodePair.run { pair in
            let (a, b) = try elect(pair)
            let own = pair.a.configuration.address
            try Laboratory.ip("addr del \(own)/24 dev \(NodePair.interface)")
            #expect(pair.wait { a.speakers[0].report.status.faults == [.ownAddressMissing] })
            #expect(pair.wait { b.speakers[0].state == .active })
            try Laboratory.ip("addr add \(own)/24 dev \(NodePair.interface)")
            #expect(pair.wait { a.speakers[0].state == .backup })
        }
    }

    @Test func interfaceThatIsMadeAnewIsUsedAgain() throws {
        try NodePair.run { pair in
            let (a, b) = try elect(pair)
            try Laboratory.ip("link del \(NodePair.interface)")
            #expect(pair.wait { a.speakers[0].state == .initialize })
            #expect(pair.wait { b.speakers[0].state == .initialize })
            try pair.connect()
            #expect(
                pair.wait {
                    let states = [a.speakers[0].state, b.speakers[0].state]
                    return states.contains(.active) && states.contains(.backup)
                })
            #expect(a.speakers[0].report.droppedCount == 0)
        }
    }
}
