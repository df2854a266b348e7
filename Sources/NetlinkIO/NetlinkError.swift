// SPDX-License-Identifier: Apache-2.0
//
// Why libnl refused something, in its own words.

internal import CNetlink

/// What libnl or the kernel answered to a request that failed.
public struct NetlinkError: Error, Hashable, Sendable {
    /// What was asked for, such as `add address 10.0.0.1/32`.
    public let operation: String
    /// libnl's error number (NLE_*), always positive.
    public let code: CInt

    init(_ operation: String, result: CInt) {
        self.operation = operation
        code = abs(result)
    }

    /// The interface or the address is not there.
    public var isMissing: Bool {
        code == NLE_NODEV || code == NLE_OBJ_NOTFOUND || code == NLE_NOADDR
    }

    /// The process may not change the network (no CAP_NET_ADMIN).
    public var isNotPermitted: Bool {
        code == NLE_PERM
    }
}

extension NetlinkError: CustomStringConvertible {
    /// `add address 10.0.0.1/32: operation not permitted`.
    public var description: String {
        operation + ": " + String(cString: nl_geterror(code)).lowercased()
    }
}
