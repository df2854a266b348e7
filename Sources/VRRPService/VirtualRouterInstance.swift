// SPDX-License-Identifier: Apache-2.0
//
// Which virtual router on the wire is meant, as a value that names it everywhere.

public import WireCore

/// One virtual router on the wire.
///
/// The same VRID names separate virtual routers on another interface and in the other family
/// (RFC 9568 §5.2.3).
public struct VirtualRouterInstance: Hashable, Sendable {
    /// VRID, 1-255.
    public var virtualRouterID: UInt8
    /// The family of its addresses.
    public var family: AddressFamily
    /// The interface it speaks on.
    public var interface: String

    /// Names an instance.
    public init(virtualRouterID: UInt8, family: AddressFamily, interface: String) {
        self.virtualRouterID = virtualRouterID
        self.family = family
        self.interface = interface
    }
}

extension VirtualRouterInstance: CustomStringConvertible {
    /// `vrid 51`, and what tells it from the usual IPv4 one: `vrid 51 ipv6`.
    public var description: String {
        family == .ipv4 ? "vrid \(virtualRouterID)" : "vrid \(virtualRouterID) \(family.rawValue)"
    }
}
