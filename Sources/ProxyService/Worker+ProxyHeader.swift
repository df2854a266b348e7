// SPDX-License-Identifier: Apache-2.0
//
// Who a client is when a tier in front of us says so, and saying so to backends ourselves: the
// PROXY protocol on accepted and on new upstream connections.

internal import ConfigurationCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Begins with an accepted connection, which may be closed when this returns.
    ///
    /// Whether a header is expected depends on the real peer alone, never on what it sends: who
    /// could choose would choose the address it is known by.
    mutating func greet(_ client: ClientConnection.Pointer, peer: Endpoint?) {
        let sources = client.pointee.listener.pointee.proxySources
        if !sources.isEmpty, let peer, sources.contains(where: { $0.contains(peer.address) }) {
            client.pointee.phase = .readingProxyHeader
            arm(client, after: timeouts.proxyHeader)
            return
        }
        if let address = peer?.address, !admitClientAddress(client, address) {
            close(client)
            return
        }
        beginService(client)
    }

    /// The client is known: what its listener offers begins.
    private mutating func beginService(_ client: ClientConnection.Pointer) {
        guard client.pointee.listener.pointee.streamPool == nil else {
            openStream(client)
            return
        }
        client.pointee.phase = .readingHead
        openShadow(client)
        arm(client, after: timeouts.requestHead)
        if !client.pointee.input.isEmpty { serveHead(client) }
    }

    /// Reads until the header is complete or wrong.
    mutating func readProxyHeader(_ client: ClientConnection.Pointer) {
        while client.pointee.readiness.contains(.readable) {
            // The longest header fits a small buffer.
            if !client.pointee.input.isAttached { client.pointee.input = buffers.takeSmall() }
            let progress = receive(
                into: &client.pointee.input, from: client.pointee.socket,
                &client.pointee.readiness)
            switch progress {
            case .bytes(let count):
                client.pointee.shadow.noteReceived(count)
                client.pointee.listener.pointee.count { $0.bytesReceived.add(UInt64(count)) }
            case .nothing:
                return
            case .ended, .failed:
                refuseProxyHeader(client, reason: "ended")
                return
            }
            switch ProxyHeader.decode(client.pointee.input.unread.bytes) {
            case .needMore:
                continue
            case .malformed(let fault):
                refuseProxyHeader(client, reason: fault.token)
                return
            case .complete(let header):
                accept(header, from: client)
                return
            }
        }
    }

    private mutating func accept(_ header: ProxyHeader, from client: ClientConnection.Pointer) {
        client.pointee.input.start &+= header.byteCount
        client.pointee.input.mark = client.pointee.input.start
        if client.pointee.input.isEmpty { buffers.giveBack(&client.pointee.input) }
        if let connection = header.connection {
            var source = connection.source
            source.address = source.address.unmapped
            noteProxySource(client, source: source)
            let proxied = UnsafeMutablePointer<ProxyHeader.Connection>.allocate(capacity: 1)
            proxied.initialize(to: connection)
            client.pointee.proxied = proxied
            guard admitClientAddress(client, source.address) else {
                close(client)
                return
            }
        }
        beginService(client)
    }

    /// Closes a connection whose peer had to say who it speaks for and did not.
    mutating func refuseProxyHeader(
        _ client: ClientConnection.Pointer, reason: StaticString
    ) {
        let listener = client.pointee.listener
        listener.pointee.count { $0.proxyHeaderFailures.add() }
        if let suppressed = faultLog.admit(now: now) {
            setup.logger.warning(
                "connection closed, no valid PROXY header",
                [
                    "reason": "\(reason)",
                    "peer": client.pointee.addressText.description,
                    "listener": listener.pointee.identity.name,
                    "suppressed": "\(suppressed)",
                ])
        }
        close(client)
    }

    // MARK: Towards backends

    /// Begins a new upstream connection with the header that its pool wants; false when the
    /// connection is already lost.
    ///
    /// A fresh socket takes so few bytes at once ("PROXY protocol" §2.1 and §2.2 ask senders for
    /// that); what does not fit is no working connection.
    func introduce(
        _ client: ClientConnection.Pointer, to upstream: UpstreamConnection.Pointer
    ) -> Bool {
        guard let header = proxyHeader(of: client, for: upstream) else { return true }
        return header.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            let outcome = SocketTransfer.send(upstream.pointee.socket, base, count: bytes.count)
            return outcome.byteCount == bytes.count
        }
    }

    /// The header that a connection for this client begins with; `nil` when its pool wants none.
    func proxyHeader(
        of client: ClientConnection.Pointer, for upstream: UpstreamConnection.Pointer
    ) -> [UInt8]? {
        guard let version = upstream.pointee.backend.pointee.proxyHeader else { return nil }
        let connection = proxiedConnection(of: client)
        return switch version {
        case .v1: ProxyHeader.line(for: connection)
        case .v2: ProxyHeader.binary(for: connection)
        }
    }

    /// The connection of the client as the tier in front saw it, or as our kernel does.
    ///
    /// Always one: a header without would tell the backend that we speak for ourselves, and a
    /// client that leaves at the right moment would be taken for us.
    private func proxiedConnection(
        of client: ClientConnection.Pointer
    ) -> ProxyHeader.Connection {
        if let proxied = client.pointee.proxied { return proxied.pointee }
        let destination = try? StreamSocket.localEndpoint(client.pointee.socket)
        return ProxyHeader.Connection(
            source: client.pointee.source,
            destination: destination ?? client.pointee.listener.pointee.identity.bind)
    }
}
