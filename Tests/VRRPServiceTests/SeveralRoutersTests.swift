// SPDX-License-Identifier: Apache-2.0
//
// Goal: several virtual routers of one node go their own way or together, as configured. Method:
// two namespaces on one or two cables, the kernel asked who has which address.

import ConfigurationCore
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct SeveralRoutersTests {
    private static let second = IPAddress(198, 51, 100, 100)
    private static let other = IPAddress(192, 0, 2, 101)

    private func start(
        _ pair: NodePair
    ) throws -> (a: VirtualRouterGroup, b: VirtualRouterGroup) {
        let a = try pair.makeGroup(pair.a)
        let b = try pair.makeGroup(pair.b)
        a.start()
        b.start()
        return (a, b)
    }

    private func states(_ group: VirtualRouterGroup) -> [VirtualRouterState] {
        group.speakers.map(\.state)
    }

    // MARK: Two families

    @Test func bothFamiliesOfAnEntryAreActiveOnOneNode() throws {
        let addresses = [NodePair.virtualAddress, NodePair.virtualIPv6Address]
        try NodePair.run([NodePair.router(51, addresses)]) { pair in
            let (a, b) = try start(pair)
            #expect(a.speakers.map(\.instance.family) == [.ipv4, .ipv6])
            #expect(
                pair.wait(seconds: 10) {
                    states(a) == [.active, .active] && states(b) == [.backup, .backup]
                        || states(b) == [.active, .active] && states(a) == [.backup, .backup]
                })
            let active = a.speakers[0].state == .active ? pair.a : pair.b
            for address in addresses {
                #expect(try pair.holdsAddress(active, address))
                #expect(try !pair.holdsAddress(pair.peer(of: active), address))
            }
            #expect(
                pair.wait {
                    (a.speakers + b.speakers).filter { $0.state == .backup }
                        .allSatisfy { $0.report.status.heardActive != nil }
                })
            #expect((a.speakers + b.speakers).allSatisfy { $0.report.droppedCount == 0 })
            let group = active === pair.a ? a : b
            let successor = active === pair.a ? b : a
            group.shutDown()
            #expect(pair.wait { states(successor) == [.active, .active] })
            a.close()
            b.close()
        }
    }

    @Test func linkLocalAddressThatComesLateIsUsed() throws {
        let addresses = [NodePair.virtualAddress, NodePair.virtualIPv6Address]
        try NodePair.run([NodePair.router(51, addresses)]) { pair in
            try Laboratory.ip("addr flush dev \(NodePair.interface) scope link")
            let group = try pair.makeGroup(pair.a)
            group.start()
            #expect(group.speakers[0].report.status.faults == [.groupFaulty])
            #expect(group.speakers[1].report.status.faults == [.ownAddressMissing])
            #expect(group.speakers[1].report.status.ownAddress == nil)
            // Duplicate address detection takes a second or two; the kernel tells when it is over.
            try Laboratory.ip("addr add fe80::77/64 dev \(NodePair.interface)")
            #expect(pair.wait(seconds: 10) { states(group) == [.active, .active] })
            let status = group.speakers[1].report.status
            #expect(status.ownAddress == IPAddress("fe80::77"))
            #expect(group.speakers[1].report.sendFailures.value == 0)
            try Laboratory.ip("addr del fe80::77/64 dev \(NodePair.interface)")
            #expect(pair.wait { group.speakers[1].report.status.faults == [.ownAddressMissing] })
            #expect(states(group) == [.initialize, .initialize])
            group.close()
        }
    }

    // MARK: Active/active

    @Test func twoRoutersAreActiveOnTwoNodes() throws {
        let opposite = NodePair.router(52, [Self.other], preempt: true) {
            $0.nodes = [
                "a": VirtualRouterNode(priority: 100), "b": VirtualRouterNode(priority: 200),
            ]
        }
        try NodePair.run([NodePair.router(preempt: true), opposite]) { pair in
            let (a, b) = try start(pair)
            #expect(
                pair.wait {
                    states(a) == [.active, .backup] && states(b) == [.backup, .active]
                })
            #expect(try pair.holdsAddress(pair.a, NodePair.virtualAddress))
            #expect(try pair.holdsAddress(pair.b, Self.other))
            a.close()
            b.peerProcessDied(detectedAt: Clock.now())
            #expect(states(b) == [.active, .active])
            #expect(try pair.holdsAddress(pair.b, NodePair.virtualAddress))
            #expect(b.activeInstances.map(\.virtualRouterID) == [51, 52])
            b.close()
        }
    }

    // MARK: Several interfaces

    @Test func sameNumberOnTwoInterfacesIsTwoRouters() throws {
        let routers = [
            NodePair.router(), NodePair.router(51, [Self.second], on: NodePair.secondInterface),
        ]
        try NodePair.run(routers) { pair in
            let (a, b) = try start(pair)
            #expect(pair.wait { states(a) == [.active, .active] })
            // Only one cable is cut: only its router changes.
            try Laboratory.ip("link set \(NodePair.secondInterface) down")
            #expect(pair.wait { states(a) == [.active, .initialize] })
            #expect(a.speakers[0].report.status.faults.isEmpty)
            #expect(a.speakers[1].report.status.faults == [.interfaceDown])
            #expect(try !pair.holdsAddress(pair.a, Self.second))
            try Laboratory.ip("link set \(NodePair.secondInterface) up")
            #expect(
                pair.wait {
                    [a.speakers[1].state, b.speakers[1].state].contains(.active)
                        && [a.speakers[1].state, b.speakers[1].state].contains(.backup)
                })
            #expect(a.speakers[0].state == .active)
            #expect((a.speakers + b.speakers).allSatisfy { $0.report.droppedCount == 0 })
            var text = MetricsText()
            for report in a.reports { report.collect(into: &text) }
            let samples = text.rendered.split(separator: "\n").filter { !$0.hasPrefix("#") }
                .map { $0.prefix { $0 != " " } }
            #expect(Set(samples).count == samples.count, "no sample twice")
            a.close()
            b.close()
        }
    }

    @Test func heartbeatEntriesOfOneNumberAreToldApartByTheirOrder() throws {
        let routers = [
            NodePair.router(interval: .seconds(1)),
            NodePair.router(
                51, [Self.second], on: NodePair.secondInterface, interval: .seconds(1)),
        ]
        try NodePair.run(routers) { pair in
            let group = try pair.makeGroup(pair.b)
            group.start()
            let now = Clock.now()
            group.peerHeard(
                [
                    PeerRouterHeard(virtualRouterID: 51, state: .backup, priority: 200),
                    PeerRouterHeard(virtualRouterID: 51, state: .active, priority: 200),
                    PeerRouterHeard(virtualRouterID: 51, state: .active, priority: 200),
                    PeerRouterHeard(virtualRouterID: 77, state: .active, priority: 200),
                ], at: now)
            #expect(group.statuses.map { $0.peerSaid?.state } == [.backup, .active])
            // The second one gives up: only that is taken over at once.
            group.peerHeard(
                [
                    PeerRouterHeard(virtualRouterID: 51, state: .backup, priority: 200),
                    PeerRouterHeard(virtualRouterID: 51, state: .backup, priority: 200),
                ], at: now)
            #expect(states(group) == [.backup, .active])
            #expect(group.linkReports.map(\.state) == [.backup, .active])
            #expect(group.heartbeatIntervalWanted == .seconds(1))
            group.close()
        }
    }

    /// A node that did not run reads old words first, and newer ones behind them.
    @Test func oldOrderIsTakenBackByWhatFollows() throws {
        try NodePair.run(NodePair.router(interval: .seconds(1))) { pair in
            for isTakenBack in [true, false] {
                let group = try pair.makeGroup(pair.b)
                group.start()
                func hear(_ state: VirtualRouterState) {
                    group.peerHeard(
                        [PeerRouterHeard(virtualRouterID: 51, state: state, priority: 200)],
                        at: Clock.now())
                }
                hear(.active)
                group.ranLate(by: .milliseconds(200))
                hear(.backup)
                #expect(states(group) == [.backup], "not before what waits was read")
                if isTakenBack { hear(.active) }
                let end = Clock.now() + .milliseconds(50)
                #expect(pair.wait { Clock.now() > end })
                #expect(states(group) == [isTakenBack ? .backup : .active])
                group.close()
            }
        }
    }

    @Test func groupLeavesWithItsInterface() throws {
        let routers = [
            NodePair.router { $0.group = "main" },
            NodePair.router(52, [Self.second], on: NodePair.secondInterface) { $0.group = "main" },
        ]
        try NodePair.run(routers) { pair in
            let (a, b) = try start(pair)
            #expect(
                pair.wait {
                    [states(a), states(b)].contains([.active, .active])
                        && [states(a), states(b)].contains([.backup, .backup])
                })
            let active = states(a) == [.active, .active] ? pair.a : pair.b
            let (old, new) = active === pair.a ? (a, b) : (b, a)
            // One end of a veth cable takes the carrier of the other along: so the address goes.
            let address = active === pair.a ? "198.51.100.1" : "198.51.100.2"
            try pair.inNamespace(of: active) {
                try Laboratory.ip("addr del \(address)/24 dev \(NodePair.secondInterface)")
            }
            #expect(pair.wait { states(old) == [.initialize, .initialize] })
            #expect(old.speakers[0].report.status.faults == [.groupFaulty])
            #expect(old.speakers[1].report.status.faults == [.ownAddressMissing])
            #expect(pair.wait { states(new) == [.active, .active] })
            #expect(try !pair.holdsAddress(active))
            #expect(try pair.holdsAddress(pair.peer(of: active)))
            a.close()
            b.close()
        }
    }

    // MARK: Quiet addresses

    @Test func preparationThatOneRouterRefusesAddsNothing() throws {
        let routers = [
            NodePair.router(interval: .seconds(1)),
            NodePair.router(52, [Self.other], interval: .seconds(1)),
        ]
        try NodePair.run(routers) { pair in
            let group = try pair.makeGroup(pair.b)
            group.start()
            let instances = group.speakers.map(\.instance)
            group.speakers[1].setFault(.heldBack, isPresent: true)
            #expect(!group.prepare(instances))
            #expect(try !pair.holdsAddress(pair.b))
            group.speakers[1].setFault(.heldBack, isPresent: false)
            #expect(group.prepare(instances))
            #expect(try pair.holdsAddress(pair.b))
            #expect(try pair.holdsAddress(pair.b, Self.other))
            #expect(states(group) == [.backup, .backup])
            group.takeOver(instances, detectedAt: Clock.now())
            #expect(states(group) == [.active, .active])
            group.yield(instances, isLingering: true)
            #expect(try pair.holdsAddress(pair.b))
            group.endLingering(instances)
            #expect(try !pair.holdsAddress(pair.b))
            #expect(group.withGroups([instances[0]]) == [instances[0]])
            group.close()
        }
    }

    @Test func loweredPriorityAsksForAHandoverOnceThePeerIsBetter() throws {
        try NodePair.run(NodePair.router(interval: .seconds(1))) { pair in
            let group = try pair.makeGroup(pair.a)
            var wanted: [[VirtualRouterInstance]] = []
            group.onHandoverWanted = { wanted.append($0) }
            group.start()
            group.peerProcessDied(detectedAt: Clock.now())
            #expect(states(group) == [.active])
            // As if the link and the part were old.
            group.advice = [HandoverAdvice(heartbeatInterval: .milliseconds(100))]
            group.advice[0].linkCameUp(now: Instant(nanoseconds: 0))
            func hear(isFaulty: Bool = false) {
                group.peerHeard(
                    [
                        PeerRouterHeard(
                            virtualRouterID: 51, state: .backup, priority: 180,
                            isFaulty: isFaulty)
                    ], at: Clock.now())
            }
            hear()
            group.setPenalty(points: 10)
            hear()
            #expect(wanted.isEmpty, "the peer is not better")
            group.setPenalty(points: 50)
            hear(isFaulty: true)
            #expect(wanted.isEmpty, "the peer cannot serve")
            hear()
            hear()
            #expect(wanted == [[group.speakers[0].instance]])
            group.close()
        }
    }

    // MARK: Routes

    @Test func routesAreHeldOnADeviceOfTheirOwnWithoutAPeer() throws {
        let router = NodePair.router { $0.announce = .route }
        try NodePair.run([router]) { pair in
            let group = try VirtualRouterGroup(
                pair: pair.pair, node: pair.a.configuration, peer: nil, plan: nil,
                loop: pair.loop, logger: Logger("vrrp", sink: nil))
            group.start()
            #expect(try names(of: NodePair.virtualAddress) == ["tandem-rt0"])
            #expect(group.statuses.map(\.stateName) == ["active"])
            group.withdrawRoutes()
            #expect(try names(of: NodePair.virtualAddress) == ["tandem0"])
            #expect(group.statuses.map(\.stateName) == ["withdrawn"])
            group.shutDown()
            #expect(try names(of: NodePair.virtualAddress).isEmpty)
            group.close()
            #expect(throws: NetlinkError.self) { try NetlinkSocket().link(named: "tandem-rt0") }
        }
    }

    @Test func routeFollowsItsInterface() throws {
        let router = NodePair.router { $0.announce = .route }
        try NodePair.run([router]) { pair in
            let group = try pair.makeGroup(pair.a)
            group.start()
            #expect(try names(of: NodePair.virtualAddress) == ["tandem-rt0"])
            try Laboratory.ip("link set \(NodePair.interface) down")
            #expect(pair.wait { group.statuses[0].faults == [.interfaceDown] })
            #expect(try names(of: NodePair.virtualAddress) == ["tandem0"])
            try Laboratory.ip("link set \(NodePair.interface) up")
            #expect(pair.wait { try names(of: NodePair.virtualAddress) == ["tandem-rt0"] })
            try Laboratory.ip("link del tandem-rt0")
            #expect(pair.wait { try names(of: NodePair.virtualAddress) == ["tandem-rt0"] })
            group.close()
        }
    }

    /// The interfaces of the calling thread's namespace that have `address`.
    private func names(of address: IPAddress) throws -> [String] {
        let netlink = try NetlinkSocket()
        return try netlink.addresses().filter { $0.address == address }
            .map { try netlink.link(index: $0.interfaceIndex).name }
    }

    @Test func electionWithoutAPeerIsRefused() throws {
        try NodePair.run { pair in
            #expect(throws: VirtualRouterSetUpError.noPeer) {
                try VirtualRouterGroup(
                    pair: pair.pair, node: pair.a.configuration, peer: nil, plan: nil,
                    loop: pair.loop, logger: Logger("vrrp", sink: nil))
            }
        }
    }
}
