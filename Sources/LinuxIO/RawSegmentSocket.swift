// SPDX-License-Identifier: Apache-2.0
//
// A raw socket for whole IPv4 packets, headers included. Receives nothing.

internal import CLinux
public import WireCore

/// Sends IPv4 packets whose headers the caller wrote (socket SOCK_RAW, IPPROTO_RAW).
///
/// They take the route that the host's own packets to the destination take, whatever source address
/// they carry. The kernel fills in length, identification and header checksum (raw(7)).
public struct RawSegmentSocket: ~Copyable {
    private let descriptor: FileDescriptor

    /// Opens a socket.
    ///
    /// - Throws: EPERM without CAP_NET_RAW.
    public init() throws(Errno) {
        descriptor = try StreamSocket.open(AF_INET, SOCK_RAW, CInt(IPPROTO_RAW))
    }

    /// Sends one packet (sendto).
    public borrowing func send(
        _ packet: [UInt8], to destination: IPv4Address
    ) throws(Errno) -> IOOutcome {
        let number = descriptor.rawValue
        let address = SocketAddress(Endpoint(address: .v4(destination), port: 0))
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
