// SPDX-License-Identifier: Apache-2.0
//
// Questions and orders to the kernel's routing tables, each answered before the call returns.
// Notifications are NetlinkMonitor's.

internal import CNetlink
public import WireCore

/// A netlink socket for requests; belongs to the thread that made it.
public struct NetlinkSocket: ~Copyable {
    let handle: OpaquePointer

    /// Opens a socket in the calling thread's network namespace (nl_connect).
    public init() throws(NetlinkError) {
        guard let handle = nl_socket_alloc() else {
            throw NetlinkError("open netlink socket", result: NLE_NOMEM)
        }
        let result = nl_connect(handle, NETLINK_ROUTE)
        guard result == 0 else {
            nl_socket_free(handle)
            throw NetlinkError("open netlink socket", result: result)
        }
        self.handle = handle
    }

    deinit {
        nl_socket_free(handle)
    }

    /// The interface called `name` (rtnl_link_get_kernel).
    public borrowing func link(named name: String) throws(NetlinkError) -> NetworkLink {
        try link("find interface \(name)") { rtnl_link_get_kernel($0, 0, name, &$1) }
    }

    /// The interface numbered `index` (rtnl_link_get_kernel).
    public borrowing func link(index: Int) throws(NetlinkError) -> NetworkLink {
        try link("find interface \(index)") {
            rtnl_link_get_kernel($0, CInt(truncatingIfNeeded: index), nil, &$1)
        }
    }

    private borrowing func link(
        _ operation: String, _ body: (OpaquePointer, inout OpaquePointer?) -> CInt
    ) throws(NetlinkError) -> NetworkLink {
        var object: OpaquePointer?
        let result = body(handle, &object)
        guard result == 0, let object else { throw NetlinkError(operation, result: result) }
        defer { rtnl_link_put(object) }
        return NetworkLink(object: object)
    }

    /// Switches an interface on (rtnl_link_change with IFF_UP).
    public borrowing func bringUp(interfaceIndex: Int) throws(NetlinkError) {
        try change("switch interface \(interfaceIndex) on", interfaceIndex) {
            rtnl_link_set_flags($0, TANDEM_LINK_UP)
        }
    }

    /// Switches an interface off (rtnl_link_change without IFF_UP).
    public borrowing func takeDown(interfaceIndex: Int) throws(NetlinkError) {
        try change("switch interface \(interfaceIndex) off", interfaceIndex) {
            rtnl_link_unset_flags($0, TANDEM_LINK_UP)
        }
    }

    /// Keeps the kernel from making link-local addresses on an interface (addrgenmode none).
    public borrowing func omitLinkLocal(interfaceIndex: Int) throws(NetlinkError) {
        try change("leave interface \(interfaceIndex) without addresses", interfaceIndex) {
            _ = rtnl_link_inet6_set_addr_gen_mode($0, UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
        }
    }

    borrowing func change(
        _ operation: String, _ interfaceIndex: Int, _ describe: (OpaquePointer) -> Void
    ) throws(NetlinkError) {
        guard let change = rtnl_link_alloc() else {
            throw NetlinkError(operation, result: NLE_NOMEM)
        }
        defer { rtnl_link_put(change) }
        rtnl_link_set_ifindex(change, CInt(truncatingIfNeeded: interfaceIndex))
        describe(change)
        let result = rtnl_link_change(handle, change, change, 0)
        guard result == 0 else { throw NetlinkError(operation, result: result) }
    }

    /// Removes an interface (rtnl_link_delete).
    public borrowing func deleteLink(interfaceIndex: Int) throws(NetlinkError) {
        let operation = "remove interface \(interfaceIndex)"
        guard let link = rtnl_link_alloc() else {
            throw NetlinkError(operation, result: NLE_NOMEM)
        }
        defer { rtnl_link_put(link) }
        rtnl_link_set_ifindex(link, CInt(truncatingIfNeeded: interfaceIndex))
        let result = rtnl_link_delete(handle, link)
        guard result == 0 else { throw NetlinkError(operation, result: result) }
    }

    /// Adds an address, or renews its lifetimes when it is there already (rtnl_addr_add).
    public borrowing func put(_ request: AddressRequest) throws(NetlinkError) {
        let result = rtnl_addr_add(handle, request.object, NLM_F_CREATE | NLM_F_REPLACE)
        guard result == 0 else {
            throw NetlinkError("add address \(request.text)", result: result)
        }
    }

    /// Removes an address (rtnl_addr_delete).
    ///
    /// - Returns: false when it was gone already, with or without its interface.
    @discardableResult
    public borrowing func delete(_ request: AddressRequest) throws(NetlinkError) -> Bool {
        let result = rtnl_addr_delete(handle, request.object, 0)
        if result == 0 { return true }
        let error = NetlinkError("remove address \(request.text)", result: result)
        if error.isMissing { return false }
        throw error
    }

    /// All addresses of both families in the order the kernel keeps them (rtnl_addr_alloc_cache).
    ///
    /// - Parameter interfaceIndex: the interface wanted; `nil` for all.
    /// - Returns: the addresses, secondary ones included.
    /// - Throws: when the kernel refuses the list.
    public borrowing func addresses(
        interfaceIndex: Int? = nil
    ) throws(NetlinkError) -> [InterfaceAddress] {
        var cache: OpaquePointer?
        let result = rtnl_addr_alloc_cache(handle, &cache)
        guard result == 0, let cache else {
            throw NetlinkError("list addresses", result: result)
        }
        defer { nl_cache_free(cache) }
        var found: [InterfaceAddress] = []
        var object = nl_cache_get_first(cache)
        while let current = object {
            if let address = InterfaceAddress(object: current),
                interfaceIndex == nil || interfaceIndex == address.interfaceIndex
            {
                found.append(address)
            }
            object = nl_cache_get_next(current)
        }
        return found
    }

    /// The address an interface speaks with: its first one that is not secondary.
    public borrowing func primaryAddress(
        interfaceIndex: Int
    ) throws(NetlinkError) -> IPv4Address? {
        try addresses(interfaceIndex: interfaceIndex)
            .first { !$0.isSecondary && $0.address.family == .ipv4 }?.address.ipv4
    }

    /// The link-local address of an interface; `nil` while its duplicate address detection runs.
    ///
    /// `addressAdded` of `NetlinkMonitor` tells when that is over.
    public borrowing func linkLocalAddress(
        interfaceIndex: Int
    ) throws(NetlinkError) -> IPv6Address? {
        try addresses(interfaceIndex: interfaceIndex)
            .first { $0.isUsable && $0.address.ipv6?.isLinkLocal == true }?.address.ipv6
    }
}

extension NetworkLink {
    fileprivate init(object: OpaquePointer) {
        let flags = rtnl_link_get_flags(object)
        var bytes: [UInt8] = []
        if let address = rtnl_link_get_addr(object), let base = nl_addr_get_binary_addr(address) {
            let count = Int(nl_addr_get_len(address))
            bytes = Array(UnsafeRawBufferPointer(start: base, count: count))
        }
        self.init(
            index: Int(rtnl_link_get_ifindex(object)),
            name: rtnl_link_get_name(object).map { String(cString: $0) } ?? "",
            hardwareAddress: bytes, mtuByteCount: Int(rtnl_link_get_mtu(object)),
            isUp: flags & TANDEM_LINK_UP != 0,
            hasCarrier: flags & TANDEM_LINK_LOWER_UP != 0)
    }
}

extension InterfaceAddress {
    /// Reads a cached address; `nil` for other families.
    fileprivate init?(object: OpaquePointer) {
        guard let local = rtnl_addr_get_local(object),
            let base = nl_addr_get_binary_addr(local),
            let address = IPAddress(
                bytes: base, count: Int(nl_addr_get_len(local)),
                family: rtnl_addr_get_family(object))
        else { return nil }
        let valid = rtnl_addr_get_valid_lifetime(object)
        self.init(
            interfaceIndex: Int(rtnl_addr_get_ifindex(object)),
            address: address,
            prefixLength: Int(rtnl_addr_get_prefixlen(object)),
            isSecondary: rtnl_addr_get_flags(object) & UInt32(IFA_F_SECONDARY) != 0,
            validSeconds: valid == .max ? nil : valid,
            isUsable: rtnl_addr_get_flags(object) & UInt32(IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0)
    }
}
