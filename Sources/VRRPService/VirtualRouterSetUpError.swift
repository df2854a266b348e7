// SPDX-License-Identifier: Apache-2.0
//
// Why the virtual routers of a node cannot be set up, in words for the operator.

public import LinuxIO
public import NetlinkIO
public import VRRPCore

/// Why the virtual routers of a node cannot be set up.
public enum VirtualRouterSetUpError: Error, Hashable, Sendable {
    /// The interface is missing or netlink is refused.
    case netlink(NetlinkError)
    /// A socket was refused; the text names it.
    case socket(String, Errno)
    /// The device for the addresses was refused.
    case addresses(VirtualAddressError)
    /// The configuration of a virtual router is out of range.
    case settings(virtualRouterID: UInt8, VirtualRouterSettings.Problem)
    /// A virtual router needs an election, and there is no other node.
    case noPeer
    /// A virtual router signs its adverts, and there is no key.
    case noKey(virtualRouterID: UInt8)
}

extension VirtualRouterSetUpError: CustomStringConvertible {
    /// What failed and the kernel's words.
    public var description: String {
        switch self {
        case .netlink(let error): error.description
        case .socket(let what, let error): "open \(what): \(error)"
        case .addresses(let error): error.description
        case .settings(let id, let problem): "virtual router \(id): \(problem)"
        case .noPeer: "an election needs two nodes"
        case .noKey(let id): "virtual router \(id): signed adverts need the pair's secret"
        }
    }
}
