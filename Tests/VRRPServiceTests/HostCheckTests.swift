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
            virtualRouters: [NodePair.router()])
    }

    private func goodHost() -> HostFacts {
        var facts = HostFacts(interfaceName: "eth0")
        facts.link = NetworkLink(
            index: 2, name: "eth0", hardwareAddress: [2, 0, 0, 0, 0, 1], mtuByteCount: 1_500,
            isUp: true, hasCarrier: true)
        facts.addresses = [
            HostFacts.Placed(address: .v4(node.address), prefixLength: 24, interfaceName: "eth0")
        ]
        facts.settings = [.arpIgnore: (0, 0), .reversePathFilter: (0, 0)]
        return facts
    }

    private func findings(_ change: (inout HostFacts) -> Void) -> [HostCheck.Finding] {
        var facts = goodHost()
        change(&facts)
        return HostCheck.findings(in: facts, pair: pair, node: node)
    }

    @Test func goodHostHasNoFindings() {
        #expect(findings { _ in }.isEmpty)
    }

    @Test(arguments: [(0, 0), (3, 0), (0, 3), (4, 0), (1, 3)])
    func harmlessArpIgnoreIsNotReported(all: Int, own: Int) {
        #expect(findings { $0.settings[.arpIgnore] = (all, own) }.isEmpty)
    }

    @Test(arguments: [
        (1, 0, "sysctl -w net.ipv4.conf.all.arp_ignore=0"),
        (0, 2, "sysctl -w net.ipv4.conf.eth0.arp_ignore=0"),
        (8, 1, "sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0"),
    ])
    func arpIgnoreThatHidesTheAddressIsAnErrorWithItsCommand(
        all: Int, own: Int, command: String
    ) {
        let found = findings { $0.settings[.arpIgnore] = (all, own) }
        #expect(found.map(\.severity) == [.error])
        #expect(found.first?.remedy == command)
    }

    @Test func strictReversePathFilterIsAWarning() {
        let found = findings { $0.settings[.reversePathFilter] = (1, 0) }
        #expect(found.map(\.severity) == [.warning])
        #expect(found.first?.remedy.hasSuffix("sysctl -w net.ipv4.conf.eth0.rp_filter=2") == true)
        #expect(findings { $0.settings[.reversePathFilter] = (2, 1) }.isEmpty)
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
        #expect(findings { $0.link = nil }.contains { $0.severity == .error })
        #expect(findings { $0.link?.isUp = false }.map(\.remedy) == ["ip link set eth0 up"])
        #expect(findings { $0.link?.hasCarrier = false }.count == 1)
        #expect(findings { $0.link?.hardwareAddress = [] }.count == 1)
    }

    @Test func nodeAddressThatIsMissingIsReported() {
        let found = findings { $0.addresses[0].interfaceName = "eth1" }
        #expect(found.contains { $0.problem.contains("192.0.2.1, the address of node a") })
    }

    @Test func leftOverOfAnotherToolIsReportedWithItsCommand() {
        let found = findings {
            $0.addresses.append(
                HostFacts.Placed(
                    address: NodePair.virtualAddress, prefixLength: 24, interfaceName: "eth0"))
        }
        #expect(found.map(\.remedy) == ["ip addr del 192.0.2.100/24 dev eth0"])
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

extension FileSystem {
    /// Writes into an existing file, as /proc wants it.
    fileprivate static func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
