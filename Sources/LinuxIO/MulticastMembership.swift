// SPDX-License-Identifier: Apache-2.0
//
// IPv6 multicast groups of an interface: joined for the sake of the membership itself, so that
// switches that listen to MLD deliver the group's frames to this port.

internal import CLinux
public import WireCore

/// A socket that receives nothing and holds memberships; they end with it.
public struct MulticastMembership: ~Copyable {
    enum Change {
        case join
        case leave
    }

    private let descriptor: FileDescriptor
    private let interfaceIndex: CInt

    /// Makes a socket without memberships.
    ///
    /// - Throws: EAFNOSUPPORT without IPv6.
    public init(interfaceIndex: Int) throws(Errno) {
        descriptor = try StreamSocket.open(AF_INET6, SOCK_DGRAM, 0)
        self.interfaceIndex = CInt(truncatingIfNeeded: interfaceIndex)
    }

    /// Joins a group (IPV6_JOIN_GROUP); joining twice is no error.
    public borrowing func join(_ group: IPv6Address) throws(Errno) {
        do throws(Errno) {
            try Self.change(.join, group, interfaceIndex, of: descriptor)
        } catch .addressInUse {
        } catch {
            throw error
        }
    }

    /// Leaves a group (IPV6_LEAVE_GROUP); one that was not joined is no error.
    public borrowing func leave(_ group: IPv6Address) {
        try? Self.change(.leave, group, interfaceIndex, of: descriptor)
    }

    static func change(
        _ change: Change, _ group: IPv6Address, _ interfaceIndex: CInt,
        of socket: borrowing FileDescriptor
    ) throws(Errno) {
        var request = ipv6_mreq()
        request.ipv6mr_multiaddr = in6_addr(group)
        request.ipv6mr_interface = UInt32(bitPattern: interfaceIndex)
        let number = socket.rawValue
        let name = change == .join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP
        let size = socklen_t(MemoryLayout<ipv6_mreq>.size)
        try SystemCall.retrying {
            setsockopt(number, CInt(IPPROTO_IPV6), name, &request, size)
        }
    }
}

extension in6_addr {
    init(_ address: IPv6Address) {
        self.init()
        withUnsafeMutableBytes(of: &self) { bytes in
            bytes.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
    }
}

extension IPv6Address {
    init(_ address: in6_addr) {
        self = withUnsafeBytes(of: address) { bytes in
            IPv6Address(
                high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }
}
