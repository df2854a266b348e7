// SPDX-License-Identifier: Apache-2.0
//
// Settings of one interface for IPv4, through netlink: /proc/sys is read-only where a service is
// confined.

internal import CNetlink

/// A number under net.ipv4.conf of an interface (ip-sysctl).
public enum InterfaceSetting: String, Hashable, Sendable, CaseIterable {
    /// Which ARP questions the kernel answers.
    case arpIgnore = "arp_ignore"
    /// Which source address the kernel's own ARP questions name.
    case arpAnnounce = "arp_announce"
    /// Whether packets from where no route leads back are dropped.
    case reversePathFilter = "rp_filter"

    fileprivate var number: UInt32? {
        let number = rtnl_link_inet_str2devconf(rawValue)
        return number > 0 ? UInt32(number) : nil
    }
}

extension NetlinkSocket {
    /// The interface's own value, without that of `all` (rtnl_link_inet_get_conf).
    public borrowing func value(
        of setting: InterfaceSetting, interfaceIndex: Int
    ) throws(NetlinkError) -> UInt32 {
        let operation = "read \(setting.rawValue) of interface \(interfaceIndex)"
        var object: OpaquePointer?
        let found = rtnl_link_get_kernel(
            handle, CInt(truncatingIfNeeded: interfaceIndex), nil, &object)
        guard found == 0, let object else { throw NetlinkError(operation, result: found) }
        defer { rtnl_link_put(object) }
        guard let number = setting.number else {
            throw NetlinkError(operation, result: NLE_OPNOTSUPP)
        }
        var value: UInt32 = 0
        let result = rtnl_link_inet_get_conf(object, number, &value)
        guard result == 0 else { throw NetlinkError(operation, result: result) }
        return value
    }

    /// Changes the interface's own value (rtnl_link_inet_set_conf).
    public borrowing func set(
        _ setting: InterfaceSetting, to value: UInt32, interfaceIndex: Int
    ) throws(NetlinkError) {
        let operation = "set \(setting.rawValue) of interface \(interfaceIndex) to \(value)"
        guard let number = setting.number else {
            throw NetlinkError(operation, result: NLE_OPNOTSUPP)
        }
        try change(operation, interfaceIndex) {
            _ = rtnl_link_inet_set_conf($0, number, value)
        }
    }
}
