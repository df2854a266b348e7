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
    /// - Throws: EPERM without CAP_NET_RAW, ENODEV for an unknown interface.
    public init(interfaceIndex: Int, etherType: UInt16 = 0) throws(Errno) {
        // Opened deaf, made to hear by bind: nothing of another interface slips in between.
        let socket = try StreamSocket.open(AF_PACKET, SOCK_RAW, 0)
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = etherType.bigEndian
        address.sll_ifindex = CInt(truncatingIfNeeded: interfaceIndex)
        let number = socket.rawValue
        let size = socklen_t(MemoryLayout<sockaddr_ll>.size)
        try SystemCall.retrying { tandem_bind(number, &address, size) }
        descriptor = socket
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
