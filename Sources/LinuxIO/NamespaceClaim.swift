// SPDX-License-Identifier: Apache-2.0
//
// A name that one process at a time can have in its network namespace, and that the kernel gives
// back when the process ends, however it ends.

internal import CLinux

/// A claim on a name, held by an abstract Unix socket (unix(7)).
public struct NamespaceClaim: ~Copyable {
    private let socket: FileDescriptor

    /// Claims a name of at most 100 bytes.
    ///
    /// - Throws: EADDRINUSE while a living process has it.
    public init(_ name: String) throws(Errno) {
        guard let address = SocketAddress(pathBytes: [0] + Array(name.utf8)) else {
            throw Errno(code: ENAMETOOLONG)
        }
        let opened = try StreamSocket.open(AF_UNIX, SOCK_DGRAM, 0)
        try StreamSocket.bind(opened, address)
        socket = opened
    }
}
