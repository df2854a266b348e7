// SPDX-License-Identifier: Apache-2.0
//
// Goal: an Active that was frozen and wakes gives up before it says anything, on the LAN or on the
// pair link, and its successor never notices. Method: two nodes, each on a loop of its own; a node
// is frozen by not running its loop. Their link is made of calls, as the pair thread makes them.

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
    let beatInterval: TimeSpan
    let loops: [EventLoop]
    let groups: [VirtualRouterGroup]

    init(_ nodes: NodePair, beatInterval: TimeSpan) throws {
        self.beatInterval = beatInterval
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

    deinit {
        for loop in loops { loop.close() }
    }

    func start() {
        for index in groups.indices {
            // What PairDriver does: the peer hears of every change at once.
            groups[index].onStateChange = { [weak self] _ in self?.send(from: index) }
            groups[index].start()
            beat(from: index)
        }
    }

    /// What PairLink and PairDriver do when a heartbeat's timer fires.
    private func beat(from index: Int) {
        groups[index].noticeTime()
        send(from: index)
        loops[index].schedule(after: beatInterval) { [weak self] in self?.beat(from: index) }
    }

    private func send(from index: Int) {
        let reports = groups[index].linkReports
        let sentAt = Clock.now()
        // It waits in the socket for as long as the other node is frozen.
        loops[1 - index].schedule(at: sentAt) { [weak self] in
            self?.groups[1 - index].peerHeard(reports, at: Clock.now())
        }
    }

    /// Whether all virtual routers of a node are in one state.
    func isAll(_ state: VirtualRouterState, _ index: Int) -> Bool {
        groups[index].speakers.allSatisfy { $0.state == state }
    }

    /// What a node has done so far, by virtual router.
    func counts(_ count: (Speaker) -> UInt64, _ index: Int) -> [UInt64] {
        groups[index].speakers.map(count)
    }

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

    /// One virtual router of each mode.
    static let routers = [
        NodePair.router(51, interval: interval) { $0.takeover = .safe },
        NodePair.router(52, [IPAddress(192, 0, 2, 101)], interval: interval) {
            $0.takeover = .fast
        },
    ]

    /// With frequent heartbeats one of them is the first thing that is due after the thaw; with
    /// rare ones the first is an advert, and the beat that follows from giving up that router.
    @Test(arguments: [TimeSpan.milliseconds(5), .seconds(60)])
    func aThawedActiveGivesUpBeforeItSaysAnything(beatInterval: TimeSpan) throws {
        try NodePair.run(Self.routers) { nodes in
            let pair = try FreezablePair(nodes, beatInterval: beatInterval)
            defer { pair.close() }
            pair.start()
            #expect(pair.run([0, 1]) { pair.isAll(.active, 0) && pair.isAll(.backup, 1) })

            // Only the other node runs: the link is silent, and so are the adverts.
            #expect(pair.run([1]) { pair.isAll(.active, 1) })
            let transitions = pair.counts({ $0.report.transitions.value }, 1)
            let limit = Clock.now() + .seconds(1)
            #expect(pair.run([1]) { Clock.now() > limit })

            let sent = pair.counts({ $0.machine.counters.advertisementsSent }, 0)
            let end = Clock.now() + .milliseconds(500)
            #expect(pair.run([0, 1]) { Clock.now() > end })
            #expect(pair.isAll(.backup, 0))
            for speaker in pair.groups[0].speakers {
                #expect(speaker.report.status.cause == .overslept)
            }
            #expect(pair.counts({ $0.machine.counters.advertisementsSent }, 0) == sent)
            #expect(pair.isAll(.active, 1))
            #expect(
                pair.counts({ $0.report.transitions.value }, 1) == transitions,
                "its successor stepped down for a dead man's word")
        }
    }
}
