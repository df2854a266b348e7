// SPDX-License-Identifier: Apache-2.0
//
// The golden file with every key of the pair, value by value, and what absent keys mean.

import ConfigurationCore
import ConfigurationService
import Testing
import WireCore

@Suite struct EveryPairKeyTests {
    private static func load(_ name: String) throws -> PairConfiguration {
        try #require(GoldenFile.hasSecretFile)
        let text = try GoldenFile(name: name).input
        let loaded = try ConfigurationLoader.load(Array(text.utf8), name: "t", node: .unchecked)
            .get()
        return try #require(loaded.configuration.pair)
    }

    private static func ip(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func nodesAndLinkMeanWhatTheySay() throws {
        let pair = try Self.load("ok-every-pair-key")
        #expect(pair.interface == "eth0")
        #expect(
            pair.nodes == [
                NodeConfiguration(
                    name: "lb1", address: IPv4Address(10, 77, 0, 11), priority: 200, zone: "east",
                    ipv6Address: try Self.ip("fd00:77::11").ipv6),
                NodeConfiguration(
                    name: "lb2", address: IPv4Address(10, 77, 0, 12), priority: 100,
                    ipv6Address: try Self.ip("fe80::12").ipv6),
            ])
        #expect(
            pair.link
                == PairLinkConfiguration(
                    port: 7_950, secretFile: GoldenFile.secretPath,
                    heartbeatInterval: .milliseconds(50)))
        #expect(pair.hasElection)
    }

    @Test func trackersMeanWhatTheySay() throws {
        let track = try Self.load("ok-every-pair-key").track
        #expect(
            track.interfaces == [
                TrackedInterface(name: "eth3", penalty: .points(120), upDelay: .seconds(5)),
                TrackedInterface(name: "eth2.100", penalty: .fault, upDelay: .seconds(1)),
            ])
        #expect(
            track.gateway
                == TrackedGateway(
                    address: try Self.ip("10.77.0.1"), interface: "eth1",
                    interval: .milliseconds(40), fall: 5, rise: 4, penalty: .points(110)))
        #expect(
            track.backends
                == TrackedBackends(
                    pools: ["web"], below: 4_000, above: 6_667, penalty: .points(105)))
        #expect(
            track.scripts == [
                TrackedScript(
                    name: "disk", command: ["/usr/local/bin/check-disk", "--fast", ""],
                    interval: .seconds(5), timeout: .seconds(2), fall: 3, rise: 4,
                    penalty: .points(150)),
                TrackedScript(name: "clock", command: ["/usr/bin/true"]),
            ])
        #expect(track.workerStall == .milliseconds(1_500))
        #expect(track.onDifferentConfiguration == .hold)
    }

    @Test func virtualRoutersMeanWhatTheySay() throws {
        let pair = try Self.load("ok-every-pair-key")
        let routers = pair.virtualRouters
        var first = VirtualRouterConfiguration(
            id: 51, addresses: [try Self.ip("10.77.0.100"), try Self.ip("fd00:77::100")],
            interface: "eth0", advertiseInterval: .milliseconds(100), preempt: true,
            preemptDelay: .seconds(30), lease: .seconds(3), transport: .unicast)
        first.checksum = .rfc5798
        first.group = "main"
        first.takeover = .fast
        first.announceInterval = .seconds(30)
        #expect(routers[0] == first)
        var second = VirtualRouterConfiguration(
            id: 52, addresses: [try Self.ip("10.77.0.101")], interface: "eth0",
            advertiseInterval: .seconds(2), preempt: false, preemptDelay: .zero,
            lease: .seconds(2), transport: .multicast)
        second.version = .version2
        second.virtualMAC = true
        second.nodes = [
            "lb1": VirtualRouterNode(priority: 100), "lb2": VirtualRouterNode(priority: 200),
        ]
        #expect(routers[1] == second)
        #expect(pair.nodes.map { second.node($0).priority } == [100, 200])
        #expect(routers[2].interface == "eth1")
        #expect(routers[2].authentication == .hmac)
        #expect(
            pair.nodes.map { routers[2].node($0).address } == [
                IPv4Address(10, 78, 0, 11), IPv4Address(10, 78, 0, 12),
            ])
        #expect(routers[3].announce == .route)
    }

    @Test func absentKeysHaveTheDefaultsOfTheTypes() throws {
        let pair = try Self.load("ok-pair")
        #expect(pair.track == TrackingConfiguration())
        #expect(
            pair.virtualRouters == [
                VirtualRouterConfiguration(
                    id: 51, addresses: [try Self.ip("10.77.0.100")], interface: "eth0",
                    advertiseInterval: .seconds(1), preempt: false, preemptDelay: .zero,
                    lease: .seconds(2), transport: .multicast)
            ])
    }

    @Test(
        arguments: [
            ("interfaces: { eth1: {} }", TrackingConfiguration(interfaces: [.init(name: "eth1")])),
            (
                "gateway: { address: 10.0.0.254 }",
                TrackingConfiguration(
                    gateway: TrackedGateway(address: IPAddress(10, 0, 0, 254), interface: "eth0"))
            ),
            ("backends: {}", TrackingConfiguration(backends: TrackedBackends())),
            (
                "backends: { below: 30 }",
                TrackingConfiguration(backends: TrackedBackends(below: 3_000, above: 3_000))
            ),
            (
                "scripts: { a: { command: [/bin/a] } }",
                TrackingConfiguration(scripts: [.init(name: "a", command: ["/bin/a"])])
            ),
            ("{}", TrackingConfiguration()),
        ])
    func trackersHaveTheDefaultsOfTheTypes(text: String, wanted: TrackingConfiguration) throws {
        let track = text == "{}" ? text : "{ \(text) }"
        let file = PairFile.text(pair: ["track: \(track)"])
        let loaded = try ConfigurationLoader.load(Array(file.utf8), name: "t", node: .unchecked)
            .get()
        #expect(loaded.configuration.pair?.track == wanted)
    }
}

/// A file with a pair that is right but for what a test adds.
enum PairFile {
    /// `pair` and `router` are lines beside the usual ones; a key that they write replaces its own.
    static func text(
        pair: [String] = [], router: [String] = [], nodes: String? = nil,
        routers: [String] = []
    ) -> String {
        let basics = ["id: 51", "addresses: [10.0.0.100]"].filter { line in
            let key = line.prefix { $0 != ":" }
            return !router.contains { $0.hasPrefix("\(key):") }
        }
        let lines = basics + router
        let entries =
            lines.enumerated().map { "    \($0 == 0 ? "-" : " ") \($1)" }
            + routers.map { "    - \($0)" }
        let own =
            nodes
            ?? "{ lb1: { address: 10.0.0.1, priority: 200 }, "
            + "lb2: { address: 10.0.0.2, priority: 100 } }"
        let link =
            pair.contains { $0.hasPrefix("link:") }
            ? "" : "  link: { secret_file: \(GoldenFile.secretPath) }\n"
        let interface = pair.contains { $0.hasPrefix("interface:") } ? "" : "  interface: eth0\n"
        return """
            pair:
            \(interface)  nodes: \(own)
            \(link)\(pair.map { "  \($0)\n" }.joined())  virtual_routers:
            \(entries.joined(separator: "\n"))
            listeners: { web: { bind: 0.0.0.0:80, routes: [{ pool: web }] } }
            pools: { web: { backends: { be1: { address: 10.0.0.21:80 } } } }

            """
    }
}
