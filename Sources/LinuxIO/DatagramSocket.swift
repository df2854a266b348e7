// SPDX-License-Identifier: Apache-2.0
//
// UDP sockets with one peer each. Every descriptor made here is non-blocking and closed on exec.

internal import CLinux
public import WireCore

/// Datagram sockets: what the peer's host refuses comes back as an error of the next call.
public enum DatagramSocket {
    /// Opens a socket that talks to one peer and hears nobody else (socket, connect).
    public static func connect(to endpoint: Endpoint) throws(Errno) -> FileDescriptor {
        let family = if case .v4 = endpoint.address { AF_INET } else { AF_INET6 }
        let socket = try StreamSocket.open(family, SOCK_DGRAM, 0)
        let number = socket.rawValue
        let address = SocketAddress(endpoint)
        try SystemCall.retrying { address.withPointer { tandem_connect(number, $0, $1) } }
        return socket
    }

    /// Opens a socket on an address, for whoever sends to it (socket, bind).
    public static func bind(to endpoint: Endpoint) throws(Errno) -> FileDescriptor {
        let family = if case .v4 = endpoint.address { AF_INET } else { AF_INET6 }
        let socket = try StreamSocket.open(family, SOCK_DGRAM, 0)
        try StreamSocket.bind(socket, SocketAddress(endpoint))
        return socket
    }

    /// Sends one datagram to the peer, an empty one too (send).
    ///
    /// - Throws: ECONNREFUSED when the peer's host said that nobody listens.
    public static func send(
        _ socket: borrowing FileDescriptor, _ bytes: [UInt8]
    ) throws(Errno) -> IOOutcome {
        try StreamSocket.send(socket, bytes)
    }

    /// Receives one datagram; what does not fit is cut off; `nil` when none waits (recv).
    ///
    /// - Throws: ECONNREFUSED when the peer's host said that nobody listens.
    public static func receive(
        _ socket: borrowing FileDescriptor, upTo byteCountMax: Int
    ) throws(Errno) -> [UInt8]? {
        try socket.read(upTo: byteCountMax)
    }

    /// Sends one datagram to an address; the socket has no peer (sendto).
    public static func send(
        _ socket: borrowing FileDescriptor, _ bytes: [UInt8], to destination: Endpoint
    ) throws(Errno) -> IOOutcome {
        let number = socket.rawValue
        let address = SocketAddress(destination)
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        return try SystemCall.transferring {
            bytes.withUnsafeBytes { bytes in
                address.withPointer {
                    tandem_sendto(number, bytes.baseAddress, bytes.count, flags, $0, $1)
                }
            }
        }
    }

    /// Receives one datagram with the address it came from; `nil` when none waits (recvfrom).
    public static func receiveWithSource(
        _ socket: borrowing FileDescriptor, upTo byteCountMax: Int
    ) throws(Errno) -> (bytes: [UInt8], source: Endpoint?)? {
        let number = socket.rawValue
        var bytes = [UInt8](repeating: 0, count: byteCountMax)
        var outcome = IOOutcome.wouldBlock
        let source = try SocketAddress.received { (base, length) throws(Errno) in
            outcome = try SystemCall.transferring {
                bytes.withUnsafeMutableBytes {
                    tandem_recvfrom(number, $0.baseAddress, $0.count, 0, base, length)
                }
            }
        }
        guard case .bytes(let count) = outcome else { return nil }
        bytes.removeLast(byteCountMax - count)
        return (bytes, source.endpoint)
    }
}
