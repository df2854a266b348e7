// SPDX-License-Identifier: Apache-2.0
//
// A raw IPv4 socket for one protocol on one interface, multicast or unicast.

internal import CLinux
public import WireCore

/// A non-blocking raw IPv4 socket; the kernel writes the IP header on the way out.
public struct RawIPSocket: ~Copyable {
    /// How a socket is set up.
    public struct Options: Hashable, Sendable {
        /// The IP protocol number.
        public var protocolNumber: UInt8
        /// The interface's name (SO_BINDTODEVICE).
        public var interfaceName: String
        /// The interface's number, for multicast.
        public var interfaceIndex: Int
        /// The address to send from; sending fails while it is not on this host.
        public var source: IPv4Address
        /// The group to join; `nil` receives only what is sent to `source`.
        public var group: IPv4Address?
        /// Time to live of what is sent.
        public var timeToLive: UInt8 = 255
        /// How much may wait to be received; `nil` for the system's default.
        public var receiveByteCountMax: Int?

        /// Makes options.
        public init(
            protocolNumber: UInt8, interfaceName: String, interfaceIndex: Int,
            source: IPv4Address, group: IPv4Address?
        ) {
            self.protocolNumber = protocolNumber
            self.interfaceName = interfaceName
            self.interfaceIndex = interfaceIndex
            self.source = source
            self.group = group
        }
    }

    /// Readable while packets wait.
    public let descriptor: FileDescriptor

    /// Opens a socket (socket SOCK_RAW).
    ///
    /// - Throws: EPERM without CAP_NET_RAW, ENODEV for an unknown interface.
    public init(_ options: Options) throws(Errno) {
        let socket = try StreamSocket.open(AF_INET, SOCK_RAW, CInt(options.protocolNumber))
        try Self.bindToDevice(socket, options.interfaceName)
        if let receiveByteCountMax = options.receiveByteCountMax {
            try socket.setOption(SOL_SOCKET, SO_RCVBUF, CInt(clamping: receiveByteCountMax))
        }
        // Network control, as routers mark routing traffic (RFC 2474 §4.2.2.2, CS6).
        try socket.setOption(CInt(IPPROTO_IP), IP_TOS, 0xC0)
        if let group = options.group {
            // Left unbound: a bound raw socket does not get the group's packets.
            var request = Self.multicastRequest(group, options)
            try Self.set(socket, IP_ADD_MEMBERSHIP, &request)
            request.imr_multiaddr.s_addr = 0
            request.imr_address.s_addr = options.source.rawValue.bigEndian
            try Self.set(socket, IP_MULTICAST_IF, &request)
            try socket.setOption(CInt(IPPROTO_IP), IP_MULTICAST_LOOP, 0)
            try socket.setOption(CInt(IPPROTO_IP), IP_MULTICAST_TTL, CInt(options.timeToLive))
            // Only the groups joined here, not those of other sockets of this host.
            try socket.setOption(CInt(IPPROTO_IP), IP_MULTICAST_ALL, 0)
        } else {
            // The address may come later than the process; until then nothing can be sent.
            try socket.setOption(CInt(IPPROTO_IP), IP_FREEBIND, 1)
            try StreamSocket.bind(
                socket, SocketAddress(Endpoint(address: .v4(options.source), port: 0)))
        }
        try socket.setOption(CInt(IPPROTO_IP), IP_TTL, CInt(options.timeToLive))
        descriptor = socket
    }

    /// Sends one message (sendto).
    @discardableResult
    public borrowing func send(
        _ message: [UInt8], to destination: IPv4Address
    ) throws(Errno) -> IOOutcome {
        let number = descriptor.rawValue
        let address = SocketAddress(Endpoint(address: .v4(destination), port: 0))
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        return try SystemCall.transferring {
            message.withUnsafeBytes { bytes in
                address.withPointer {
                    tandem_sendto(number, bytes.baseAddress, bytes.count, flags, $0, $1)
                }
            }
        }
    }

    /// Receives one packet with its IP header; what does not fit is cut off (recv).
    public borrowing func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> IOOutcome {
        try StreamSocket.receive(descriptor, into: buffer)
    }

    static func bindToDevice(
        _ socket: borrowing FileDescriptor, _ name: String
    ) throws(Errno) {
        let number = socket.rawValue
        let bytes = Array(name.utf8)
        guard !bytes.isEmpty, bytes.count < Int(IFNAMSIZ) else { throw Errno(code: ENODEV) }
        try SystemCall.retrying {
            setsockopt(number, SOL_SOCKET, SO_BINDTODEVICE, bytes, socklen_t(bytes.count))
        }
    }

    private static func multicastRequest(_ group: IPv4Address, _ options: Options) -> ip_mreqn {
        var request = ip_mreqn()
        request.imr_multiaddr.s_addr = group.rawValue.bigEndian
        request.imr_ifindex = CInt(truncatingIfNeeded: options.interfaceIndex)
        return request
    }

    private static func set(
        _ socket: borrowing FileDescriptor, _ name: CInt, _ request: inout ip_mreqn
    ) throws(Errno) {
        let number = socket.rawValue
        let size = socklen_t(MemoryLayout<ip_mreqn>.size)
        try SystemCall.retrying {
            setsockopt(number, CInt(IPPROTO_IP), name, &request, size)
        }
    }
}
