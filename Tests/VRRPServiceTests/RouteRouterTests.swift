// SPDX-License-Identifier: Apache-2.0
//
// Goal: a route is there exactly while the node can serve, and its addresses outlive it for a
// moment. Method: fake devices on a real loop.

import EventLoop
import LinuxIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite final class RouteRouterTests {
    private static let address = IPAddress(203, 0, 113, 1)

    private let loop: EventLoop
    private let exported = FakePorts()
    private let ordinary = FakePorts()

    init() throws {
        loop = try EventLoop()
    }

    deinit {
        loop.close()
    }

    private func makeRouter(lease: TimeSpan = .seconds(2)) -> RouteRouter {
        RouteRouter(
            instance: VirtualRouterInstance(virtualRouterID: 7, family: .ipv4, interface: "lan0"),
            addresses: [Self.address], lease: lease,
            ports: RouteRouter.Ports(exported: exported, ordinary: ordinary), loop: loop,
            logger: Logger("vrrp", sink: nil))
    }

    @Test func startAnnouncesWithoutAPeer() {
        let router = makeRouter()
        var changes: [SpeakerStateChange] = []
        router.onStateChange = { changes.append($0) }
        router.start()
        #expect(router.isAnnounced)
        #expect(exported.present == [Self.address])
        #expect(ordinary.present.isEmpty)
        #expect(router.report.status.stateName == "active")
        #expect(changes.map(\.transition.to) == [.active])
        #expect(changes.map(\.addresses) == [[Self.address]])
        router.close()
    }

    @Test func faultBeforeTheStartKeepsTheRouteAway() {
        let router = makeRouter()
        router.setFault(.dataPlaneStalled, isPresent: true)
        router.start()
        #expect(exported.present.isEmpty)
        #expect(router.report.status.stateName == "withdrawn")
        router.setFault(.dataPlaneStalled, isPresent: false)
        #expect(exported.present == [Self.address])
        router.close()
    }

    @Test func faultWithdrawsTheRouteAndTheAddressesFollowLater() {
        let router = makeRouter()
        router.start()
        var isHeldAtChange = false
        router.onStateChange = { [ordinary] change in
            isHeldAtChange = ordinary.present == [Self.address] && change.isLingering
        }
        router.setFault(.trackerFailed, isPresent: true)
        #expect(isHeldAtChange)
        #expect(exported.present.isEmpty)
        #expect(router.report.status.faults == [.trackerFailed])
        #expect(router.report.status.isLingering)
        #expect(loop.poll { ordinary.present.isEmpty })
        #expect(!router.report.status.isLingering)
        #expect(router.report.status.heldAddresses.isEmpty)
        router.close()
    }

    @Test func faultThatEndsSoonLeavesNothingBehind() {
        let router = makeRouter()
        router.start()
        router.setFault(.interfaceDown, isPresent: true)
        router.setFault(.interfaceDown, isPresent: false)
        #expect(exported.present == [Self.address])
        #expect(ordinary.present.isEmpty)
        // The planned end of the lingering must not take the addresses of the new route.
        loop.run(for: RouteRouter.faultLingerSpan + .milliseconds(100))
        #expect(exported.present == [Self.address])
        #expect(router.isAnnounced)
        router.close()
    }

    @Test func withdrawalKeepsTheAddressesUntilTheNodeLeaves() {
        let router = makeRouter(lease: .milliseconds(400))
        router.start()
        router.withdraw()
        #expect(exported.present.isEmpty)
        #expect(ordinary.present == [Self.address])
        // The addresses go on the ordinary device before they leave the exported one.
        #expect(ordinary.deeds.first == .put)
        loop.run(for: .milliseconds(250))
        #expect(ordinary.deeds.filter { $0 == .put }.count >= 2, "the lease is renewed")
        // A fault that comes and goes does not bring a leaving node back.
        router.setFault(.interfaceDown, isPresent: true)
        router.setFault(.interfaceDown, isPresent: false)
        #expect(exported.present.isEmpty)
        router.leave()
        #expect(ordinary.present.isEmpty)
    }

    @Test func refusedAddressIsTriedAgain() {
        exported.refusal = .tunnel(.notPermitted)
        let router = makeRouter()
        router.start()
        #expect(router.report.status.faults == [.addressRefused])
        exported.refusal = nil
        #expect(loop.poll { router.isAnnounced })
        #expect(router.report.status.faults.isEmpty)
        router.close()
    }

    @Test func removedAddressIsPutBack() {
        let router = makeRouter()
        router.start()
        exported.present.removeAll()
        router.checkAddresses()
        #expect(exported.present == [Self.address])
        #expect(router.report.lease.healedAddresses.value == 1)
        router.close()
    }

    @Test func metricsSayThatTheRouteIsThereAndNothingAboutElections() {
        let router = makeRouter()
        router.start()
        var text = MetricsText()
        router.report.collect(into: &text)
        let own = "vrid=\"7\",family=\"ipv4\",interface=\"lan0\""
        #expect(text.rendered.contains("tandem_vrrp_state{\(own),state=\"active\"} 1\n"))
        #expect(
            text.rendered.contains("tandem_vrrp_info{\(own),announce=\"route\",group=\"\"} 1\n"))
        #expect(!text.rendered.contains("adverts"))
        router.close()
    }
}
