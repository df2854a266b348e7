// SPDX-License-Identifier: Apache-2.0
//
// Why a virtual address could not be held.

public import LinuxIO
public import NetlinkIO

/// A failure to add or remove virtual addresses.
public enum VirtualAddressError: Error, Hashable, Sendable {
    /// The kernel refused a change.
    case netlink(NetlinkError)
    /// The device that carries the addresses could not be made.
    case tunnel(Errno)
    /// The interface for a virtual MAC could not be made ready; the text says which step failed.
    case virtualMAC(String, Errno)
}

extension VirtualAddressError: CustomStringConvertible {
    /// What failed and the kernel's words.
    public var description: String {
        switch self {
        case .netlink(let error): error.description
        case .tunnel(let error): "open \(TunnelDevice.path): \(error)"
        case .virtualMAC(let step, let error): "\(step): \(error)"
        }
    }
}
