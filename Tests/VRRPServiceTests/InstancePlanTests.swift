// SPDX-License-Identifier: Apache-2.0
//
// Goal: the configuration becomes the right virtual routers on the wire. Method: values alone.

import ConfigurationCore
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite struct InstancePlanTests {
    private static let v4 = IPAddress(192, 0, 2, 100)
    private static let v6 = IPAddress.v6(IPv6Address(high: 0x2001_0db8_0000_0000, low: 0x100))
    private static let global = IPv6Address(high: 0x2001_0db8_0000_0000, low: 0x1)
    private static let linkLocal = IPv6Address(high: 0xfe80 << 48, low: 0x1)

    private func router(
        _ id: UInt8, _ addresses: [IPAddress], interface: String = "lan0",
        change: (inout VirtualRouterConfiguration) -> Void = { _ in }
    ) -> VirtualRouterConfiguration {
        var router = VirtualRouterConfiguration(
            id: id, addresses: addresses, interface: interface, advertiseInterval: .seconds(1),
            preempt: false, preemptDelay: .zero, lease: .seconds(2), transport: .multicast)
        change(&router)
        return router
    }

    private func plans(
        _ routers: [VirtualRouterConfiguration], ipv6Address: IPv6Address? = nil
    ) -> [InstancePlan] {
        let nodes = [
            NodeConfiguration(
                name: "a", address: IPv4Address(192, 0, 2, 1), priority: 200,
                ipv6Address: ipv6Address),
            NodeConfiguration(name: "b", address: IPv4Address(192, 0, 2, 2), priority: 100),
        ]
        let pair = PairConfiguration(
            interface: "lan0", nodes: nodes,
            link: PairLinkConfiguration(
                port: 7_946, secretFile: nil, heartbeatInterval: .milliseconds(100)),
            virtualRouters: routers)
        return InstancePlan.plans(pair: pair, node: nodes[0], peer: nodes[1])
    }

    @Test func mixedFamiliesBecomeTwoInstancesThatMoveTogether() {
        let plans = plans([router(51, [Self.v6, Self.v4])])
        #expect(plans.map(\.instance.family) == [.ipv4, .ipv6])
        #expect(plans.map(\.addresses) == [[Self.v4], [Self.v6]])
        #expect(Set(plans.map(\.team)).count == 1)
        #expect(plans.map(\.label) == ["vrid 51", "vrid 51 ipv6"])
    }

    @Test func entriesStandAloneUnlessTheyShareAGroup() {
        let plans = plans([
            router(51, [Self.v4]), router(52, [Self.v4]),
            router(53, [Self.v4]) { $0.group = "main" },
            router(54, [Self.v6]) { $0.group = "main" },
        ])
        #expect(plans[0].team != plans[1].team)
        #expect(plans[2].team == plans[3].team)
        #expect(Set(plans.map(\.team)).count == 3)
    }

    @Test func nodeFactsOfTheRouterWinOverThoseOfThePair() throws {
        let plans = plans([
            router(51, [Self.v4], interface: "lan1") {
                $0.nodes = [
                    "a": VirtualRouterNode(priority: 10, address: IPv4Address(198, 51, 100, 1)),
                    "b": VirtualRouterNode(priority: 20),
                ]
            }
        ])
        let settings = try plans[0].settings(ownAddress: plans[0].ownAddress, isGrouped: false)
        #expect(settings.priority == 10)
        #expect(settings.peerPriorityMax == 20)
        #expect(settings.primaryAddress == IPAddress(198, 51, 100, 1))
        #expect(plans[0].peerAddress == IPAddress(192, 0, 2, 2))
        #expect(plans[0].label == "vrid 51 on lan1")
    }

    @Test func neighboursAreThoseOfTheSameInterfaceAndFamily() {
        let plans = plans([
            router(51, [Self.v4, Self.v6]), router(52, [Self.v4]),
            router(51, [Self.v4], interface: "lan1"),
        ])
        #expect(plans.map(\.virtualRouterIDs) == [[51, 52], [51], [51, 52], [51]])
    }

    @Test func multicastOverIPv6ComesFromALinkLocalAddress() {
        // RFC 9568 §5.1.2.1
        #expect(plans([router(51, [Self.v6])], ipv6Address: Self.global)[0].ownAddress == nil)
        #expect(
            plans([router(51, [Self.v6])], ipv6Address: Self.linkLocal)[0].ownAddress
                == .v6(Self.linkLocal))
        let unicast = router(51, [Self.v6]) { $0.transport = .unicast }
        #expect(plans([unicast], ipv6Address: Self.global)[0].ownAddress == .v6(Self.global))
    }

    @Test func settingsCarryWhatTheEntrySays() throws {
        let plans = plans([
            router(51, [Self.v4, Self.v6]) {
                $0.version = .version2
                $0.checksum = .rfc5798
                $0.takeover = .fast
                $0.announceInterval = .seconds(30)
            }
        ])
        let settings = try plans.map { try $0.settings(ownAddress: nil, isGrouped: true) }
        // Version 2 knows IPv4 alone.
        #expect(settings.map(\.version) == [.version2, .version3])
        #expect(settings.allSatisfy { $0.checksumForm == .rfc5798 && $0.isGrouped })
        #expect(settings.allSatisfy { $0.silenceRule == .adverts })
        #expect(settings.allSatisfy { $0.announcementInterval == .seconds(30) })
        #expect(settings.map(\.primaryAddress) == [.v4(.any), .v6(.any)])
    }

    @Test func routersThatAnnounceRoutesNeedNoInstance() {
        #expect(plans([router(51, [Self.v4]) { $0.announce = .route }]).isEmpty)
    }
}
