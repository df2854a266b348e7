// SPDX-License-Identifier: Apache-2.0
//
// A raw socket for whole IP packets, headers included. Receives nothing.

internal import CLinux
public import WireCore

/// Sends packets of one family whose headers the caller wrote (socket SOCK_RAW, IPPROTO_RAW).
///
/// They take the route that the host's own packets to the destination take, whatever source address
/// they carry. Of IPv4 the kernel fills in length, identification and header checksum (raw(7)).
public struct RawSegmentSocket: ~Copyable {
    private let descriptor: FileDescriptor

    /// Opens a socket whose packets carry ``ConnectionMark/adopted`` where the process may mark
    /// them.
    ///
    /// - Throws: EPERM without CAP_NET_RAW, EAFNOSUPPORT without that family.
    public init(_ family: AddressFamily) throws(Errno) {
        let domain = family == .ipv4 ? AF_INET : AF_INET6
        descriptor = try StreamSocket.open(domain, SOCK_RAW, CInt(IPPROTO_RAW))
        try? descriptor.setOption(
            SOL_SOCKET, SO_MARK, CInt(bitPattern: ConnectionMark.adopted))
    }

    /// Sends one packet (sendto); `destination` is of the socket's family.
    public borrowing func send(
        _ packet: [UInt8], to destination: IPAddress
    ) throws(Errno) -> IOOutcome {
        let number = descriptor.rawValue
        let address = SocketAddress(Endpoint(address: destination, port: 0))
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        return try SystemCall.transferring {
            packet.withUnsafeBytes { bytes in
                address.withPointer {
                    tandem_sendto(number, bytes.baseAddress, bytes.count, flags, $0, $1)
                }
            }
        }
    }
}
