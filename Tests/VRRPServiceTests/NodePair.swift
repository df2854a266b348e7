// SPDX-License-Identifier: Apache-2.0
//
// Two nodes in two namespaces on one cable, driven by one loop: a socket stays in the namespace it
// was opened in, so one thread can serve both.

import ConfigurationCore
import EventLoop
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Telemetry
import Testing
import WireCore

@testable import VRRPService

/// One node of a test: its namespace and its virtual routers.
final class TestNode {
    let namespace: FileDescriptor
    let configuration: NodeConfiguration

    init(namespace: consuming FileDescriptor, configuration: NodeConfiguration) {
        self.namespace = namespace
        self.configuration = configuration
    }
}

/// A pair on a veth cable: `a` has 192.0.2.1 and priority 200, `b` 192.0.2.2 and priority 100.
final class NodePair {
    static let virtualAddress = IPAddress(192, 0, 2, 100)
    static let interface = "lan0"
    /// The second cable of pairs that have one: 198.51.100.1 and .2.
    static let secondInterface = "lan1"
    static let virtualIPv6Address = IPAddress.v6(
        IPv6Address(high: 0x2001_0db8_0000_0000, low: 0x100))
    /// Long enough that a busy test host does not oversleep, short enough to wait for.
    static let advertiseInterval = TimeSpan.milliseconds(100)

    let loop: EventLoop
    let a: TestNode
    let b: TestNode
    let pair: PairConfiguration
    private let hasSecondCable: Bool

    private init(
        _ a: TestNode, _ b: TestNode, _ routers: [VirtualRouterConfiguration],
        hasSecondCable: Bool
    ) throws {
        loop = try EventLoop()
        self.a = a
        self.b = b
        pair = PairConfiguration(
            interface: Self.interface, nodes: [a.configuration, b.configuration],
            link: PairLinkConfiguration(
                port: 7_946, secretFile: nil, heartbeatInterval: .milliseconds(100)),
            virtualRouters: routers)
        self.hasSecondCable = hasSecondCable
    }

    deinit {
        loop.close()
    }

    static func router(
        _ id: UInt8 = 51, _ addresses: [IPAddress] = [virtualAddress],
        on interface: String = interface, interval: TimeSpan = advertiseInterval,
        preempt: Bool = false, lease: TimeSpan = .seconds(2),
        transport: AdvertisementTransport = .multicast,
        change: (inout VirtualRouterConfiguration) -> Void = { _ in }
    ) -> VirtualRouterConfiguration {
        var router = VirtualRouterConfiguration(
            id: id, addresses: addresses, interface: interface, advertiseInterval: interval,
            preempt: preempt, preemptDelay: .zero, lease: lease, transport: transport)
        if interface == secondInterface {
            router.nodes = [
                "a": VirtualRouterNode(address: IPv4Address(198, 51, 100, 1)),
                "b": VirtualRouterNode(address: IPv4Address(198, 51, 100, 2)),
            ]
        }
        change(&router)
        return router
    }

    /// Builds the cable and calls `body` in the namespace of `a`.
    static func run(
        _ router: VirtualRouterConfiguration = router(), _ body: (NodePair) throws -> Void
    ) throws {
        try run([router], body)
    }

    /// Builds the cables and calls `body` in the namespace of `a`.
    static func run(
        _ routers: [VirtualRouterConfiguration], _ body: (NodePair) throws -> Void
    ) throws {
        try Laboratory.inNewNamespace {
            let outer = try NetworkNamespace.current()
            let b = try makeNode("b", IPv4Address(192, 0, 2, 2), priority: 100)
            try NetworkNamespace.enter(outer)
            let a = TestNode(
                namespace: outer,
                configuration: NodeConfiguration(
                    name: "a", address: IPv4Address(192, 0, 2, 1), priority: 200))
            let pair = try NodePair(
                a, b, routers,
                hasSecondCable: routers.contains { $0.interface == secondInterface })
            try pair.connect()
            try body(pair)
        }
    }

    private static func makeNode(
        _ name: String, _ address: IPv4Address, priority: UInt8
    ) throws -> TestNode {
        try NetworkNamespace.enterNew()
        return TestNode(
            namespace: try NetworkNamespace.current(),
            configuration: NodeConfiguration(name: name, address: address, priority: priority))
    }

    /// Lays the cables; called in the namespace of `a`.
    func connect() throws {
        try lay(Self.interface) { $0.configuration.address }
        guard hasSecondCable else { return }
        try lay(Self.secondInterface) {
            IPv4Address(198, 51, 100, $0.configuration.address.octets.3)
        }
    }

    private func lay(_ end: String, address: (TestNode) -> IPv4Address) throws {
        let path = "/proc/\(ProcessLimits.processID)/fd/\(b.namespace.rawValue)"
        try Laboratory.ip("link add \(end) type veth peer name \(end) netns \(path)")
        for node in [a, b] {
            try inNamespace(of: node) {
                try Laboratory.ip("addr add \(address(node))/24 dev \(end)")
                // Ready at once: a socket that is opened later is opened in the wrong namespace.
                try Laboratory.ip("link set \(end) addrgenmode none")
                try Laboratory.ip("link set \(end) up")
                let last = node.configuration.address.octets.3
                try Laboratory.ip("addr add fe80::\(last)/64 dev \(end) nodad")
            }
        }
    }

    /// Runs `body` in the namespace of `node`.
    func inNamespace<Result>(of node: TestNode, _ body: () throws -> Result) throws -> Result {
        let home = try NetworkNamespace.current()
        try NetworkNamespace.enter(node.namespace)
        defer { try? NetworkNamespace.enter(home) }
        return try body()
    }

    func makeGroup(_ node: TestNode, logger: Logger = Logger("vrrp", sink: nil)) throws
        -> VirtualRouterGroup
    {
        try inNamespace(of: node) {
            try VirtualRouterGroup(
                pair: pair, node: node.configuration, peer: peer(of: node).configuration,
                plan: nil, loop: loop, logger: logger)
        }
    }

    func peer(of node: TestNode) -> TestNode { node === a ? b : a }

    /// Runs the loop until `condition` holds, at most `seconds`.
    func wait(seconds: UInt64 = 20, _ condition: () throws -> Bool) -> Bool {
        loop.poll(seconds: seconds, condition)
    }

    /// Whether `node` has the virtual address on any interface.
    func holdsAddress(
        _ node: TestNode, _ address: IPAddress = virtualAddress
    ) throws -> Bool {
        try inNamespace(of: node) {
            try NetlinkSocket().addresses().contains { $0.address == address }
        }
    }
}
