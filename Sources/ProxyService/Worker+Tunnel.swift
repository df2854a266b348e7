// SPDX-License-Identifier: Apache-2.0
//
// Bytes between a client and a backend that nobody reads: streams of TCP listeners, and HTTP
// connections that became WebSockets. Each direction has one buffer, held only while it has bytes
// to keep, and nothing is read for a side that does not take what was read before.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

/// What happened to the directions of a tunnel so far.
struct TunnelProgress: OptionSet {
    let rawValue: UInt8

    /// Everything of the client was passed on; so was its end.
    static let clientEnded = TunnelProgress(rawValue: 1)
    /// Everything of the backend was passed on; so was its end.
    static let backendEnded = TunnelProgress(rawValue: 2)
    /// A side is gone: bytes were lost, and the other side is told by a reset.
    static let isBroken = TunnelProgress(rawValue: 4)
    /// Its deadline is that of a side that is gone.
    static let isHurried = TunnelProgress(rawValue: 8)
    /// Both connections are frozen: they go to the other node.
    static let isMoving = TunnelProgress(rawValue: 16)
}

extension Worker {
    // MARK: From HTTP

    /// Answers whether the request that is about to be sent may leave HTTP, and remembers it.
    ///
    /// RFC 6455 §4.1: the request is a GET. One with a body would leave it unclear which bytes
    /// belong to which protocol.
    func forwardsUpgrade(_ client: ClientConnection.Pointer) -> Bool {
        let asks =
            request.requestsWebSocket && request.method == .get && request.framing == .none
        client.pointee.asksWebSocket = asks
        return asks
    }

    /// A backend answered 101: a tunnel begins if it answers what was asked.
    ///
    /// RFC 9110 §15.2.2: the protocol that begins is one that the client named. What the client
    /// sent behind its head has waited until now: forwarded any earlier it would be a request of
    /// its own to a backend that does not switch.
    mutating func switchProtocols(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        headByteCount: Int
    ) {
        let message = upstream.pointee.input.message
        guard client.pointee.asksWebSocket, response.switchesToWebSocket(in: message) else {
            responseIsMalformed(client, upstream, .invalidStatusLine)
            return
        }
        bookResponse(upstream, client)
        var rewrite = ResponseRewrite(
            clientMinorVersion: client.pointee.minorVersion, keepsAlive: true)
        rewrite.date = dateText.bytes(now: now)
        rewrite.edits = responseEdits(of: client)
        noteSticky(client, upstream, &rewrite)
        guard
            let count = response.writeClientHead(from: message, rewrite: rewrite, into: headScratch)
        else {
            giveUp(client, upstream, .internalServerError, .ours)
            return
        }
        noteResponseHead(client, status: response.status, headByteCount: count)
        keep(headScratch[..<count], in: &client.pointee.output)
        upstream.pointee.input.start = upstream.pointee.input.mark &+ headByteCount
        beginTunnel(client, upstream)
    }

    // MARK: Its life

    /// From here on bytes pass both ways as they are.
    mutating func beginTunnel(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        client.pointee.phase = .tunnelling
        client.pointee.tunnel = []
        let backend = upstream.pointee.backend
        backend.pointee.tunnelBegins()
        noteRoom(in: backend.pointee.pool)
        // What was retried has come about; the tunnel may last for days.
        if client.pointee.progress.holdsRetry { endRetry(client) }
        client.pointee.record?.pointee.phase = .data
        upstream.pointee.phase = .tunnelling
        client.pointee.input.mark = client.pointee.input.start
        upstream.pointee.input.mark = upstream.pointee.input.start
        client.pointee.listener.pointee.count {
            $0.tunnels.add()
            $0.tunnelsOpen.add()
        }
        timers.disarm(clients.capacity &+ upstreams.slot(of: upstream))
        if upstream.pointee.tunnel.isMovable { noteTunnelOpened(upstream) }
        arm(client, after: timeouts.tunnelIdle)
        driveTunnel(client, upstream)
    }

    /// Something changed on the client's side of a tunnel.
    mutating func driveTunnel(_ client: ClientConnection.Pointer) {
        guard let upstream = client.pointee.upstream else {
            preconditionFailure("a tunnel without a backend")
        }
        driveTunnel(client, upstream)
    }

    /// Something changed on the backend's side of a tunnel.
    mutating func driveTunnel(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            preconditionFailure("a tunnel without a client")
        }
        driveTunnel(client, upstream)
    }

    private mutating func driveTunnel(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard !client.pointee.tunnel.contains(.isMoving) else { return }
        if !client.pointee.tunnel.contains(.clientEnded) {
            guard passClientBytes(client, upstream) else { return }
        }
        if !client.pointee.tunnel.contains(.backendEnded) {
            guard passBackendBytes(client, upstream) else { return }
        }
        if client.pointee.tunnel.isSuperset(of: [.clientEnded, .backendEnded]) {
            endTunnel(client, byReset: client.pointee.tunnel.contains(.isBroken))
        } else if upstream.pointee.tunnel.isMovable {
            noteTunnelRest(client, upstream)
        }
    }

    /// Moves bytes to the backend; false when the tunnel is over.
    private mutating func passClientBytes(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        var receivedCount = 0
        sentByteCount = 0
        let flow = pass(
            from: client.pointee.socket, &client.pointee.readiness,
            through: &client.pointee.input, behind: &upstream.pointee.output,
            to: upstream.pointee.socket, &upstream.pointee.readiness,
            receivedCount: &receivedCount)
        if receivedCount > 0 {
            let count = UInt64(receivedCount)
            client.pointee.listener.pointee.count { $0.bytesReceived.add(count) }
            noteReceived(client, receivedCount)
        }
        upstream.pointee.tunnel.noteSent(sentByteCount)
        client.pointee.shadow.noteReceived(receivedCount)
        noteMoved(client, receivedCount)
        switch flow {
        case .waiting: break
        case .blocked: if client.pointee.readiness.contains(.broken) { hurry(client) }
        case .pausing: enqueue(client)
        case .ended:
            client.pointee.tunnel.insert(.clientEnded)
            passEnd(client, to: upstream.pointee.socket)
        case .senderFailed:
            noteCause(client, .clientAborted)
            endTunnel(client, byReset: true)
            return false
        case .receiverFailed:
            noteCause(client, .serverAborted)
            buffers.giveBack(&client.pointee.input)
            buffers.giveBack(&upstream.pointee.output)
            client.pointee.tunnel.formUnion([.clientEnded, .isBroken])
            hurry(client)
            // What the backend sent before it went away is still worth passing on.
            upstream.pointee.readiness.insert(.readable)
        }
        return true
    }

    /// Moves bytes to the client; false when the tunnel is over.
    private mutating func passBackendBytes(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        var receivedCount = 0
        sentByteCount = 0
        let flow = pass(
            from: upstream.pointee.socket, &upstream.pointee.readiness,
            through: &upstream.pointee.input, behind: &client.pointee.output,
            to: client.pointee.socket, &client.pointee.readiness,
            receivedCount: &receivedCount)
        if sentByteCount > 0 {
            let count = UInt64(sentByteCount)
            client.pointee.listener.pointee.count { $0.bytesSent.add(count) }
            noteSent(client, sentByteCount)
        }
        upstream.pointee.tunnel.noteReceived(receivedCount)
        client.pointee.shadow.noteSent(sentByteCount)
        noteMoved(client, receivedCount)
        switch flow {
        case .waiting: break
        case .blocked: if upstream.pointee.readiness.contains(.broken) { hurry(client) }
        case .pausing: enqueue(upstream)
        case .ended:
            client.pointee.tunnel.insert(.backendEnded)
            passEnd(client, to: client.pointee.socket)
        case .senderFailed:
            noteCause(client, .serverAborted)
            endTunnel(client, byReset: true)
            return false
        case .receiverFailed:
            noteCause(client, .clientAborted)
            buffers.giveBack(&upstream.pointee.input)
            buffers.giveBack(&client.pointee.output)
            client.pointee.tunnel.formUnion([.backendEnded, .isBroken])
            hurry(client)
            client.pointee.readiness.insert(.readable)
            if !client.pointee.tunnel.contains(.clientEnded) { enqueue(client) }
        }
        return true
    }

    /// Tells a side that no more bytes come; one that lost some hears of the reset alone.
    private func passEnd(
        _ client: ClientConnection.Pointer, to receiver: borrowing FileDescriptor
    ) {
        if !client.pointee.tunnel.contains(.isBroken) { StreamSocket.shutdownWrite(receiver) }
    }

    /// Bytes in either direction keep a tunnel.
    @inline(__always)
    private mutating func noteMoved(_ client: ClientConnection.Pointer, _ receivedCount: Int) {
        guard receivedCount > 0 || sentByteCount > 0 else { return }
        let isHurried = client.pointee.tunnel.contains(.isHurried)
        arm(client, after: isHurried ? hurriedSpan : timeouts.tunnelIdle)
    }

    /// Nobody waits for what a side that is gone has left behind: it is not kept for long.
    private mutating func hurry(_ client: ClientConnection.Pointer) {
        guard !client.pointee.tunnel.contains(.isHurried) else { return }
        client.pointee.tunnel.insert(.isHurried)
        arm(client, after: hurriedSpan)
    }

    private var hurriedSpan: TimeSpan { min(timeouts.bodyIdle, timeouts.tunnelIdle) }

    /// Nothing moved for too long.
    mutating func tunnelTimedOut(_ client: ClientConnection.Pointer) {
        guard !client.pointee.tunnel.contains(.isMoving) else {
            strand(client)
            return
        }
        client.pointee.listener.pointee.count { $0.tunnelTimeouts.add() }
        noteCause(client, .clientTimedOut)
        let hasBytes =
            client.pointee.input.isAttached || client.pointee.output.isAttached
            || client.pointee.upstream.map {
                $0.pointee.input.isAttached || $0.pointee.output.isAttached
            } ?? false
        endTunnel(client, byReset: hasBytes || client.pointee.tunnel.contains(.isBroken))
    }

    /// Closes both sides; a reset tells them that bytes were lost.
    private mutating func endTunnel(_ client: ClientConnection.Pointer, byReset: Bool) {
        endRecord(client)
        abandon(client, byReset: byReset)
    }

    /// A tunnel that is cut ends for the backend as it does for the client.
    func cutTunnel(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard client.pointee.phase == .tunnelling else { return }
        StreamSocket.resetOnClose(upstream.pointee.socket)
    }

    /// A client connection goes: what it had of a tunnel and of a PROXY header goes with it.
    @inline(__always)
    func forgetStream(_ client: ClientConnection.Pointer) {
        if let proxied = client.pointee.proxied {
            proxied.deallocate()
            client.pointee.proxied = nil
        }
        guard client.pointee.phase == .tunnelling else { return }
        client.pointee.listener.pointee.count { $0.tunnelsOpen.subtract() }
    }
}
