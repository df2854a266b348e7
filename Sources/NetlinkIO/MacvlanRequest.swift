// SPDX-License-Identifier: Apache-2.0
//
// Interfaces that lend another one a second MAC address: made, described, found and removed.

internal import CNetlink

/// A macvlan to make.
public struct MacvlanRequest: Hashable, Sendable {
    /// The new interface's name, at most 15 bytes.
    public var name: String
    /// The interface that carries it.
    public var parentIndex: Int
    /// Its six bytes of MAC address.
    public var hardwareAddress: [UInt8]
    /// A text that stays with it (ifalias), at most 255 bytes.
    public var alias: String

    /// Describes an interface.
    public init(name: String, parentIndex: Int, hardwareAddress: [UInt8], alias: String) {
        self.name = name
        self.parentIndex = parentIndex
        self.hardwareAddress = hardwareAddress
        self.alias = alias
    }
}

/// A macvlan that is there.
public struct MacvlanLink: Hashable, Sendable {
    /// The interface's number.
    public var index: Int
    /// The interface's name.
    public var name: String
    /// The text that stays with it.
    public var alias: String
}

extension NetlinkSocket {
    /// Makes a macvlan, switched off (rtnl_link_add).
    ///
    /// Mode bridge: in mode private the kernel keeps multicast frames that bear the same MAC
    /// address, such as the other node's adverts, from the carrying interface.
    public borrowing func add(_ request: MacvlanRequest) throws(NetlinkError) {
        let operation = "make interface \(request.name)"
        guard let link = rtnl_link_macvlan_alloc(),
            let address = nl_addr_build(
                AF_LLC, request.hardwareAddress, request.hardwareAddress.count)
        else { throw NetlinkError(operation, result: NLE_NOMEM) }
        defer {
            nl_addr_put(address)
            rtnl_link_put(link)
        }
        rtnl_link_set_name(link, request.name)
        rtnl_link_set_link(link, CInt(truncatingIfNeeded: request.parentIndex))
        rtnl_link_set_addr(link, address)
        _ = rtnl_link_macvlan_set_mode(link, UInt32(MACVLAN_MODE_BRIDGE.rawValue))
        let result = rtnl_link_add(handle, link, NLM_F_CREATE | NLM_F_EXCL)
        guard result == 0 else { throw NetlinkError(operation, result: result) }
        // The kernel takes the text for interfaces that are there already, and not before.
        let made = try self.link(named: request.name)
        try change("describe interface \(request.name)", made.index) {
            rtnl_link_set_ifalias($0, request.alias)
        }
    }

    /// All macvlans whose names begin with `prefix` (rtnl_link_alloc_cache).
    public borrowing func macvlans(named prefix: String) throws(NetlinkError) -> [MacvlanLink] {
        var cache: OpaquePointer?
        let result = rtnl_link_alloc_cache(handle, AF_UNSPEC, &cache)
        guard result == 0, let cache else {
            throw NetlinkError("list interfaces", result: result)
        }
        defer { nl_cache_free(cache) }
        var found: [MacvlanLink] = []
        var object = nl_cache_get_first(cache)
        while let current = object {
            let name = rtnl_link_get_name(current).map { String(cString: $0) } ?? ""
            if name.hasPrefix(prefix), rtnl_link_is_macvlan(current) != 0 {
                found.append(
                    MacvlanLink(
                        index: Int(rtnl_link_get_ifindex(current)), name: name,
                        alias: rtnl_link_get_ifalias(current).map { String(cString: $0) } ?? ""))
            }
            object = nl_cache_get_next(current)
        }
        return found
    }
}
