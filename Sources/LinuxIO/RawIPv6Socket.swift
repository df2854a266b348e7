// SPDX-License-Identifier: Apache-2.0
//
// A raw IPv6 socket for one protocol on one interface, multicast or unicast.

internal import CLinux
public import WireCore

/// A non-blocking raw IPv6 socket; the kernel writes the IP header on the way out and keeps it on
/// the way in, so what it says comes beside the packet (RFC 3542).
public struct RawIPv6Socket: ~Copyable {
    /// How a socket is set up.
    public struct Options: Hashable, Sendable {
        /// The next header value.
        public var protocolNumber: UInt8
        /// The interface's name (SO_BINDTODEVICE).
        public var interfaceName: String
        /// The interface's number.
        public var interfaceIndex: Int
        /// The group to join; `nil` for none.
        public var group: IPv6Address?
        /// Hop limit of what is sent.
        public var hopLimit: UInt8 = 255
        /// How much may wait to be received; `nil` for the system's default.
        public var receiveByteCountMax: Int?

        /// Makes options.
        public init(
            protocolNumber: UInt8, interfaceName: String, interfaceIndex: Int, group: IPv6Address?
        ) {
            self.protocolNumber = protocolNumber
            self.interfaceName = interfaceName
            self.interfaceIndex = interfaceIndex
            self.group = group
        }
    }

    /// What carried a packet.
    public struct Carrier: Hashable, Sendable {
        /// Payload bytes.
        public var byteCount: Int
        /// Source of the IP header.
        public var source: IPv6Address
        /// Destination of the IP header.
        public var destination: IPv6Address
        /// Hop limit on arrival.
        public var hopLimit: UInt8
    }

    /// Readable while packets wait.
    public let descriptor: FileDescriptor
    private let interfaceIndex: Int

    /// Opens a socket (socket SOCK_RAW).
    ///
    /// - Throws: EPERM without CAP_NET_RAW, ENODEV for an unknown interface, EAFNOSUPPORT without
    ///   IPv6.
    public init(_ options: Options) throws(Errno) {
        let socket = try StreamSocket.open(AF_INET6, SOCK_RAW, CInt(options.protocolNumber))
        try RawIPSocket.bindToDevice(socket, options.interfaceName)
        if let receiveByteCountMax = options.receiveByteCountMax {
            try socket.setOption(SOL_SOCKET, SO_RCVBUF, CInt(clamping: receiveByteCountMax))
        }
        let level = CInt(IPPROTO_IPV6)
        let hops = CInt(options.hopLimit)
        let index = CInt(truncatingIfNeeded: options.interfaceIndex)
        // Network control, as routers mark routing traffic (RFC 2474 §4.2.2.2, CS6).
        try socket.setOption(level, IPV6_TCLASS, 0xC0)
        try socket.setOption(level, IPV6_UNICAST_HOPS, hops)
        try socket.setOption(level, IPV6_MULTICAST_HOPS, hops)
        try socket.setOption(level, IPV6_MULTICAST_LOOP, 0)
        try socket.setOption(level, IPV6_MULTICAST_IF, index)
        try socket.setOption(level, IPV6_RECVPKTINFO, 1)
        try socket.setOption(level, IPV6_RECVHOPLIMIT, 1)
        // Only the groups joined here, not those of other sockets of this host.
        try socket.setOption(level, IPV6_MULTICAST_ALL, 0)
        if let group = options.group {
            try MulticastMembership.change(.join, group, index, of: socket)
        }
        descriptor = socket
        interfaceIndex = options.interfaceIndex
    }

    /// Sends one message (sendmsg with IPV6_PKTINFO).
    ///
    /// - Parameters:
    ///   - message: the payload.
    ///   - source: the source address; sending fails while it is not usable on this host.
    ///   - destination: the receiver; a link-local one is on the socket's interface.
    /// - Returns: what was taken.
    /// - Throws: EINVAL while the source is not usable.
    @discardableResult
    public borrowing func send(
        _ message: [UInt8], from source: IPv6Address, to destination: IPv6Address
    ) throws(Errno) -> IOOutcome {
        let number = descriptor.rawValue
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        let index = UInt32(truncatingIfNeeded: interfaceIndex)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_addr = in6_addr(destination)
        address.sin6_scope_id = index
        var origin = tandem_packet_information()
        origin.address = in6_addr(source)
        origin.interface_index = index
        let size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        return try SystemCall.transferring {
            message.withUnsafeBytes { bytes in
                tandem_send_from(
                    number, bytes.baseAddress, bytes.count, flags, &address, size, &origin)
            }
        }
    }

    /// Receives a packet's payload, cut off where it does not fit; `nil` when none waits (recvmsg).
    public borrowing func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Carrier? {
        let number = descriptor.rawValue
        var carrier = tandem_carrier()
        let outcome = try SystemCall.transferring {
            tandem_receive_carried(number, buffer.baseAddress, buffer.count, &carrier)
        }
        guard case .bytes(let count) = outcome else { return nil }
        return Carrier(
            byteCount: count, source: IPv6Address(carrier.source.sin6_addr),
            destination: IPv6Address(carrier.arrival.address),
            hopLimit: UInt8(clamping: max(0, carrier.hop_limit)))
    }
}
