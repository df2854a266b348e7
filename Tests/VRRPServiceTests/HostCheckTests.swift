// SPDX-License-Identifier: Apache-2.0
//
// Goal: the start-up check finds what breaks a virtual address, and nothing else. Method: a table
// of hosts, and the kernel itself in namespaces: what is called an error must break a client, what
// is not must not.

import ConfigurationCore
import EventLoop
import Glibc
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Testing
import WireCore

@testable import VRRPService

@Suite struct HostCheckTests {
    private let node = NodeConfiguration(
        name: "a", address: IPv4Address(192, 0, 2, 1), priority: 200)

    private var pair: PairConfiguration {
        PairConfiguration(
            interface: "eth0", nodes: [node],
            link: PairLinkConfiguration(
                port: 7_946, secretFile: nil, heartbeatInterval: .milliseconds(100)),
            virtualRouters: [router])
    }

    /// On `eth0`, with addresses of both families.
    private var router: VirtualRouterConfiguration {
        var router = NodePair.router()
        router.interface = "eth0"
        router.addresses.append(.v6(Self.address6))
        return router
    }

    private static let address6 = IPv6Address(high: 0x2001_0DB8 << 32, low: 0x100)
    private static let own6 = IPv6Address(high: 0x2001_0DB8 << 32, low: 1)
    private static let linkLocal = IPv6Address(high: 0xFE80 << 48, low: 1)

    private func interface(_ name: String) -> HostFacts.Interface {
        HostFacts.Interface(
            name: name,
            link: NetworkLink(
                index: 2, name: name, hardwareAddress: [2, 0, 0, 0, 0, 1], mtuByteCount: 1_500,
                isUp: true, hasCarrier: true),
            settings: [.arpIgnore: (0, 0), .reversePathFilter: (0, 0), .noIPv6: (0, 0)])
    }

    private func goodHost() -> HostFacts {
        var facts = HostFacts(interfaces: [interface("eth0")])
        facts.addresses = [
            placed(.v4(node.address), 24), placed(.v6(Self.own6), 64),
            placed(.v6(Self.linkLocal), 64),
        ]
        return facts
    }

    private func placed(
        _ address: IPAddress, _ prefixLength: Int, _ name: String = "eth0"
    ) -> HostFacts.Placed {
        HostFacts.Placed(address: address, prefixLength: prefixLength, interfaceName: name)
    }

    private func findings(
        of pair: PairConfiguration? = nil, _ change: (inout HostFacts) -> Void = { _ in }
    ) -> [HostCheck.Finding] {
        var facts = goodHost()
        change(&facts)
        return HostCheck.findings(in: facts, pair: pair ?? self.pair, node: node)
    }

    @Test func goodHostHasNoFindings() {
        #expect(findings { _ in }.isEmpty)
    }

    @Test(arguments: [(0, 0), (3, 0), (0, 3), (4, 0), (1, 3)])
    func harmlessArpIgnoreIsNotReported(all: Int, own: Int) {
        #expect(findings { $0.interfaces[0].settings[.arpIgnore] = (all, own) }.isEmpty)
    }

    @Test(arguments: [
        (1, 0, "sysctl -w net.ipv4.conf.all.arp_ignore=0"),
        (0, 2, "sysctl -w net.ipv4.conf.eth0.arp_ignore=0"),
        (8, 1, "sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0"),
    ])
    func arpIgnoreThatHidesTheAddressIsAnErrorWithItsCommand(
        all: Int, own: Int, command: String
    ) {
        let found = findings { $0.interfaces[0].settings[.arpIgnore] = (all, own) }
        #expect(found.map(\.severity) == [.error])
        #expect(found.first?.remedy == command)
    }

    @Test func strictReversePathFilterIsAWarning() {
        let found = findings { $0.interfaces[0].settings[.reversePathFilter] = (1, 0) }
        #expect(found.map(\.severity) == [.warning])
        #expect(found.first?.remedy.hasSuffix("sysctl -w net.ipv4.conf.eth0.rp_filter=2") == true)
        #expect(findings { $0.interfaces[0].settings[.reversePathFilter] = (2, 1) }.isEmpty)
    }

    @Test func missingPrivilegesAreErrorsOrWarnings() {
        let found = findings {
            $0.missingCapabilities = [.netAdmin, .netRaw, .ipcLock, .sysNice]
            $0.tunnelProblem = .noSuchFile
        }
        #expect(found.map(\.severity) == [.error, .error, .warning, .warning, .error])
        #expect(found.last?.remedy == "modprobe tun")
    }

    @Test func interfaceThatIsMissingOrDownIsReported() {
        #expect(findings { $0.interfaces[0].link = nil }.contains { $0.severity == .error })
        #expect(
            findings { $0.interfaces[0].link?.isUp = false }.map(\.remedy) == [
                "ip link set eth0 up"
            ])
        #expect(findings { $0.interfaces[0].link?.hasCarrier = false }.count == 1)
        #expect(findings { $0.interfaces[0].link?.hardwareAddress = [] }.count == 1)
    }

    @Test func nodeAddressThatIsMissingIsReported() {
        let found = findings { $0.addresses[0].interfaceName = "eth1" }
        #expect(found.contains { $0.problem.contains("192.0.2.1, the address of node a") })
    }

    @Test func leftOverOfAnotherToolIsReportedWithItsCommand() {
        let found = findings {
            $0.addresses.append(placed(NodePair.virtualAddress, 24))
            $0.addresses.append(placed(.v6(Self.address6), 128, "lo"))
            $0.addresses.append(placed(.v6(Self.address6), 128, "tandem0"))
        }
        #expect(
            found.map(\.remedy) == [
                "ip addr del 192.0.2.100/24 dev eth0", "ip addr del 2001:db8::100/128 dev lo",
            ])
    }

    // MARK: IPv6

    @Test func ipv6SwitchedOffIsAnErrorOnlyWhereIPv6IsServed() {
        let found = findings { $0.interfaces[0].settings[.noIPv6] = (1, 1) }
        #expect(found.map(\.severity) == [.error])
        #expect(found.first?.remedy == "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0")
        // The kernel looks at the interface's own value.
        #expect(findings { $0.interfaces[0].settings[.noIPv6] = (1, 0) }.isEmpty)
        var pair = pair
        pair.virtualRouters[0].addresses.removeLast()
        #expect(findings(of: pair) { $0.interfaces[0].settings[.noIPv6] = (1, 1) }.isEmpty)
    }

    @Test func newDevicesWithoutIPv6AreAnErrorOnlyWithIPv6Addresses() {
        let found = findings { $0.newDevicesLackIPv6 = true }
        #expect(found.map(\.remedy) == ["sysctl -w net.ipv6.conf.default.disable_ipv6=0"])
        #expect(found.map(\.severity) == [.error])
        let without = findings { $0.hasIPv6 = false }
        #expect(without.map(\.problem) == ["this kernel runs without IPv6"])
        var pair = pair
        pair.virtualRouters[0].addresses.removeLast()
        #expect(findings(of: pair) { $0.newDevicesLackIPv6 = true }.isEmpty)
        #expect(findings(of: pair) { $0.hasIPv6 = false }.isEmpty)
    }

    @Test func missingLinkLocalAddressIsAWarningWithACarrier() {
        let found = findings { $0.addresses.removeLast() }
        #expect(found.map(\.problem) == ["eth0 has no link-local IPv6 address"])
        let unplugged = findings {
            $0.addresses.removeLast()
            $0.interfaces[0].link?.hasCarrier = false
        }
        #expect(unplugged.map(\.problem) == ["eth0 has no carrier"])
    }

    @Test func configuredIPv6AddressMustBeThere() {
        var node = node
        node.ipv6Address = Self.own6
        let facts = goodHost()
        #expect(HostCheck.findings(in: facts, pair: pair, node: node).isEmpty)
        node.ipv6Address = IPv6Address(high: 0x2001_0DB8 << 32, low: 2)
        let found = HostCheck.findings(in: facts, pair: pair, node: node)
        #expect(found.map(\.problem) == ["2001:db8::2, the address of node a, is not on eth0"])
    }

    @Test func ipv6AddressOutsideTheLanIsAWarning() {
        let found = findings { $0.addresses[1].prefixLength = 127 }
        #expect(found.map(\.problem) == ["virtual address 2001:db8::100 is in no network of eth0"])
        // A link-local address alone makes no network for it.
        #expect(findings { $0.addresses.remove(at: 1) }.count == 1)
    }

    // MARK: Several interfaces and modes

    @Test func everyInterfaceOfARouterIsLookedAt() {
        var pair = pair
        var other = NodePair.router()
        other.interface = "eth1.7"
        other.addresses = [IPAddress(198, 51, 100, 100)]
        other.nodes = ["a": VirtualRouterNode(address: IPv4Address(198, 51, 100, 1))]
        pair.virtualRouters.append(other)
        #expect(HostCheck.interfaceNames(pair) == ["eth0", "eth1.7"])
        let good = { [self] (facts: inout HostFacts) in
            facts.interfaces.append(interface("eth1.7"))
            facts.addresses.append(placed(IPAddress(198, 51, 100, 1), 24, "eth1.7"))
        }
        #expect(findings(of: pair, good).isEmpty)
        let broken = findings(of: pair) {
            good(&$0)
            $0.interfaces[1].settings[.arpIgnore] = (0, 1)
        }
        #expect(broken.map(\.remedy) == ["sysctl -w net.ipv4.conf.eth1/7.arp_ignore=0"])
        let missing = findings(of: pair) {
            good(&$0)
            $0.interfaces[1].link = nil
        }
        #expect(missing.map(\.severity) == [.error])
        let unset = findings(of: pair) {
            good(&$0)
            $0.addresses.removeLast()
        }
        #expect(unset.contains { $0.problem.contains("198.51.100.1, the address of node a") })
    }

    @Test func virtualMACNeedsNoAnswersOfTheKernel() {
        var pair = pair
        pair.virtualRouters[0].virtualMAC = true
        #expect(findings(of: pair) { $0.interfaces[0].settings[.arpIgnore] = (1, 0) }.isEmpty)
    }

    @Test func routesNeedADaemonAndNoAnswersOfTheKernel() {
        var pair = pair
        pair.virtualRouters[0].announce = .route
        let found = findings(of: pair) {
            $0.interfaces[0].settings[.arpIgnore] = (1, 0)
            $0.interfaces[0].settings[.noIPv6] = (1, 1)
        }
        #expect(found.map(\.severity) == [.note])
        #expect(found.first?.remedy.contains("tandem-rt*") == true)
    }

    @Test func addressOutsideTheLanIsAWarning() {
        let found = findings { $0.addresses[0].prefixLength = 30 }
        #expect(found.map(\.severity) == [.warning])
    }

    @Test func capabilitiesAreReadFromTheStatusText() {
        let text = "Name:\ttandem\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000003000\n"
        #expect(HostFacts.effectiveCapabilities(status: text) == 0x3000)
        #expect(HostFacts.effectiveCapabilities(status: "CapEff:\tnonsense\n") == nil)
    }
}

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct HostCheckOnTheKernelTests {
    /// Whether a client at the far end of the cable can connect to the virtual address.
    private func clientConnects(_ pair: NodePair, _ listener: borrowing FileDescriptor) throws
        -> Bool
    {
        try pair.inNamespace(of: pair.b) {
            try Laboratory.ip("neigh flush dev \(NodePair.interface)")
            let socket = try StreamSocket.connect(
                to: Endpoint(address: NodePair.virtualAddress, port: 8_080))
            let epoll = try Epoll()
            try epoll.add(socket, .writable, token: 0)
            return try epoll.wait(timeout: .milliseconds(400)) == 1
                && StreamSocket.pendingError(socket) == nil
        }
    }

    private func set(_ key: String, _ interface: String, _ value: Int) throws {
        try FileSystem.overwrite(
            "/proc/sys/net/ipv4/conf/\(interface)/\(key)", Array("\(value)\n".utf8))
    }

    @Test(arguments: [
        ("arp_ignore", 0), ("arp_ignore", 1), ("arp_ignore", 2), ("arp_ignore", 3),
        ("arp_ignore", 8), ("rp_filter", 1), ("rp_filter", 2), ("arp_announce", 2),
        ("arp_filter", 1),
    ])
    func errorIsReportedExactlyWhenTheClientCannotConnect(key: String, value: Int) throws {
        try NodePair.run { pair in
            let holder = try VirtualAddressHolder(loop: pair.loop)
            try holder.put([NodePair.virtualAddress], lease: .seconds(60))
            let listener = try StreamSocket.listen(
                on: Endpoint(address: NodePair.virtualAddress, port: 8_080))
            for interface in ["all", NodePair.interface, "tandem0"] {
                try set(key, interface, value)
                let found = HostCheck.run(pair: pair.pair, node: pair.a.configuration)
                let isBroken = try !clientConnects(pair, listener)
                #expect(
                    found.contains { $0.severity == .error } == isBroken,
                    "\(key) of \(interface) = \(value)")
                try set(key, interface, 0)
            }
            holder.close()
        }
    }
}

extension HostCheckOnTheKernelTests {
    @Test(arguments: [0, 1])
    func errorIsReportedExactlyWhenNewDevicesTakeNoIPv6Address(value: Int) throws {
        try Laboratory.inNewNamespace {
            let path = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
            try FileSystem.overwrite(path, Array("\(value)\n".utf8))
            var router = NodePair.router()
            router.addresses = [.v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 0x100))]
            let node = NodeConfiguration(
                name: "a", address: IPv4Address(192, 0, 2, 1), priority: 200)
            let pair = PairConfiguration(
                interface: "lo", nodes: [node],
                link: PairLinkConfiguration(
                    port: 7_946, secretFile: nil, heartbeatInterval: .milliseconds(100)),
                virtualRouters: [router])
            let found = HostCheck.run(pair: pair, node: node)
            let isReported = found.contains { $0.problem == "IPv6 is switched off for new devices" }
            let holder = try VirtualAddressHolder(loop: EventLoop())
            defer { holder.close() }
            let isTaken = (try? holder.put(router.addresses, lease: .seconds(60))) != nil
            #expect(isReported == !isTaken)
            #expect(isReported == (value == 1))
        }
    }
}

extension FileSystem {
    /// Writes into an existing file, as /proc wants it.
    fileprivate static func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
