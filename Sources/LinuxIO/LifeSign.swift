// SPDX-License-Identifier: Apache-2.0
//
// A packet that goes nowhere, for rules of this host that ask whether this process runs.

internal import CLinux

/// Sends marked packets to this host's discard port (RFC 863).
public struct LifeSign: ~Copyable, Sendable {
    private let socket: FileDescriptor

    /// Opens the socket (socket SOCK_DGRAM, SO_MARK).
    ///
    /// - Throws: EPERM without CAP_NET_ADMIN.
    public init(mark: UInt32) throws(Errno) {
        let opened = try StreamSocket.open(AF_INET, SOCK_DGRAM, 0)
        try opened.setOption(SOL_SOCKET, SO_MARK, CInt(bitPattern: mark))
        socket = opened
    }

    /// Sends one packet (sendto).
    ///
    /// That a rule dropped it after taking note of it is an error to the kernel (EPERM) and none
    /// to the caller.
    public borrowing func send() {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(9).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = tandem_sendto(socket.rawValue, nil, 0, flags, &address, size)
    }
}
