// SPDX-License-Identifier: Apache-2.0
//
// Goal: whoever takes the address away while we are Active, it comes back and the LAN is told.
// Method: one node of a pair, `ip` as the intruder, the other end of the cable as witness.

import ConfigurationCore
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Telemetry
import Testing
import VRRPCore
import WireCore

@testable import VRRPService

@Suite(.serialized, .enabled(if: Laboratory.isRoot, "\(Laboratory.needsRoot)"))
struct HealingTests {
    /// ARP requests seen at the far end of the cable, with what they say.
    private final class Witness {
        private let socket: PacketSocket
        private(set) var frames: [[UInt8]] = []

        init(_ pair: NodePair) throws {
            let home = try NetworkNamespace.current()
            try NetworkNamespace.enter(pair.b.namespace)
            defer { try? NetworkNamespace.enter(home) }
            let index = try NetlinkSocket().link(named: NodePair.interface).index
            socket = try PacketSocket(interfaceIndex: index, etherType: GratuitousARP.etherType)
        }

        /// Takes what has arrived and counts the announcements of `address`.
        func count(of address: IPAddress, from mac: HardwareAddress) -> Int {
            var buffer = [UInt8](repeating: 0, count: 128)
            while case .bytes(let count)? = try? buffer.withUnsafeMutableBytes({
                try socket.receive(into: $0)
            }) {
                frames.append(Array(buffer[..<count]))
            }
            guard let target = address.ipv4 else { return 0 }
            let wanted = GratuitousARP.frame(mac: mac, address: target)
            return frames.filter { $0.starts(with: wanted) }.count
        }
    }

    private func activeNode(_ pair: NodePair) throws -> VirtualRouterGroup {
        let group = try pair.makeGroup(pair.a)
        group.start()
        #expect(pair.wait { group.speakers[0].state == .active })
        return group
    }

    private func mac(_ pair: NodePair) throws -> HardwareAddress {
        try #require(
            HardwareAddress(bytes: NetlinkSocket().link(named: NodePair.interface).hardwareAddress))
    }

    @Test func takeoverIsAnnouncedFourTimes() throws {
        try NodePair.run { pair in
            let witness = try Witness(pair)
            let mac = try mac(pair)
            let group = try activeNode(pair)
            #expect(witness.count(of: NodePair.virtualAddress, from: mac) == 1)
            #expect(
                pair.wait { witness.count(of: NodePair.virtualAddress, from: mac) == 4 })
            pair.loop.run(for: .milliseconds(100))
            #expect(witness.count(of: NodePair.virtualAddress, from: mac) == 4)
            group.close()
        }
    }

    @Test func releaseStopsTheAnnouncements() throws {
        try NodePair.run { pair in
            let witness = try Witness(pair)
            let mac = try mac(pair)
            let group = try activeNode(pair)
            group.shutDown()
            pair.loop.run(for: .milliseconds(300))
            #expect(witness.count(of: NodePair.virtualAddress, from: mac) == 1)
        }
    }

    @Test func addressThatSomebodyDeletesComesBack() throws {
        try NodePair.run { pair in
            let witness = try Witness(pair)
            let mac = try mac(pair)
            let group = try activeNode(pair)
            let before = witness.count(of: NodePair.virtualAddress, from: mac)
            try Laboratory.ip("addr del \(NodePair.virtualAddress)/32 dev tandem0")
            #expect(try !pair.holdsAddress(pair.a))
            #expect(pair.wait { group.speakers[0].report.lease.healedAddresses.value == 1 })
            #expect(try pair.holdsAddress(pair.a))
            #expect(witness.count(of: NodePair.virtualAddress, from: mac) > before)
            #expect(group.speakers[0].state == .active)
        }
    }

    @Test func deviceThatSomebodyDeletesComesBack() throws {
        try NodePair.run { pair in
            let group = try activeNode(pair)
            try Laboratory.ip("link del tandem0")
            #expect(pair.wait { try pair.holdsAddress(pair.a) })
            #expect(group.speakers[0].report.lease.healedAddresses.value == 1)
            #expect(group.speakers[0].state == .active)
        }
    }

    @Test func deviceThatSomebodySwitchesOffIsSwitchedOn() throws {
        try NodePair.run { pair in
            let group = try activeNode(pair)
            try Laboratory.ip("link set tandem0 down")
            #expect(pair.wait { try NetlinkSocket().link(named: "tandem0").isUp })
            #expect(try pair.holdsAddress(pair.a))
            group.close()
        }
    }

    @Test func addressIsReleasedOnlyOnceEvenThoughItsRemovalIsReported() throws {
        try NodePair.run { pair in
            let group = try activeNode(pair)
            group.shutDown()
            pair.loop.run(for: .milliseconds(100))
            #expect(try !pair.holdsAddress(pair.a))
            #expect(group.speakers[0].report.lease.healedAddresses.value == 0)
        }
    }

    @Test func strayAddressOnTheInterfaceIsReportedAndLeftAlone() throws {
        try NodePair.run { pair in
            try Laboratory.ip("addr add \(NodePair.virtualAddress)/24 dev \(NodePair.interface)")
            let group = try pair.makeGroup(pair.a)
            group.start()
            let report = group.speakers[0].report
            #expect(report.strayAddresses.value == 1)
            try Laboratory.ip("addr del \(NodePair.virtualAddress)/24 dev \(NodePair.interface)")
            try Laboratory.ip("addr add \(NodePair.virtualAddress)/32 dev \(NodePair.interface)")
            #expect(pair.wait { report.strayAddresses.value == 2 })
            #expect(try pair.holdsAddress(pair.a))
        }
    }

    @Test func addressOnADeadTandemDeviceIsRemoved() throws {
        try NodePair.run { pair in
            // A persistent TUN without a process has no carrier.
            try Laboratory.ip("tuntap add tandem7 mode tun")
            try Laboratory.ip("link set tandem7 up")
            try Laboratory.ip("addr add \(NodePair.virtualAddress)/32 dev tandem7")
            let group = try pair.makeGroup(pair.a)
            group.start()
            #expect(try !pair.holdsAddress(pair.a))
            group.close()
        }
    }
}
