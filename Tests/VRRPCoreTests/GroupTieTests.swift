// SPDX-License-Identifier: Apache-2.0
//
// Two nodes with a group each, whose addresses order them one way for one member and the other way
// for the other: what a split leaves behind, heard on the LAN or on the pair link.

import Testing
import VRRPCore
import WireCore

/// Two nodes of two routers each; adverts and heartbeats take one step, so they can cross.
private final class PairOfGroups {
    private struct Node {
        var group = SyncGroup(memberCount: 2)
        var routers: [RouterUnderTest]
        let own: [IPAddress]
    }

    private static let step = ms(10)
    private var nodes: [Node]
    private var now = TimeSpan.zero
    /// Adverts under way: the receiving node, the member, the priority.
    private var adverts: [(to: Int, member: Int, priority: UInt8)] = []
    /// Which members' adverts pass.
    var passing: Set<Int> = []
    var hasLink = false

    init(silenceRule: SilenceRule) throws {
        let low = IPAddress(10, 77, 0, 12)
        let high = IPAddress(10, 77, 0, 13)
        nodes = try [[high, low], [low, high]].map { own in
            let routers = try own.indices.map { index in
                try RouterUnderTest(
                    interval: ms(100), preempts: false, silenceRule: silenceRule,
                    isGrouped: true, decidesForGroup: index == 0, own: own[index])
            }
            return Node(routers: routers, own: own)
        }
        for (node, member) in all { event(node, member) { $0.startup(at: now) } }
    }

    private var all: [(Int, Int)] { [(0, 0), (0, 1), (1, 0), (1, 1)] }

    var states: [[VirtualRouterState]] { nodes.map { $0.routers.map(\.state) } }
    var claims: [[UInt64]] { nodes.map { $0.routers.map(\.counters.becameActive) } }

    func run(for time: TimeSpan) {
        let end = now + time
        while now < end {
            now = now + Self.step
            let heard = adverts
            let roles = states
            adverts = []
            for advert in heard where passing.contains(advert.member) {
                let source = nodes[1 - advert.to].own[advert.member]
                event(advert.to, advert.member) { [now] in
                    $0.hear(priority: advert.priority, from: source, at: now)
                }
            }
            for (node, member) in all {
                if hasLink {
                    let address = nodes[1 - node].own[member]
                    event(node, member) { [now] in
                        $0.hearOnLink(
                            roles[1 - node][member], priority: 100, from: address, at: now)
                    }
                }
                event(node, member) { [now] in $0.timer(at: now) }
            }
        }
    }

    private func event(
        _ node: Int, _ member: Int, _ body: (RouterUnderTest) -> [VirtualRouterAction]
    ) {
        var commands = take(body(nodes[node].routers[member]), node, member)
        while !commands.isEmpty {
            let command = commands.removeFirst()
            guard nodes[node].group.isDue(command) else { continue }
            let index =
                switch command {
                case .mayClaim(let index): index
                case .mustYield(let index, because: _, lingering: _): index
                case .leave(let index): index
                case .come(let index): index
                }
            commands += take(nodes[node].routers[index].obey(command, at: now), node, index)
        }
    }

    private func take(
        _ actions: [VirtualRouterAction], _ node: Int, _ member: Int
    ) -> [SyncGroup.Command] {
        for case .sendAdvertisement(let priority) in actions {
            adverts.append((1 - node, member, priority))
        }
        return nodes[node].group.observe(actions, of: member)
    }
}

@Suite("Ties between groups")
struct GroupTieTests {
    private static let here = [VirtualRouterState](repeating: .active, count: 2)
    private static let notHere = [VirtualRouterState](repeating: .backup, count: 2)

    private func splitPair(_ rule: SilenceRule) throws -> PairOfGroups {
        let pair = try PairOfGroups(silenceRule: rule)
        pair.run(for: .seconds(2))
        try #require(pair.states == [Self.here, Self.here])
        return pair
    }

    @Test("A split that heals on the LAN leaves the group where its first member says, for good")
    func healsOnLAN() throws {
        let pair = try splitPair(.adverts)
        pair.passing = [0, 1]
        pair.run(for: .seconds(20))
        #expect(pair.states == [Self.here, Self.notHere])
        #expect(pair.claims == [[1, 1], [1, 1]])
    }

    @Test("Heartbeats that cross make one node leave, not both", arguments: SilenceRule.allCases)
    func healsOnLink(rule: SilenceRule) throws {
        let pair = try splitPair(rule)
        pair.hasLink = true
        pair.run(for: .seconds(20))
        #expect(pair.states == [Self.here, Self.notHere])
        #expect(pair.claims == [[1, 1], [1, 1]])
    }

    @Test("The other member decides when the first one is deaf")
    func decidesForDeafMember() throws {
        let pair = try splitPair(.adverts)
        pair.passing = [1]
        pair.run(for: ms(200))
        #expect(pair.states == [Self.here, Self.here], "the first member may still speak")
        pair.run(for: .seconds(20))
        #expect(pair.states == [Self.notHere, Self.here])
        #expect(pair.claims == [[1, 1], [1, 1]])
    }
}
