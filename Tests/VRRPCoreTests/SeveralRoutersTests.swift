// SPDX-License-Identifier: Apache-2.0
//
// Several routers on two nodes that hear each other without delay: active/active, two owners, equal
// priorities, both families.

import Testing
import VRRPCore
import WireCore

/// One node's router on a LAN of routers.
private final class Station {
    let node: Int
    let router: Int
    var machine: VirtualRouterStateMachine
    var isHolding = false

    init(node: Int, router: Int, settings: VirtualRouterSettings) {
        self.node = node
        self.router = router
        machine = VirtualRouterStateMachine(settings: settings)
    }

    var becameActiveCount: UInt64 { machine.counters.becameActive }
}

/// A LAN on which everybody hears every advert at once.
private struct Segment {
    var stations: [Station] = []
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var pending: [(sender: Int, message: ReceivedAdvertisement)] = []

    /// `priorities[node][router]`.
    init(priorities: [[UInt8]], preempts: Bool = true, family: AddressFamily = .ipv4) throws {
        for (node, row) in priorities.enumerated() {
            for (router, priority) in row.enumerated() {
                let settings = try VirtualRouterSettings(
                    virtualRouterID: UInt8(router + 1), priority: priority,
                    primaryAddress: Self.address(family, node: node),
                    addresses: [Self.address(family, node: 100 + router)],
                    advertisementInterval: .milliseconds(100), preempts: preempts)
                stations.append(Station(node: node, router: router, settings: settings))
            }
        }
    }

    static func address(_ family: AddressFamily, node: Int) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(10, 77, 0, UInt8(10 + node))
        case .ipv6: .v6(IPv6Address(high: 0xFE80 << 48, low: UInt64(10 + node)))
        }
    }

    /// The nodes that are Active, by router.
    var actives: [[Int]] {
        let count = (stations.map(\.router).max() ?? -1) + 1
        return (0..<count).map { router in
            stations.indices.filter {
                stations[$0].router == router && stations[$0].machine.state == .active
            }.map { stations[$0].node }
        }
    }

    /// The same for who holds the addresses.
    var holders: [[Int]] {
        let count = (stations.map(\.router).max() ?? -1) + 1
        return (0..<count).map { router in
            stations.indices.filter { stations[$0].router == router && stations[$0].isHolding }
                .map { stations[$0].node }
        }
    }

    mutating func start(node: Int? = nil) {
        for index in stations.indices where node == nil || stations[index].node == node {
            act(index) { $0.startupRequested(now: $1, into: &$2) }
        }
        deliver()
    }

    mutating func stop(node: Int) {
        for index in stations.indices where stations[index].node == node {
            act(index) { $0.shutdownRequested(now: $1, into: &$2) }
        }
        deliver()
    }

    mutating func run(for span: TimeSpan) {
        let end = now + span
        while true {
            let due = stations.indices.compactMap { index in
                stations[index].machine.nextDeadline.map { (index, $0) }
            }.min { $0.1 < $1.1 }
            guard let (index, deadline) = due, deadline <= end else { break }
            now = max(now, deadline)
            act(index) { $0.timerFired(now: $1, into: &$2) }
            deliver()
        }
        now = end
    }

    private mutating func deliver() {
        var budget = 1_000
        while !pending.isEmpty, budget > 0 {
            budget -= 1
            let (sender, message) = pending.removeFirst()
            for index in stations.indices
            where index != sender && stations[index].node != stations[sender].node {
                guard
                    stations[index].machine.settings.virtualRouterID
                        == message.advertisement.virtualRouterID
                else { continue }
                act(index) { $0.advertisementReceived(message, now: $1, into: &$2) }
            }
        }
        precondition(budget > 0, "adverts answer adverts for ever")
    }

    private mutating func act(
        _ index: Int,
        _ event: (inout VirtualRouterStateMachine, Instant, inout [VirtualRouterAction]) -> Void
    ) {
        var actions: [VirtualRouterAction] = []
        event(&stations[index].machine, now, &actions)
        for action in actions {
            switch action {
            case .claimAddresses: stations[index].isHolding = true
            case .releaseAddresses: stations[index].isHolding = false
            case .sendAdvertisement(let priority):
                let settings = stations[index].machine.settings
                pending.append(
                    (
                        index,
                        ReceivedAdvertisement(
                            advertisement: settings.advertisement(priority: priority),
                            source: settings.primaryAddress,
                            destination: Advertisement.group(of: settings.family),
                            checksumForm: .rfc9568)
                    ))
            case .announceAddresses, .recordTransition, .report, .reportSplit, .askPeer,
                .readyToClaim, .noLongerReady:
                break
            }
        }
    }
}

@Suite("Several routers")
struct SeveralRoutersTests {
    @Test("Active/active: each node serves one address, and both when it is alone")
    func eachNodeServesItsOwn() throws {
        var segment = try Segment(priorities: [[200, 100], [100, 200]])
        segment.start()
        segment.run(for: .seconds(5))
        #expect(segment.actives == [[0], [1]])
        #expect(segment.holders == [[0], [1]])
        segment.stop(node: 1)
        segment.run(for: .seconds(1))
        #expect(segment.actives == [[0], [0]])
        segment.start(node: 1)
        segment.run(for: .seconds(5))
        #expect(segment.actives == [[0], [1]], "with Preempt_Mode it comes back")
    }

    @Test("Active/active without Preempt_Mode: a node that returns waits")
    func returningNodeWaits() throws {
        var segment = try Segment(priorities: [[200, 100], [100, 200]], preempts: false)
        segment.start()
        segment.run(for: .seconds(5))
        segment.stop(node: 1)
        segment.run(for: .seconds(1))
        segment.start(node: 1)
        segment.run(for: .seconds(5))
        #expect(segment.actives == [[0], [0]])
    }

    @Test(
        "RFC 9568 §8.3.2, erratum 8298: of two owners the greater address stays, and it stays so",
        arguments: AddressFamily.allCases)
    func twoOwnersResolveByAddress(family: AddressFamily) throws {
        var segment = try Segment(priorities: [[255], [255]], family: family)
        segment.start()
        #expect(segment.actives == [[1]])
        segment.run(for: .seconds(60))
        #expect(segment.actives == [[1]])
        #expect(segment.holders == [[1]])
        #expect(segment.stations.map(\.becameActiveCount) == [1, 1])
    }

    @Test("An owner that lost to another owner takes over when that one leaves")
    func losingOwnerTakesOver() throws {
        var segment = try Segment(priorities: [[255], [255]])
        segment.start()
        segment.run(for: .seconds(10))
        segment.stop(node: 1)
        segment.run(for: .seconds(1))
        #expect(segment.actives == [[0]])
    }

    @Test("Five nodes: the best one serves, and the next best after it")
    func bestOfFiveServes() throws {
        var segment = try Segment(priorities: [[10], [50], [250], [100], [200]])
        segment.start()
        segment.run(for: .seconds(5))
        #expect(segment.actives == [[2]])
        segment.stop(node: 2)
        segment.run(for: ms(50))
        #expect(segment.actives == [[4]], "Skew_Time lets the better one go first")
        #expect(segment.stations.map(\.becameActiveCount) == [0, 0, 1, 0, 1])
    }

    @Test("RFC 9568 §6.4.3: equal priorities everywhere end with the greatest address")
    func equalPrioritiesResolve() throws {
        var segment = try Segment(priorities: [[100], [100], [100]], preempts: false)
        segment.start()
        segment.run(for: .seconds(5))
        #expect(segment.actives.first?.count == 1)
        #expect(segment.holders == segment.actives)
    }
}
