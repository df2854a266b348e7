// SPDX-License-Identifier: Apache-2.0
//
// TCP and Unix stream sockets by what they are for. Every descriptor made here is non-blocking and
// closed on exec.

internal import CLinux
public import WireCore

/// A connection that a listener gave out.
public struct AcceptedConnection: ~Copyable {
    /// The connected socket.
    public var socket: FileDescriptor
    /// The other end; `nil` for Unix sockets.
    public let peer: Endpoint?

    /// Hands the socket to a new owner.
    public consuming func takeSocket() -> FileDescriptor {
        socket
    }
}

/// Stream sockets: listening, accepting, connecting, moving bytes.
public enum StreamSocket {
    /// How a listening socket is set up.
    public struct ListenOptions: Hashable, Sendable {
        /// Several sockets may share the port, one per worker (SO_REUSEPORT).
        public var reusePort = false
        /// The address need not be present on this host (IP_FREEBIND).
        public var freeBind = false
        /// Accepted connections send small segments at once (TCP_NODELAY, inherited).
        public var noDelay = true
        /// Connections that may wait to be accepted.
        public var backlog: CInt = 4_096
        /// As in ``ConnectOptions``, of accepted connections (inherited).
        public var retransmissionMin: TimeSpan?

        /// Makes the default options.
        public init() {}
    }

    /// How a connection is set up.
    public struct ConnectOptions: Hashable, Sendable {
        /// Address to connect from; `nil` lets the kernel choose.
        ///
        /// With port 0 the kernel chooses one that is free towards the other end
        /// (IP_BIND_ADDRESS_NO_PORT).
        public var source: Endpoint?
        /// Mark of its packets (SO_MARK); without CAP_NET_ADMIN they have none.
        public var mark: UInt32?
        /// Small segments leave at once (TCP_NODELAY).
        public var noDelay = true
        /// Longest time sent data may stay unacknowledged (TCP_USER_TIMEOUT); zero for the
        /// kernel's default.
        public var userTimeout = TimeSpan.zero
        /// The least time after which what was lost is sent again, for connections of a local
        /// network (TCP_RTO_MIN_US); `nil`, and every kernel before Linux 6.15, means 200 ms.
        public var retransmissionMin: TimeSpan?

        /// Makes the default options.
        public init() {}
    }

    /// Opens a listening TCP socket (socket, bind, listen).
    public static func listen(
        on endpoint: Endpoint, options: ListenOptions = ListenOptions()
    ) throws(Errno) -> FileDescriptor {
        let socket = try open(family(of: endpoint), SOCK_STREAM, 0)
        try socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        if options.reusePort { try socket.setOption(SOL_SOCKET, SO_REUSEPORT, 1) }
        if options.freeBind { try socket.setOption(CInt(IPPROTO_IP), IP_FREEBIND, 1) }
        if options.noDelay { try socket.setOption(CInt(IPPROTO_TCP), TCP_NODELAY, 1) }
        options.retransmissionMin.map { setRetransmissionMin(socket, $0) }
        if case .v6 = endpoint.address {
            try socket.setOption(CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1)
        }
        try bind(socket, SocketAddress(endpoint))
        let number = socket.rawValue
        try SystemCall.retrying { CLinux.listen(number, options.backlog) }
        return socket
    }

    /// Opens a listening Unix socket at `path`, which must not exist (socket, bind, listen).
    public static func listen(unixPath path: String) throws(Errno) -> FileDescriptor {
        guard let address = SocketAddress(path: path) else { throw Errno(code: ENAMETOOLONG) }
        let socket = try open(AF_UNIX, SOCK_STREAM, 0)
        try bind(socket, address)
        let number = socket.rawValue
        try SystemCall.retrying { CLinux.listen(number, 16) }
        return socket
    }

    /// Connects to a Unix socket, waiting for it; the descriptor is left blocking (connect).
    public static func connect(unixPath path: String) throws(Errno) -> FileDescriptor {
        guard let address = SocketAddress(path: path) else { throw Errno(code: ENAMETOOLONG) }
        let number = try SystemCall.retrying {
            CLinux.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        }
        let socket = FileDescriptor(owning: number)
        try SystemCall.retrying { address.withPointer { tandem_connect(number, $0, $1) } }
        return socket
    }

    /// Begins a TCP connection; it is up or refused when the socket turns writable (connect).
    public static func connect(
        to endpoint: Endpoint, options: ConnectOptions = ConnectOptions()
    ) throws(Errno) -> FileDescriptor {
        let socket = try open(family(of: endpoint), SOCK_STREAM, 0)
        if options.noDelay { try socket.setOption(CInt(IPPROTO_TCP), TCP_NODELAY, 1) }
        options.retransmissionMin.map { setRetransmissionMin(socket, $0) }
        if options.userTimeout > .zero {
            let milliseconds = CInt(clamping: options.userTimeout.milliseconds)
            try socket.setOption(CInt(IPPROTO_TCP), TCP_USER_TIMEOUT, milliseconds)
        }
        if let mark = options.mark {
            try? socket.setOption(SOL_SOCKET, SO_MARK, CInt(bitPattern: mark))
        }
        if let source = options.source {
            if source.port == 0 {
                try socket.setOption(CInt(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, 1)
            }
            try bind(socket, SocketAddress(source))
        }
        let number = socket.rawValue
        let address = SocketAddress(endpoint)
        do {
            try SystemCall.retrying { address.withPointer { tandem_connect(number, $0, $1) } }
        } catch .inProgress {
            return socket
        }
        return socket
    }

    private static func setRetransmissionMin(_ socket: borrowing FileDescriptor, _ span: TimeSpan) {
        // A kernel that does not know the option is patient instead.
        try? socket.setOption(
            CInt(IPPROTO_TCP), TANDEM_TCP_RTO_MIN_US, CInt(clamping: span.microseconds))
    }

    /// Connections that died while they waited, skipped by one call of `accept`.
    public static let deadConnectionsMax = 16

    /// The next waiting connection and its peer, or `nil` when there is none (accept4).
    ///
    /// - Throws: EMFILE and ENFILE when descriptors run out; errors of connections that died while
    ///   waiting are skipped.
    public static func accept(
        from listener: borrowing FileDescriptor
    ) throws(Errno) -> AcceptedConnection? {
        let number = listener.rawValue
        let flags = CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        for _ in 0..<Self.deadConnectionsMax {
            var accepted: CInt = -1
            do {
                let peer = try SocketAddress.received { (base, length) throws(Errno) in
                    accepted = try SystemCall.retrying {
                        tandem_accept4(number, base, length, flags)
                    }
                }
                return AcceptedConnection(
                    socket: FileDescriptor(owning: accepted), peer: peer.endpoint)
            } catch .wouldBlock {
                return nil
            } catch {
                // accept(2): errors of the new connection itself must be treated like EAGAIN.
                let own = [EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL, ENOTSOCK, EPERM]
                if own.contains(error.code) { throw error }
            }
        }
        return nil
    }

    /// Receives up to `buffer.count` bytes (recv).
    @inline(__always)
    public static func receive(
        _ socket: borrowing FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> IOOutcome {
        let number = socket.rawValue
        return try SystemCall.transferring { recv(number, buffer.baseAddress, buffer.count, 0) }
    }

    /// Sends up to `buffer.count` bytes without raising SIGPIPE (send).
    @inline(__always)
    public static func send(
        _ socket: borrowing FileDescriptor, _ buffer: UnsafeRawBufferPointer
    ) throws(Errno) -> IOOutcome {
        let number = socket.rawValue
        let flags = CInt(MSG_NOSIGNAL)
        return try SystemCall.transferring {
            CLinux.send(number, buffer.baseAddress, buffer.count, flags)
        }
    }

    /// Sends an array without raising SIGPIPE (send).
    public static func send(
        _ socket: borrowing FileDescriptor, _ bytes: [UInt8]
    ) throws(Errno) -> IOOutcome {
        let number = socket.rawValue
        let flags = CInt(MSG_NOSIGNAL)
        return try SystemCall.transferring {
            bytes.withUnsafeBytes { CLinux.send(number, $0.baseAddress, $0.count, flags) }
        }
    }

    /// Ends sending; the peer reads the end of the stream (shutdown).
    public static func shutdownWrite(_ socket: borrowing FileDescriptor) {
        _ = CLinux.shutdown(socket.rawValue, CInt(SHUT_WR))
    }

    /// The error a connection attempt ended with, or `nil` when it is up (SO_ERROR).
    public static func pendingError(_ socket: borrowing FileDescriptor) -> Errno? {
        var code: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        let result = getsockopt(socket.rawValue, SOL_SOCKET, SO_ERROR, &code, &length)
        if result != 0 { return Errno.last }
        return code == 0 ? nil : Errno(code: code)
    }

    /// Makes closing the socket send RST and drop unsent data (SO_LINGER 0).
    public static func resetOnClose(_ socket: borrowing FileDescriptor) {
        var option = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        _ = setsockopt(socket.rawValue, SOL_SOCKET, SO_LINGER, &option, size)
    }

    /// The address the socket is bound to (getsockname).
    public static func localEndpoint(
        _ socket: borrowing FileDescriptor
    ) throws(Errno) -> Endpoint? {
        let number = socket.rawValue
        return try SocketAddress.received { (base, length) throws(Errno) in
            try SystemCall.retrying { tandem_getsockname(number, base, length) }
        }.endpoint
    }

    /// The address of the other end (getpeername).
    public static func remoteEndpoint(
        _ socket: borrowing FileDescriptor
    ) throws(Errno) -> Endpoint? {
        let number = socket.rawValue
        return try SocketAddress.received { (base, length) throws(Errno) in
            try SystemCall.retrying { tandem_getpeername(number, base, length) }
        }.endpoint
    }

    static func open(
        _ family: CInt, _ type: __socket_type, _ protocolNumber: CInt
    ) throws(Errno) -> FileDescriptor {
        let flags = CInt(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let number = try SystemCall.retrying { CLinux.socket(family, flags, protocolNumber) }
        return FileDescriptor(owning: number)
    }

    static func bind(
        _ socket: borrowing FileDescriptor, _ address: SocketAddress
    ) throws(Errno) {
        let number = socket.rawValue
        try SystemCall.retrying { address.withPointer { tandem_bind(number, $0, $1) } }
    }

    private static func family(of endpoint: Endpoint) -> CInt {
        switch endpoint.address {
        case .v4: AF_INET
        case .v6: AF_INET6
        }
    }
}

extension FileDescriptor {
    /// Sets an integer socket option (setsockopt).
    borrowing func setOption(_ level: CInt, _ name: CInt, _ value: CInt) throws(Errno) {
        var value = value
        let number = rawValue
        let size = socklen_t(MemoryLayout<CInt>.size)
        try SystemCall.retrying { setsockopt(number, level, name, &value, size) }
    }
}
