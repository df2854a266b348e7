// SPDX-License-Identifier: Apache-2.0
//
// One change for each value of the pair of FullConfiguration.

import ConfigurationCore
import WireCore

extension ConfigurationMutation {
    private static func router(
        _ name: String, _ apply: @escaping @Sendable (inout VirtualRouterConfiguration) -> Void
    ) -> ConfigurationMutation {
        restart("router \(name)") { configuration in
            guard var router = configuration.pair?.virtualRouters.first else { return }
            apply(&router)
            configuration.pair?.virtualRouters[0] = router
        }
    }

    private static func track(
        _ name: String, _ apply: @escaping @Sendable (inout TrackingConfiguration) -> Void
    ) -> ConfigurationMutation {
        restart("track \(name)") { configuration in
            guard var track = configuration.pair?.track else { return }
            apply(&track)
            configuration.pair?.track = track
        }
    }

    static let pairs = [
        restart("no pair") { $0.pair = nil },
        restart("interface") { $0.pair?.interface = "eth1" },
        restart("node name") { $0.pair?.nodes[0].name = "c" },
        restart("node address") { $0.pair?.nodes[0].address = IPv4Address(10, 0, 0, 9) },
        restart("node priority") { $0.pair?.nodes[0].priority = 9 },
        live("node zone") { $0.pair?.nodes[0].zone = "x" },
        live("no node zone") { $0.pair?.nodes[0].zone = nil },
        restart("link port") { $0.pair?.link.port = 1 },
        restart("secret") { $0.pair?.link.secretFile = "/x" },
        restart("no secret") { $0.pair?.link.secretFile = nil },
        restart("heartbeat") { $0.pair?.link.heartbeatInterval = .seconds(9) },
        restart("node IPv6 address") { $0.pair?.nodes[0].ipv6Address = .loopback },
        restart("no node IPv6 address") { $0.pair?.nodes[0].ipv6Address = nil },
        restart("a node more") { configuration in
            guard let node = configuration.pair?.nodes.first else { return }
            configuration.pair?.nodes.append(
                NodeConfiguration(name: "c", address: .any, priority: node.priority))
        },
    ]

    static let virtualRouters = [
        router("vrid") { $0.id = 52 },
        router("virtual address") { $0.addresses[0] = IPAddress(10, 0, 0, 9) },
        router("IPv6 virtual address") { $0.addresses.append(.v6(.loopback)) },
        router("interface") { $0.interface = "eth9" },
        router("other nodes") { $0.nodes = ["b": VirtualRouterNode(priority: 3)] },
        router("no nodes") { $0.nodes = [:] },
        router("node without changes") { $0.nodes["a"] = VirtualRouterNode() },
        router("node priority") { $0.nodes["a"]?.priority = 9 },
        router("no node priority") { $0.nodes["a"]?.priority = nil },
        router("node address") { $0.nodes["a"]?.address = .any },
        router("no node address") { $0.nodes["a"]?.address = nil },
        router("node IPv6 address") { $0.nodes["a"]?.ipv6Address = .loopback },
        router("no node IPv6 address") { $0.nodes["a"]?.ipv6Address = nil },
        router("version") { $0.version = .version2 },
        router("checksum") { $0.checksum = .rfc5798 },
        router("authentication") { $0.authentication = .hmac },
        router("virtual MAC") { $0.virtualMAC = true },
        router("group") { $0.group = "x" },
        router("no group") { $0.group = nil },
        router("a group called none") { $0.group = "none" },
        router("takeover") { $0.takeover = .fast },
        router("announce") { $0.announce = .route },
        router("announce interval") { $0.announceInterval = .seconds(9) },
        restart("a router of that id elsewhere") { configuration in
            guard var router = configuration.pair?.virtualRouters.first else { return }
            router.interface = "eth9"
            configuration.pair?.virtualRouters.append(router)
        },
        router("interval") { $0.advertiseInterval = .seconds(9) },
        router("preempt") { $0.preempt.toggle() },
        router("preempt delay") { $0.preemptDelay = .seconds(9) },
        router("lease") { $0.lease = .seconds(9) },
        router("transport") { $0.transport = .unicast },
    ]

    static let tracking = [
        track("interface name") { $0.interfaces[0].name = "eth9" },
        track("interface penalty") { $0.interfaces[0].penalty = .points(9) },
        track("interface fault") { $0.interfaces[0].penalty = .fault },
        track("up delay") { $0.interfaces[0].upDelay = .seconds(9) },
        track("no interface") { $0.interfaces = [] },
        track("gateway address") { $0.gateway?.address = IPAddress(10, 0, 0, 9) },
        track("gateway interface") { $0.gateway?.interface = "eth9" },
        track("gateway interval") { $0.gateway?.interval = .seconds(9) },
        track("gateway fall") { $0.gateway?.fall = 9 },
        track("gateway rise") { $0.gateway?.rise = 9 },
        track("gateway penalty") { $0.gateway?.penalty = .points(9) },
        track("gateway fault") { $0.gateway?.penalty = .fault },
        track("no gateway penalty") { $0.gateway?.penalty = nil },
        track("no gateway") { $0.gateway = nil },
        track("pool") { $0.backends?.pools = ["db"] },
        track("all pools") { $0.backends?.pools = [] },
        track("a pool called all") { $0.backends?.pools = ["all"] },
        track("below") { $0.backends?.below = 9 },
        track("above") { $0.backends?.above = 9_900 },
        track("backends penalty") { $0.backends?.penalty = .points(9) },
        track("backends fault") { $0.backends?.penalty = .fault },
        track("no backends") { $0.backends = nil },
        track("script name") { $0.scripts[0].name = "x" },
        track("script path") { $0.scripts[0].command[0] = "/x" },
        track("script argument") { $0.scripts[0].command[1] = "x" },
        track("script arguments in one") { $0.scripts[0].command = ["/bin/check -v"] },
        track("script interval") { $0.scripts[0].interval = .seconds(9) },
        track("script timeout") { $0.scripts[0].timeout = .seconds(9) },
        track("script fall") { $0.scripts[0].fall = 9 },
        track("script rise") { $0.scripts[0].rise = 9 },
        track("script penalty") { $0.scripts[0].penalty = .points(9) },
        track("script fault") { $0.scripts[0].penalty = .fault },
        track("no script") { $0.scripts = [] },
        track("worker stall") { $0.workerStall = .seconds(9) },
        track("other configuration") { $0.onDifferentConfiguration = .hold },
    ]
}
