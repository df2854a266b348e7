// SPDX-License-Identifier: Apache-2.0
//
// Whole Ethernet frames on one interface (packet(7)).

internal import CLinux

/// A non-blocking AF_PACKET socket that sends and, when asked to, receives frames.
public struct PacketSocket: ~Copyable {
    /// Readable while frames wait.
    public let descriptor: FileDescriptor

    /// Opens a socket on an interface (socket AF_PACKET).
    ///
    /// - Parameters:
    ///   - interfaceIndex: the interface.
    ///   - etherType: what to receive; 0 for nothing, so that no frame is ever copied for us.
    ///   - filter: which of these frames; `nil` for all.
    ///   - receiveByteCountMax: how much may wait; `nil` for the system's default.
    /// - Throws: EPERM without CAP_NET_RAW, ENODEV for an unknown interface.
    public init(
        interfaceIndex: Int, etherType: UInt16 = 0, filter: SocketFilter? = nil,
        receiveByteCountMax: Int? = nil
    ) throws(Errno) {
        // Opened deaf, made to hear by bind: nothing of another interface slips in between.
        let socket = try StreamSocket.open(AF_PACKET, SOCK_RAW, 0)
        if let receiveByteCountMax {
            try socket.setOption(SOL_SOCKET, SO_RCVBUF, CInt(clamping: receiveByteCountMax))
        }
        if let filter {
            try filter.attach(to: socket)
            // What this host sends is no news to whoever filters.
            try socket.setOption(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        }
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = etherType.bigEndian
        address.sll_ifindex = CInt(truncatingIfNeeded: interfaceIndex)
        let number = socket.rawValue
        let size = socklen_t(MemoryLayout<sockaddr_ll>.size)
        try SystemCall.retrying { tandem_bind(number, &address, size) }
        descriptor = socket
    }

    /// Changes which frames are received; those that wait already stay.
    public borrowing func setFilter(_ filter: SocketFilter) throws(Errno) {
        try filter.attach(to: descriptor)
    }

    /// Makes the interface receive a multicast address while the socket is open
    /// (PACKET_ADD_MEMBERSHIP).
    public borrowing func join(_ interfaceIndex: Int, hardwareGroup: [UInt8]) throws(Errno) {
        var request = packet_mreq()
        request.mr_ifindex = CInt(truncatingIfNeeded: interfaceIndex)
        request.mr_type = UInt16(PACKET_MR_MULTICAST)
        request.mr_alen = UInt16(min(hardwareGroup.count, 8))
        withUnsafeMutableBytes(of: &request.mr_address) {
            $0.copyBytes(from: hardwareGroup.prefix(8))
        }
        let number = descriptor.rawValue
        let size = socklen_t(MemoryLayout<packet_mreq>.size)
        try SystemCall.retrying {
            setsockopt(number, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, size)
        }
    }

    /// Sends one frame, destination address first; never waits (send).
    public borrowing func send(_ frame: [UInt8]) throws(Errno) -> IOOutcome {
        try StreamSocket.send(descriptor, frame)
    }

    /// Receives one frame; what does not fit is cut off (recv).
    public borrowing func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> IOOutcome {
        try StreamSocket.receive(descriptor, into: buffer)
    }
}
