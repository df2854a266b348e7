// SPDX-License-Identifier: Apache-2.0
//
// An address to add, renew or delete, built before it is needed: the takeover path only sends it.

internal import CNetlink
public import WireCore

/// One IPv4 address on one interface in libnl's form; belongs to the thread that made it.
public final class AddressRequest {
    /// What an address is besides its number.
    public struct Options: Hashable, Sendable {
        /// Seconds until the kernel removes the address unless it is renewed; `nil` for never.
        public var validSeconds: UInt32?
        /// Seconds until it is no longer chosen as a source; `nil` for never.
        public var preferredSeconds: UInt32?
        /// No route to the address's network is made (IFA_F_NOPREFIXROUTE).
        public var hasNoPrefixRoute = false
        /// Where the address is valid.
        public var scope = Scope.universe

        /// Makes the options of a permanent address.
        public init() {}
    }

    /// Where an address is valid (rtnetlink(7), rtm_scope).
    public enum Scope: Hashable, Sendable {
        /// Everywhere.
        case universe
        /// On the link.
        case link
        /// In this host.
        case host
    }

    /// The address.
    public let address: IPv4Address
    /// How many leading bits name the network.
    public let prefixLength: Int
    /// The interface.
    public let interfaceIndex: Int

    let object: OpaquePointer
    private let options: Options

    /// Prepares a request.
    ///
    /// - Throws: when libnl has no memory.
    public init(
        _ address: IPv4Address, prefixLength: Int, interfaceIndex: Int,
        options: Options = Options()
    ) throws(NetlinkError) {
        precondition((0...32).contains(prefixLength), "an IPv4 prefix has 0 to 32 bits")
        self.address = address
        self.prefixLength = prefixLength
        self.interfaceIndex = interfaceIndex
        self.options = options
        object = try Self.makeObject(address, prefixLength, interfaceIndex, options)
    }

    deinit {
        rtnl_addr_put(object)
    }

    private static func makeObject(
        _ address: IPv4Address, _ prefixLength: Int, _ interfaceIndex: Int, _ options: Options
    ) throws(NetlinkError) -> OpaquePointer {
        var bytes = address.rawValue.bigEndian
        guard let object = rtnl_addr_alloc() else {
            throw NetlinkError("prepare address \(address)", result: NLE_NOMEM)
        }
        guard let local = nl_addr_build(AF_INET, &bytes, 4) else {
            rtnl_addr_put(object)
            throw NetlinkError("prepare address \(address)", result: NLE_NOMEM)
        }
        nl_addr_set_prefixlen(local, CInt(prefixLength))
        rtnl_addr_set_family(object, AF_INET)
        rtnl_addr_set_ifindex(object, CInt(interfaceIndex))
        let result = rtnl_addr_set_local(object, local)
        nl_addr_put(local)
        guard result == 0 else {
            rtnl_addr_put(object)
            throw NetlinkError("prepare address \(address)", result: result)
        }
        rtnl_addr_set_prefixlen(object, CInt(prefixLength))
        rtnl_addr_set_scope(object, options.scope.kernelValue)
        if options.hasNoPrefixRoute { rtnl_addr_set_flags(object, UInt32(IFA_F_NOPREFIXROUTE)) }
        setLifetimes(object, options)
        return object
    }

    private static func setLifetimes(_ object: OpaquePointer, _ options: Options) {
        guard options.validSeconds != nil || options.preferredSeconds != nil else { return }
        // INFINITY_LIFE_TIME is all ones (rtnetlink).
        let valid = options.validSeconds ?? .max
        rtnl_addr_set_valid_lifetime(object, valid)
        rtnl_addr_set_preferred_lifetime(object, min(options.preferredSeconds ?? .max, valid))
    }

    var text: String { "\(address)/\(prefixLength) on interface \(interfaceIndex)" }
}

extension AddressRequest.Scope {
    fileprivate var kernelValue: CInt {
        switch self {
        case .universe: CInt(RT_SCOPE_UNIVERSE.rawValue)
        case .link: CInt(RT_SCOPE_LINK.rawValue)
        case .host: CInt(RT_SCOPE_HOST.rawValue)
        }
    }
}
