// SPDX-License-Identifier: Apache-2.0
//
// TCP connections as the kernel sees them, those that no process holds any more too (sock_diag(7)):
// finding those of an address and ending them.

internal import CLinux
public import WireCore

/// One TCP connection in the kernel's tables, in the kernel's own words.
public struct KernelConnection: Sendable {
    fileprivate let family: UInt8
    fileprivate let state: UInt8
    fileprivate let identity: inet_diag_sockid

    /// Whether something of this side may still be on its way to the client.
    ///
    /// What is left otherwise (TIME_WAIT, FIN_WAIT2) waits for the client, or for nobody: it has
    /// acknowledged everything up to our FIN.
    public var isOpen: Bool { !Self.spent.contains(CInt(state)) }

    /// The port on this host.
    public var localPort: UInt16 { UInt16(bigEndian: identity.idiag_sport) }
    /// The port of the other end.
    public var remotePort: UInt16 { UInt16(bigEndian: identity.idiag_dport) }

    private static let spent: Set<CInt> = [
        CInt(TCP_FIN_WAIT2), CInt(TCP_TIME_WAIT), CInt(TCP_CLOSE),
    ]
}

/// Lists and ends TCP connections of this host's network namespace.
public struct SocketDiagnosis: ~Copyable {
    /// Connections listed by one call; the rest is found by the next.
    public static let connectionCountMax = 262_144
    private static let bufferByteCount = 32_768
    private static let listening: UInt32 = 1 << 10

    private let descriptor: FileDescriptor

    /// Opens a netlink socket (socket AF_NETLINK, NETLINK_SOCK_DIAG).
    public init() throws(Errno) {
        descriptor = try StreamSocket.open(AF_NETLINK, SOCK_RAW, CInt(NETLINK_SOCK_DIAG))
    }

    /// Every connection whose local address is one of `addresses`, in any state; also those that
    /// listeners on every address of both families accepted.
    public borrowing func connections(
        of addresses: Set<IPAddress>
    ) throws(Errno) -> [KernelConnection] {
        try connections(of: addresses, family: AF_INET)
            + connections(of: addresses, family: AF_INET6)
    }

    private borrowing func connections(
        of addresses: Set<IPAddress>, family: CInt
    ) throws(Errno) -> [KernelConnection] {
        try send(
            type: UInt16(SOCK_DIAG_BY_FAMILY), flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP),
            family: UInt8(truncatingIfNeeded: family), states: ~Self.listening,
            identity: inet_diag_sockid())
        var found: [KernelConnection] = []
        while let bytes = try descriptor.read(upTo: Self.bufferByteCount) {
            var isDone = false
            try Self.forEachMessage(bytes) { (type, payload) throws(Errno) in
                if type == UInt16(NLMSG_DONE) { isDone = true }
                if type == UInt16(NLMSG_ERROR) { try Self.checkAcknowledgement(payload) }
                guard type == UInt16(SOCK_DIAG_BY_FAMILY),
                    payload.count >= MemoryLayout<inet_diag_msg>.size
                else { return }
                let message = payload.loadUnaligned(as: inet_diag_msg.self)
                guard addresses.contains(Self.localAddress(message)),
                    found.count < Self.connectionCountMax
                else { return }
                found.append(
                    KernelConnection(
                        family: message.idiag_family, state: message.idiag_state,
                        identity: message.id))
            }
            if isDone { break }
        }
        return found
    }

    private static func localAddress(_ message: inet_diag_msg) -> IPAddress {
        address(message.id.idiag_src, family: message.idiag_family)
    }

    /// The address of the other end of a connection.
    public static func remoteAddress(of connection: KernelConnection) -> IPAddress {
        address(connection.identity.idiag_dst, family: connection.family)
    }

    private static func address(
        _ words: (UInt32, UInt32, UInt32, UInt32), family: UInt8
    ) -> IPAddress {
        func pair(_ first: UInt32, _ second: UInt32) -> UInt64 {
            UInt64(UInt32(bigEndian: first)) << 32 | UInt64(UInt32(bigEndian: second))
        }
        guard family == UInt8(AF_INET6) else {
            return .v4(IPv4Address(rawValue: UInt32(bigEndian: words.0)))
        }
        let high = pair(words.0, words.1)
        let low = pair(words.2, words.3)
        // An IPv4 client of a listener of both families (RFC 4291 §2.5.5.2).
        if high == 0, low >> 32 == 0xFFFF {
            return .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)))
        }
        return .v6(IPv6Address(high: high, low: low))
    }

    /// Ends a connection as if it had been reset; whoever holds it reads ECONNABORTED.
    ///
    /// - Throws: ENOENT when it is gone already, EOPNOTSUPP when the kernel cannot
    ///   (CONFIG_INET_DIAG_DESTROY), EPERM without CAP_NET_ADMIN.
    public borrowing func end(_ connection: KernelConnection) throws(Errno) {
        try send(
            type: UInt16(SOCK_DESTROY), flags: UInt16(NLM_F_REQUEST | NLM_F_ACK),
            family: connection.family, states: 0, identity: connection.identity)
        guard let bytes = try descriptor.read(upTo: Self.bufferByteCount) else { return }
        try Self.forEachMessage(bytes) { (type, payload) throws(Errno) in
            if type == UInt16(NLMSG_ERROR) { try Self.checkAcknowledgement(payload) }
        }
    }

    private borrowing func send(
        type: UInt16, flags: UInt16, family: UInt8, states: UInt32, identity: inet_diag_sockid
    ) throws(Errno) {
        var request = inet_diag_req_v2()
        request.sdiag_family = family
        request.sdiag_protocol = UInt8(IPPROTO_TCP)
        request.idiag_states = states
        request.id = identity
        var header = nlmsghdr()
        let headerSize = MemoryLayout<nlmsghdr>.size
        let size = headerSize + MemoryLayout<inet_diag_req_v2>.size
        header.nlmsg_len = UInt32(size)
        header.nlmsg_type = type
        header.nlmsg_flags = flags
        var bytes: [UInt8] = []
        withUnsafeBytes(of: &header) { bytes += $0 }
        withUnsafeBytes(of: &request) { bytes += $0 }
        _ = try StreamSocket.send(descriptor, bytes)
    }

    /// Walks over the messages of one datagram; the kernel made them, so a broken length ends it.
    private static func forEachMessage(
        _ bytes: [UInt8], _ body: (UInt16, UnsafeRawBufferPointer) throws(Errno) -> Void
    ) throws(Errno) {
        var failure: Errno?
        bytes.withUnsafeBytes { all in
            let headerSize = MemoryLayout<nlmsghdr>.size
            var offset = 0
            while offset + headerSize <= all.count, failure == nil {
                let header = all.loadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
                let length = Int(header.nlmsg_len)
                guard length >= headerSize, length <= all.count - offset else { return }
                let payload = all[(offset + headerSize)..<(offset + length)]
                do throws(Errno) {
                    try body(header.nlmsg_type, UnsafeRawBufferPointer(rebasing: payload))
                } catch {
                    failure = error
                }
                offset += (length + 3) & ~3
            }
        }
        if let failure { throw failure }
    }

    private static func checkAcknowledgement(
        _ payload: UnsafeRawBufferPointer
    ) throws(Errno) {
        guard payload.count >= MemoryLayout<CInt>.size else { return }
        let code = payload.loadUnaligned(as: CInt.self)
        if code != 0 { throw Errno(code: -code) }
    }
}
