// SPDX-License-Identifier: Apache-2.0
//
// An address to add, renew or delete, built before it is needed: the takeover path only sends it.

internal import CNetlink
public import WireCore

/// One address on one interface in libnl's form; belongs to the thread that made it.
public final class AddressRequest {
    /// What an address is besides its number.
    public struct Options: Hashable, Sendable {
        /// Seconds until the kernel removes the address unless it is renewed; `nil` for never.
        public var validSeconds: UInt32?
        /// Seconds until it is no longer chosen as a source; `nil` for never.
        public var preferredSeconds: UInt32?
        /// No route to the address's network is made (IFA_F_NOPREFIXROUTE).
        public var hasNoPrefixRoute = false
        /// No duplicate address detection, for IPv6: usable at once (IFA_F_NODAD).
        public var hasNoDuplicateDetection = false
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
    public let address: IPAddress
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
        _ address: IPAddress, prefixLength: Int, interfaceIndex: Int,
        options: Options = Options()
    ) throws(NetlinkError) {
        precondition(
            (0...address.bitWidth).contains(prefixLength),
            "a prefix is not longer than the address")
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
        _ address: IPAddress, _ prefixLength: Int, _ interfaceIndex: Int, _ options: Options
    ) throws(NetlinkError) -> OpaquePointer {
        guard let object = rtnl_addr_alloc() else {
            throw NetlinkError("prepare address \(address)", result: NLE_NOMEM)
        }
        guard let local = address.netlinkAddress() else {
            rtnl_addr_put(object)
            throw NetlinkError("prepare address \(address)", result: NLE_NOMEM)
        }
        nl_addr_set_prefixlen(local, CInt(prefixLength))
        rtnl_addr_set_family(object, address.family.kernelValue)
        rtnl_addr_set_ifindex(object, CInt(interfaceIndex))
        let result = rtnl_addr_set_local(object, local)
        nl_addr_put(local)
        guard result == 0 else {
            rtnl_addr_put(object)
            throw NetlinkError("prepare address \(address)", result: result)
        }
        rtnl_addr_set_prefixlen(object, CInt(prefixLength))
        rtnl_addr_set_scope(object, options.scope.kernelValue)
        var flags: UInt32 = 0
        if options.hasNoPrefixRoute { flags |= UInt32(IFA_F_NOPREFIXROUTE) }
        if options.hasNoDuplicateDetection { flags |= UInt32(IFA_F_NODAD) }
        if flags != 0 { rtnl_addr_set_flags(object, flags) }
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

extension AddressFamily {
    /// AF_INET or AF_INET6.
    var kernelValue: CInt { self == .ipv4 ? AF_INET : AF_INET6 }
}

extension IPAddress {
    /// The address as libnl keeps it, without a prefix length of its own; `nil` without memory.
    func netlinkAddress() -> OpaquePointer? {
        switch self {
        case .v4(let address):
            var bytes = address.rawValue.bigEndian
            return nl_addr_build(AF_INET, &bytes, 4)
        case .v6(let address):
            var bytes = address.octets
            return nl_addr_build(AF_INET6, &bytes, 16)
        }
    }

    /// Reads what libnl or the kernel keeps; `nil` for other families.
    init?(bytes: UnsafeRawPointer, count: Int, family: CInt) {
        switch (family, count) {
        case (AF_INET, 4):
            self = .v4(
                IPv4Address(rawValue: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))))
        case (AF_INET6, 16):
            self = .v6(
                IPv6Address(
                    high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                    low: UInt64(
                        bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))))
        default: return nil
        }
    }
}
