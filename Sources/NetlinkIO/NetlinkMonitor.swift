// SPDX-License-Identifier: Apache-2.0
//
// What the kernel tells about links and addresses unasked. Knows no event loop: whoever watches
// the descriptor calls `receive`.

internal import CNetlink
public import LinuxIO
public import WireCore

/// A change of the network that somebody made, ourselves included.
public enum NetlinkEvent: Hashable, Sendable {
    /// An address was added or its lifetime renewed.
    case addressAdded(interfaceIndex: Int, address: IPAddress, prefixLength: Int)
    /// An address was removed, by whomever, or its lifetime ended.
    case addressRemoved(interfaceIndex: Int, address: IPAddress, prefixLength: Int)
    /// An interface appeared or changed.
    case linkChanged(interfaceIndex: Int, name: String, isUp: Bool, hasCarrier: Bool)
    /// An interface is gone.
    case linkRemoved(interfaceIndex: Int, name: String)
    /// Events were lost (ENOBUFS): whatever was concluded from events must be read anew.
    case overrun
}

/// A subscription to RTNLGRP_LINK and RTNLGRP_IPV4_IFADDR; belongs to the thread that made it.
public final class NetlinkMonitor {
    /// Datagrams taken per call: the bound on work per wake-up.
    public static let datagramsPerCallMax = 64
    /// Bytes the kernel may queue for us; an overrun is noticed and healed.
    public static let receiveByteCountMax = 256 * 1_024

    /// Readable while events wait.
    public let descriptor: FileDescriptor
    /// Times events were lost.
    public private(set) var overrunCount: UInt64 = 0

    private let handle: OpaquePointer
    private var pending: [NetlinkEvent] = []

    /// Subscribes in the calling thread's network namespace.
    ///
    /// - Throws: when the socket cannot be had.
    public init() throws(NetlinkError) {
        let operation = "subscribe to network changes"
        guard let handle = nl_socket_alloc() else {
            throw NetlinkError(operation, result: NLE_NOMEM)
        }
        let result = Self.subscribe(handle)
        guard result == 0 else {
            nl_socket_free(handle)
            throw NetlinkError(operation, result: result)
        }
        do throws(Errno) {
            // libnl keeps its own number; the loop gets an owner for the same socket.
            descriptor = try FileDescriptor(duplicating: nl_socket_get_fd(handle))
        } catch {
            nl_socket_free(handle)
            throw NetlinkError(operation, result: NLE_NOMEM)
        }
        self.handle = handle
        let context = Unmanaged.passUnretained(self).toOpaque()
        nl_socket_modify_cb(handle, NL_CB_VALID, NL_CB_CUSTOM, takeMessage, context)
    }

    deinit {
        nl_socket_free(handle)
    }

    private static func subscribe(_ handle: OpaquePointer) -> CInt {
        // Notifications carry the sequence number of whoever caused them.
        nl_socket_disable_seq_check(handle)
        for step in [
            { nl_connect(handle, NETLINK_ROUTE) },
            { nl_socket_set_buffer_size(handle, CInt(receiveByteCountMax), 0) },
            { nl_socket_add_membership(handle, CInt(RTNLGRP_LINK.rawValue)) },
            { nl_socket_add_membership(handle, CInt(RTNLGRP_IPV4_IFADDR.rawValue)) },
            { nl_socket_add_membership(handle, CInt(RTNLGRP_IPV6_IFADDR.rawValue)) },
            { nl_socket_set_nonblocking(handle) },
        ] {
            let result = step()
            guard result == 0 else { return result }
        }
        return 0
    }

    /// Takes waiting events, at most `datagramsPerCallMax` datagrams of them.
    public func receive() -> [NetlinkEvent] {
        for _ in 0..<Self.datagramsPerCallMax {
            let result = nl_recvmsgs_default(handle)
            if result >= 0 { continue }
            if result == -NLE_AGAIN { break }
            // ENOBUFS reaches us as NLE_NOMEM. Any other failure leaves us just as unsure.
            overrunCount &+= 1
            pending.append(.overrun)
            break
        }
        defer { pending.removeAll(keepingCapacity: true) }
        return pending
    }

    fileprivate func take(_ message: OpaquePointer) {
        guard let header = nlmsg_hdr(message), let event = Self.event(header) else { return }
        pending.append(event)
    }

    private static func event(_ header: UnsafeMutablePointer<nlmsghdr>) -> NetlinkEvent? {
        switch CInt(header.pointee.nlmsg_type) {
        case CInt(RTM_NEWADDR):
            guard let found = address(header) else { return nil }
            return .addressAdded(
                interfaceIndex: found.index, address: found.address,
                prefixLength: found.prefixLength)
        case CInt(RTM_DELADDR):
            guard let found = address(header) else { return nil }
            return .addressRemoved(
                interfaceIndex: found.index, address: found.address,
                prefixLength: found.prefixLength)
        case CInt(RTM_NEWLINK):
            guard let found = link(header) else { return nil }
            return .linkChanged(
                interfaceIndex: found.index, name: found.name,
                isUp: found.flags & TANDEM_LINK_UP != 0,
                hasCarrier: found.flags & TANDEM_LINK_LOWER_UP != 0)
        case CInt(RTM_DELLINK):
            guard let found = link(header) else { return nil }
            return .linkRemoved(interfaceIndex: found.index, name: found.name)
        default:
            return nil
        }
    }

    private static func address(
        _ header: UnsafeMutablePointer<nlmsghdr>
    ) -> (index: Int, address: IPAddress, prefixLength: Int)? {
        let size = MemoryLayout<ifaddrmsg>.size
        guard nlmsg_valid_hdr(header, CInt(size)) != 0, let data = nlmsg_data(header) else {
            return nil
        }
        let body = data.loadUnaligned(as: ifaddrmsg.self)
        // Point-to-point IPv4 addresses have both; plain IPv6 addresses have IFA_ADDRESS alone.
        guard
            let attribute = nlmsg_find_attr(header, CInt(size), CInt(IFA_LOCAL))
                ?? nlmsg_find_attr(header, CInt(size), CInt(IFA_ADDRESS)),
            let address = IPAddress(
                bytes: nla_data(attribute), count: Int(nla_len(attribute)),
                family: CInt(body.ifa_family))
        else { return nil }
        return (Int(body.ifa_index), address, Int(body.ifa_prefixlen))
    }

    private static func link(
        _ header: UnsafeMutablePointer<nlmsghdr>
    ) -> (index: Int, name: String, flags: UInt32)? {
        let size = MemoryLayout<ifinfomsg>.size
        guard nlmsg_valid_hdr(header, CInt(size)) != 0, let data = nlmsg_data(header) else {
            return nil
        }
        let body = data.loadUnaligned(as: ifinfomsg.self)
        // Other families (bridge ports) report the same interface in another role.
        guard body.ifi_family == AF_UNSPEC else { return nil }
        var name = ""
        if let attribute = nlmsg_find_attr(header, CInt(size), CInt(IFLA_IFNAME)),
            let text = nla_get_string(attribute)
        {
            name = String(cString: text)
        }
        return (Int(body.ifi_index), name, body.ifi_flags)
    }
}

/// libnl calls this from `nl_recvmsgs_default`, on the thread that called `receive`.
private func takeMessage(_ message: OpaquePointer?, _ context: UnsafeMutableRawPointer?) -> CInt {
    if let message, let context {
        Unmanaged<NetlinkMonitor>.fromOpaque(context).takeUnretainedValue().take(message)
    }
    return CInt(NL_OK.rawValue)
}
