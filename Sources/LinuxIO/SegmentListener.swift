// SPDX-License-Identifier: Apache-2.0
//
// Copies of the TCP segments that arrive for some addresses, on whatever interface (packet(7)).
// The segments themselves go their way.

internal import CLinux
public import WireCore

/// Overhears the TCP segments of one family.
public struct SegmentListener: ~Copyable {
    /// What may wait to be read, in the kernel's own measure: about a kilobyte for each segment.
    static let waitingByteCountMax: CInt = 32 << 20

    /// Readable while segments wait.
    public let descriptor: FileDescriptor

    /// Begins to listen (socket AF_PACKET, SOCK_DGRAM).
    ///
    /// - Parameters:
    ///   - family: which segments.
    ///   - addresses: where they go to; those of the other family are left out, and none may be
    ///     missing.
    /// - Throws: EPERM without CAP_NET_RAW.
    public init(_ family: AddressFamily, to addresses: [IPAddress]) throws(Errno) {
        // Opened deaf, made to hear by bind: nothing unfiltered slips in between.
        let socket = try StreamSocket.open(AF_PACKET, SOCK_DGRAM, 0)
        try Self.filter(family, addresses).attach(to: socket)
        try socket.setOption(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        try? socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, Self.waitingByteCountMax)
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        let etherType = family == .ipv4 ? ETH_P_IP : ETH_P_IPV6
        address.sll_protocol = UInt16(truncatingIfNeeded: etherType).bigEndian
        let number = socket.rawValue
        let size = socklen_t(MemoryLayout<sockaddr_ll>.size)
        try SystemCall.retrying { tandem_bind(number, &address, size) }
        descriptor = socket
    }

    /// Receives one packet from its IP header on; what does not fit is cut off (recv).
    public borrowing func receive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> IOOutcome {
        try StreamSocket.receive(descriptor, into: buffer)
    }

    private static func filter(_ family: AddressFamily, _ addresses: [IPAddress]) -> SocketFilter {
        var filter = SocketFilter()
        let tcp = UInt32(IPPROTO_TCP)
        switch family {
        case .ipv4:
            filter.require(.byte(9), isOneOf: [tcp])
            let words = addresses.compactMap(\.ipv4).map(\.rawValue)
            filter.require(.word(16), isOneOf: Array(words.prefix(SocketFilter.valuesMax)))
        case .ipv6:
            filter.require(.byte(6), isOneOf: [tcp])
            let runs = addresses.compactMap(\.ipv6).map { address in
                [address.high >> 32, address.high, address.low >> 32, address.low].map {
                    UInt32(truncatingIfNeeded: $0)
                }
            }
            filter.require(24, isOneOf: Array(runs.prefix(SocketFilter.valuesMax)))
        }
        return filter
    }
}
