// SPDX-License-Identifier: Apache-2.0
//
// TCP connections that move between hosts (TCP_REPAIR): reading where one stands without disturbing
// it, and making one that stands there. Decides nothing about when.
//
// What was found out about the kernel, each a test:
//   - repair mode forgets SO_REUSEADDR when it is left, on old and new sockets alike, and must not
//     be told it between its beginning and bind;
//   - TCP_QUEUE_SEQ counts bytes that wait in the queues;
//   - the low bit of TCP_TIMESTAMP, when set, switches the socket to a clock of microseconds;
//   - a socket that is closed in repair mode sends nothing.

internal import CLinux
public import WireCore

/// Captures and recreates established connections; needs CAP_NET_ADMIN.
public enum ConnectionRepair {
    /// Whether this process may do it and the kernel can (CONFIG_CHECKPOINT_RESTORE).
    public static func isPermitted() -> Bool {
        do throws(Errno) {
            let socket = try StreamSocket.open(AF_INET, SOCK_STREAM, 0)
            try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)
            try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
            return true
        } catch {
            return false
        }
    }

    /// Where a connection stands; it goes on undisturbed.
    ///
    /// The receive sequence is that of the first byte nobody has read, the send sequence that of
    /// the next byte to be given to the connection.
    ///
    /// - Throws: ENOTCONN unless the connection is established in both directions, EOPNOTSUPP when
    ///   its time stamps count microseconds, EPERM without the right.
    public static func capture(
        _ socket: borrowing FileDescriptor
    ) throws(Errno) -> TransportState {
        try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)
        let result: Result<TransportState, Errno>
        do throws(Errno) {
            result = .success(try read(socket))
        } catch {
            result = .failure(error)
        }
        try resume(socket)
        return try result.get()
    }

    /// Makes a connection that stands at `state`; nothing is sent.
    ///
    /// It is established, non-blocking, marked with ``ConnectionMark/adopted``, sends small
    /// segments at once and acknowledges late.
    ///
    /// - Throws: EADDRNOTAVAIL while the local address is not on this host or when this host has
    ///   that connection, ENETUNREACH or EHOSTUNREACH without a route, EPERM without the right.
    public static func recreate(
        local: Endpoint, remote: Endpoint, _ state: TransportState
    ) throws(Errno) -> FileDescriptor {
        let family = local.address.family == .ipv4 ? AF_INET : AF_INET6
        let socket = try StreamSocket.open(family, SOCK_STREAM, 0)
        try socket.setOption(
            SOL_SOCKET, SO_MARK, CInt(bitPattern: ConnectionMark.adopted))
        try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)
        try StreamSocket.bind(socket, SocketAddress(local))
        // The kernel reckons the size of segments when it connects, and not when it is told the
        // options afterwards: it would stay at the smallest that every host takes.
        try? socket.setOption(tcp, TCP_MAXSEG, CInt(state.segmentByteCountMax))
        try select(TCP_SEND_QUEUE, of: socket)
        try socket.setOption(tcp, TCP_QUEUE_SEQ, CInt(bitPattern: state.sendSequence))
        try select(TCP_RECV_QUEUE, of: socket)
        try socket.setOption(tcp, TCP_QUEUE_SEQ, CInt(bitPattern: state.receiveSequence))
        let number = socket.rawValue
        let address = SocketAddress(remote)
        try SystemCall.retrying { address.withPointer { tandem_connect(number, $0, $1) } }
        try setOptions(socket, state)
        try setWindow(socket, state)
        try resume(socket)
        try socket.setOption(tcp, TCP_NODELAY, 1)
        delayAcknowledgements(socket)
        return socket
    }

    /// Sets the clock of a connection's time stamps; it goes on from there.
    public static func setTimestamp(
        _ socket: borrowing FileDescriptor, _ timestamp: UInt32
    ) throws(Errno) {
        try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)
        try socket.setOption(tcp, TCP_TIMESTAMP, CInt(bitPattern: timestamp & ~1))
        try resume(socket)
    }

    /// Makes the connection drop all packets that arrive from now on, unacknowledged.
    ///
    /// What it has received already can be read.
    public static func deafen(_ socket: borrowing FileDescriptor) throws(Errno) {
        try SocketFilter.nothing.attach(to: socket)
    }

    /// Makes a deaf connection hear again; the client repeats what it missed.
    public static func undeafen(_ socket: borrowing FileDescriptor) {
        try? socket.setOption(SOL_SOCKET, SO_DETACH_FILTER, 0)
    }

    /// Stops a deaf connection for good and tells where it stood; closing it then sends nothing.
    ///
    /// - Returns: `nil` while bytes are unread here or unacknowledged by the client, and the
    ///   connection goes on.
    /// - Throws: as ``capture(_:)``; the connection goes on.
    public static func freeze(
        _ socket: borrowing FileDescriptor
    ) throws(Errno) -> TransportState? {
        guard try isDrained(socket) else { return nil }
        try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)
        do throws(Errno) {
            let state = try read(socket)
            // A packet may have been past the filter already when it was attached.
            if try isDrained(socket) { return state }
        } catch {
            try? resume(socket)
            throw error
        }
        try resume(socket)
        return nil
    }

    /// Makes a frozen connection go on as before it was made deaf.
    public static func thaw(_ socket: borrowing FileDescriptor) {
        try? resume(socket)
        undeafen(socket)
    }

    /// Makes the connection say nothing any more, not even when it is closed.
    public static func hush(_ socket: borrowing FileDescriptor) {
        try? socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)
    }

    /// Closes a connection without a word to the client, whatever it has sent or received.
    public static func closeSilently(_ socket: consuming FileDescriptor) {
        guard (try? socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_ON)) != nil else { return }
        // connect(2): AF_UNSPEC dissolves the association, now: a child that is about to be
        // executed may hold a copy of the descriptor a little longer.
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        _ = tandem_connect(socket.rawValue, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }

    /// Lets acknowledgements travel with answers, or 40 ms later (TCP_QUICKACK 0).
    ///
    /// On a listener, after listen, it holds for the connections it accepts. An acknowledgement
    /// that had to leave alone ends it: tell a connection again after an answer that took longer.
    public static func delayAcknowledgements(_ socket: borrowing FileDescriptor) {
        try? socket.setOption(tcp, TCP_QUICKACK, 0)
    }

    // MARK: - Details

    private static let tcp = CInt(IPPROTO_TCP)

    private static func resume(_ socket: borrowing FileDescriptor) throws(Errno) {
        try socket.setOption(tcp, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
        try socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
    }

    /// Whether nothing is unread and nothing unacknowledged.
    private static func isDrained(_ socket: borrowing FileDescriptor) throws(Errno) -> Bool {
        let unread = try waitingByteCount(socket, TANDEM_FIONREAD)
        let unacknowledged = try waitingByteCount(socket, TANDEM_TIOCOUTQ)
        return unread == 0 && unacknowledged == 0
    }

    private static func waitingByteCount(
        _ socket: borrowing FileDescriptor, _ request: UInt
    ) throws(Errno) -> CInt {
        let number = socket.rawValue
        var count: CInt = 0
        try SystemCall.retrying { tandem_ioctl_pointer(number, request, &count) }
        return count
    }

    private static func select(
        _ queue: Int, of socket: borrowing FileDescriptor
    ) throws(Errno) {
        try socket.setOption(tcp, TCP_REPAIR_QUEUE, CInt(truncatingIfNeeded: queue))
    }

    /// Reads everything; the socket is in repair mode.
    private static func read(
        _ socket: borrowing FileDescriptor
    ) throws(Errno) -> TransportState {
        var information = tcp_info()
        try socket.readOption(tcp, TCP_INFO, into: &information)
        guard CInt(information.tcpi_state) == CInt(TCP_ESTABLISHED) else {
            throw Errno(code: ENOTCONN)
        }
        let agreed = CInt(information.tcpi_options)
        guard agreed & TANDEM_TCPI_OPT_USEC_TS == 0 else { throw Errno(code: EOPNOTSUPP) }
        var options: TransportState.Options = []
        if agreed & TCPI_OPT_WSCALE != 0 { options.insert(.windowScale) }
        if agreed & TCPI_OPT_TIMESTAMPS != 0 { options.insert(.timestamps) }
        if agreed & TCPI_OPT_SACK != 0 { options.insert(.selectiveAcknowledgement) }
        try select(TCP_SEND_QUEUE, of: socket)
        let sendSequence = try number(TCP_QUEUE_SEQ, of: socket)
        try select(TCP_RECV_QUEUE, of: socket)
        // The bytes that wait are counted after the end of the queue is known: more may come in
        // between, and then the sum lags instead of leaping ahead. A second look tells.
        var receiveEnd = try number(TCP_QUEUE_SEQ, of: socket)
        var unread = try waitingByteCount(socket, TANDEM_FIONREAD)
        while true {
            let end = try number(TCP_QUEUE_SEQ, of: socket)
            if end == receiveEnd { break }
            receiveEnd = end
            unread = try waitingByteCount(socket, TANDEM_FIONREAD)
        }
        var window = tcp_repair_window()
        try socket.readOption(tcp, TCP_REPAIR_WINDOW, into: &window)
        return TransportState(
            sendSequence: sendSequence,
            receiveSequence: receiveEnd &- UInt32(bitPattern: unread),
            sendWindow: window.snd_wnd, receiveWindow: window.rcv_wnd,
            timestamp: try number(TCP_TIMESTAMP, of: socket),
            segmentByteCountMax: UInt16(clamping: try number(TCP_MAXSEG, of: socket)),
            sendWindowScale: UInt8(information.tcpi_snd_wscale),
            receiveWindowScale: UInt8(information.tcpi_rcv_wscale), options: options)
    }

    private static func number(
        _ option: CInt, of socket: borrowing FileDescriptor
    ) throws(Errno) -> UInt32 {
        var value: UInt32 = 0
        try socket.readOption(tcp, option, into: &value)
        return value
    }

    private static func setOptions(
        _ socket: borrowing FileDescriptor, _ state: TransportState
    ) throws(Errno) {
        var options = [
            tcp_repair_opt(
                opt_code: UInt32(TCPOPT_MAXSEG), opt_val: UInt32(state.segmentByteCountMax))
        ]
        if state.options.contains(.windowScale) {
            let shifts = UInt32(state.sendWindowScale) | UInt32(state.receiveWindowScale) << 16
            options.append(tcp_repair_opt(opt_code: UInt32(TCPOPT_WINDOW), opt_val: shifts))
        }
        if state.options.contains(.selectiveAcknowledgement) {
            options.append(tcp_repair_opt(opt_code: UInt32(TCPOPT_SACK_PERMITTED), opt_val: 0))
        }
        if state.options.contains(.timestamps) {
            options.append(tcp_repair_opt(opt_code: UInt32(TCPOPT_TIMESTAMP), opt_val: 0))
        }
        let number = socket.rawValue
        let size = socklen_t(options.count * MemoryLayout<tcp_repair_opt>.stride)
        try SystemCall.retrying { setsockopt(number, tcp, TCP_REPAIR_OPTIONS, options, size) }
        if state.options.contains(.timestamps) {
            try socket.setOption(tcp, TCP_TIMESTAMP, CInt(bitPattern: state.timestamp & ~1))
        }
    }

    private static func setWindow(
        _ socket: borrowing FileDescriptor, _ state: TransportState
    ) throws(Errno) {
        var window = tcp_repair_window(
            snd_wl1: state.receiveSequence, snd_wnd: state.sendWindow,
            max_window: state.sendWindow, rcv_wnd: state.receiveWindow,
            rcv_wup: state.receiveSequence)
        let number = socket.rawValue
        let size = socklen_t(MemoryLayout<tcp_repair_window>.size)
        try SystemCall.retrying { setsockopt(number, tcp, TCP_REPAIR_WINDOW, &window, size) }
    }
}

extension FileDescriptor {
    /// Reads a socket option of a fixed size, a number or structure of C (getsockopt); a longer one
    /// is cut off.
    borrowing func readOption<Value>(
        _ level: CInt, _ name: CInt, into value: inout Value
    ) throws(Errno) {
        let number = rawValue
        var length = socklen_t(MemoryLayout<Value>.size)
        try SystemCall.retrying {
            withUnsafeMutableBytes(of: &value) {
                getsockopt(number, level, name, $0.baseAddress, &length)
            }
        }
    }
}
