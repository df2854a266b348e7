// SPDX-License-Identifier: Apache-2.0
//
// Goal: an Active that was frozen and wakes gives up before it says anything, on the LAN or on the
// pair link, and its successor never notices. Method: two nodes, each on a loop of its own; a node
// is frozen by not running its loop. Their link is made of calls, as the pair thread makes them,
// with heartbeats due before everything else.

import ConfigurationCore
import EventLoop
import LinuxIO
import NamespaceLaboratory
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

/// Two groups on two loops with a link between them.
private final class FreezablePair {
    static let beatInterval = TimeSpan.milliseconds(5)

    let loops: [EventLoop]
    let groups: [VirtualRouterGroup]

    init(_ nodes: NodePair) throws {
        loops = [try EventLoop(), try EventLoop()]
        var groups: [VirtualRouterGroup] = []
        for (node, loop) in zip([nodes.a, nodes.b], loops) {
            groups.append(
                try nodes.inNamespace(of: node) {
                    try VirtualRouterGroup(
                        pair: nodes.pair, node: node.configuration,
                        peer: nodes.peer(of: node).configuration, plan: nil, loop: loop,
                        logger: Logger("vrrp", sink: nil))
                })
        }
        self.groups = groups
    }

    func start() {
        for index in groups.indices {
            groups[index].start()
            beat(from: index)
        }
    }

    /// What PairLink and PairDriver do when a heartbeat's timer fires.
    private func beat(from index: Int) {
        groups[index].noticeTime()
        let reports = groups[index].linkReports
        let sentAt = Clock.now()
        // It waits in the socket for as long as the other node is frozen.
        loops[1 - index].schedule(at: sentAt) { [weak self] in
            self?.groups[1 - index].peerHeard(reports, at: Clock.now())
        }
        loops[index].schedule(after: Self.beatInterval) { [weak self] in self?.beat(from: index) }
    }

    func state(_ index: Int) -> VirtualRouterState { groups[index].speakers[0].state }

    /// Runs the loops of some nodes until `condition` holds.
    func run(_ nodes: [Int], seconds: UInt64 = 5, _ condition: () -> Bool) -> Bool {
        let deadline = Clock.now() + .seconds(seconds)
        while Clock.now() < deadline {
            if condition() { return true }
            for node in nodes {
                _ = loops[node].run(until: Clock.now() + .milliseconds(1)) { false }
            }
        }
        return condition()
    }

    func close() {
        for group in groups { group.close() }
    }
}

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct ThawTests {
    /// Long enough that a busy test host does not freeze the other node as well.
    static let interval = TimeSpan.milliseconds(300)

    @Test(arguments: TakeoverMode.allCases)
    func aThawedActiveGivesUpBeforeItSaysAnything(_ takeover: TakeoverMode) throws {
        let router = NodePair.router(interval: Self.interval) { $0.takeover = takeover }
        try NodePair.run(router) { nodes in
            let pair = try FreezablePair(nodes)
            defer { pair.close() }
            pair.start()
            #expect(pair.run([0, 1]) { pair.state(0) == .active && pair.state(1) == .backup })

            // Only the other node runs: the link is silent, and so are the adverts.
            #expect(pair.run([1]) { pair.state(1) == .active })
            let transitions = pair.groups[1].speakers[0].report.transitions.value
            let limit = Clock.now() + .seconds(1)
            #expect(pair.run([1]) { Clock.now() > limit })

            let sent = pair.groups[0].speakers[0].currentStatus.counters?.advertisementsSent
            let end = Clock.now() + .milliseconds(500)
            var wasHeardAsActive = false
            #expect(
                pair.run([0, 1]) {
                    let said = pair.groups[1].speakers[0].currentStatus.peerSaid?.state
                    if pair.state(0) != .active, said == .active { wasHeardAsActive = true }
                    return Clock.now() > end
                })
            #expect(pair.state(0) == .backup)
            #expect(pair.groups[0].speakers[0].report.status.cause == .overslept)
            #expect(
                pair.groups[0].speakers[0].currentStatus.counters?.advertisementsSent == sent)
            #expect(!wasHeardAsActive)
            #expect(pair.state(1) == .active)
            #expect(
                pair.groups[1].speakers[0].report.transitions.value == transitions,
                "its successor stepped down for a dead man's word")
        }
    }
}
