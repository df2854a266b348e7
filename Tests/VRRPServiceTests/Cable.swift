// SPDX-License-Identifier: Apache-2.0
//
// Two hosts on one cable, for tests of single ports: each end is a network namespace, and one
// thread serves both, because a socket stays in the namespace it was opened in.

import ConfigurationCore
import EventLoop
import LinuxIO
import NamespaceLaboratory
import NetlinkIO
import Testing
import WireCore

@testable import VRRPService

/// One end of a cable.
final class CableEnd {
    let namespace: FileDescriptor
    let ipv4: IPv4Address
    let ipv6: IPv6Address

    init(namespace: consuming FileDescriptor, ipv4: IPv4Address, ipv6: IPv6Address) {
        self.namespace = namespace
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }

    /// fe80::1 or fe80::2.
    var linkLocal: IPv6Address { IPv6Address(high: 0xFE80 << 48, low: ipv6.low) }

    /// Runs `body` in this end's namespace.
    func inside<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result {
        let home = try NetworkNamespace.current()
        try NetworkNamespace.enter(namespace)
        defer { try? NetworkNamespace.enter(home) }
        return try body()
    }

    /// The LAN's interface as it is now.
    func link() throws -> NetworkLink {
        try inside { try NetlinkSocket().link(named: Cable.interface) }
    }

    /// Whether an address is there; for IPv6 that is a moment after it was added.
    func canUse(_ address: IPAddress) throws -> Bool {
        try inside {
            try NetlinkSocket().addresses().contains { $0.address == address && $0.isUsable }
        }
    }

    func ip(_ words: String) throws {
        try inside { try Laboratory.ip(words) }
    }
}

/// Two hosts: `a` has 192.0.2.1, 2001:db8::1 and fe80::1, `b` the same with 2.
struct Cable {
    static let interface = "lan0"
    static let ipv4 = IPAddress(192, 0, 2, 100)
    static let ipv6 = IPAddress.v6(IPv6Address(high: 0x2001_0DB8 << 32, low: 0x100))

    let loop: EventLoop
    let a: CableEnd
    let b: CableEnd

    /// Lays the cable and calls `body`.
    static func run(_ body: (Cable) throws -> Void) throws {
        try Laboratory.inNewNamespace {
            let a = try makeEnd(1)
            try NetworkNamespace.enterNew()
            let b = try makeEnd(2)
            try NetworkNamespace.enter(a.namespace)
            let path = "/proc/\(ProcessLimits.processID)/fd/\(b.namespace.rawValue)"
            try a.ip("link add \(interface) type veth peer name \(interface) netns \(path)")
            let loop = try EventLoop()
            defer { loop.close() }
            for end in [a, b] { try end.ip("link set \(interface) addrgenmode none up") }
            // The kernel notices a moment later that the cable is in; IPv6 waits for that.
            #expect(loop.poll { try a.link().hasCarrier && b.link().hasCarrier })
            for end in [a, b] {
                try end.ip("addr add \(end.ipv4)/24 dev \(interface)")
                // As they are once duplicate address detection is over.
                try end.ip("addr add \(end.ipv6)/64 dev \(interface) nodad")
                try end.ip("addr add \(end.linkLocal)/64 dev \(interface) nodad")
            }
            #expect(loop.poll { try [a, b].allSatisfy { try $0.canUse(.v6($0.linkLocal)) } })
            try body(Cable(loop: loop, a: a, b: b))
        }
    }

    private static func makeEnd(_ number: UInt8) throws -> CableEnd {
        CableEnd(
            namespace: try NetworkNamespace.current(), ipv4: IPv4Address(192, 0, 2, number),
            ipv6: IPv6Address(high: 0x2001_0DB8 << 32, low: UInt64(number)))
    }

    /// Where a virtual router of `family` meets the cable at `end`.
    func point(
        _ end: CableEnd, _ family: AddressFamily, id: UInt8 = 51,
        transport: AdvertisementTransport = .multicast, otherIDs: [UInt8] = [],
        hasVirtualMAC: Bool = false
    ) throws -> AttachmentPoint {
        let other = end === a ? b : a
        return AttachmentPoint(
            link: try end.link(), virtualRouterID: id, family: family,
            addresses: [family == .ipv4 ? Self.ipv4 : Self.ipv6], transport: transport,
            ownAddress: family == .ipv4 ? .v4(end.ipv4) : .v6(end.linkLocal),
            peerAddress: family == .ipv4 ? .v4(other.ipv4) : .v6(other.linkLocal),
            otherVirtualRouterIDs: otherIDs, hasVirtualMAC: hasVirtualMAC)
    }
}
