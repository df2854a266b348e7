// SPDX-License-Identifier: Apache-2.0
//
// Telling the other node about tunnels. Both connections of a tunnel must move for it to go on
// there, so the one to the backend comes from an address that moves; and both sides are asked
// then, so it is enough to tell where they are whenever nothing is on its way through this worker.

internal import HTTPCore
internal import LinuxIO
internal import ReplicationCore
internal import WireCore

extension Worker {
    // MARK: Connections from an address that moves

    /// Where the connection for the client's request must come from; `nil` for any address.
    @inline(__always)
    func tunnelSource(
        of client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> IPAddress? {
        guard let source = pool.pointee.tunnelSource, client.pointee.asksWebSocket else {
            return nil
        }
        return source
    }

    /// Begins a connection from an address that moves; `nil` when it is not here, or cannot reach
    /// the backend: then the tunnel comes from here and stays.
    func dialTunnel(
        _ backend: WorkerBackend.Pointer, from source: IPAddress
    ) -> FileDescriptor? {
        let endpoint = backend.pointee.endpoint
        guard source.family == endpoint.address.family else { return nil }
        var options = StreamSocket.ConnectOptions()
        options.source = Endpoint(address: source, port: 0)
        // While both nodes hold the address, what comes back is for this one.
        options.mark = ConnectionMark.adopted
        return try? StreamSocket.connect(to: endpoint, options: options)
    }

    /// A tunnel begins on a connection from an address that moves: if nobody goes on with it, its
    /// backend hears that from whoever holds the address.
    mutating func noteTunnelOpened(_ upstream: UpstreamConnection.Pointer) {
        let backend = upstream.pointee.backend.pointee.endpoint
        guard let journal = setup.journal,
            let local = try? StreamSocket.localEndpoint(upstream.pointee.socket),
            let key = journal.key(of: upstream.pointee.socket, peer: backend, bind: local)
        else {
            upstream.pointee.tunnel.isMovable = false
            return
        }
        upstream.pointee.tunnel.journalKey = key
        journalChanges.append(ClientChange(key, isOpen: true))
    }

    /// The backend's side of such a tunnel closes.
    mutating func noteTunnelClosed(_ key: ClientKey) {
        journalChanges.append(ClientChange(key, isOpen: false))
    }

    // MARK: Telling

    /// True when the other node may be told of the client's tunnel.
    func isMovableTunnel(_ client: ClientConnection.Pointer) -> Bool {
        guard client.pointee.phase == .tunnelling, let upstream = client.pointee.upstream,
            !client.pointee.tunnel.contains(.isMoving)
        else { return false }
        return upstream.pointee.tunnel.isMovable
    }

    /// Tells where a tunnel is, if nothing of it is in this worker's hands and that was not told.
    mutating func noteTunnelRest(_ client: ClientConnection.Pointer) {
        guard let upstream = client.pointee.upstream, upstream.pointee.tunnel.isMovable else {
            return
        }
        noteTunnelRest(client, upstream)
    }

    /// Tells where a tunnel is, if nothing of it is in this worker's hands and that was not told.
    mutating func noteTunnelRest(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard isShadowed(client), isAtRest(client, upstream) else { return }
        guard upstream.pointee.tunnel.channel == shadows.channel else {
            tellTunnelled(client, upstream)
            return
        }
        guard upstream.pointee.tunnel.isRestOwed else { return }
        upstream.pointee.tunnel.isRestOwed = false
        let id = shadowIdentifier(of: client)
        let position = tunnelPosition(client, upstream)
        shadows.needsTending = true
        tell { $0.writeRested(id, position) }
    }

    /// True when neither side has ended and nothing waits here.
    func isAtRest(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        client.pointee.tunnel.isEmpty && !client.pointee.input.isAttached
            && !client.pointee.output.isAttached && !upstream.pointee.input.isAttached
            && !upstream.pointee.output.isAttached
    }

    private func tunnelPosition(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> TunnelPosition {
        TunnelPosition(
            client: StreamPosition(
                receive: client.pointee.shadow.receiveSequence(unread: 0),
                send: client.pointee.shadow.sendSequence),
            backend: upstream.pointee.tunnel.position)
    }

    /// The first time on a channel the kernel says where both connections are.
    private mutating func tellTunnelled(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard let key = upstream.pointee.tunnel.journalKey, let pool = client.pointee.pool else {
            return
        }
        do throws(Errno) {
            let clientState = try ConnectionRepair.capture(client.pointee.socket)
            let backendState = try ConnectionRepair.capture(upstream.pointee.socket)
            client.pointee.shadow.settle(clientState)
            upstream.pointee.tunnel.settle(backendState)
            tellTunnelled(client, upstream, key, backendState, pool.pointee.name)
        } catch {
            // A side that is ending says so soon.
            count { $0.shadows.notCaptured.add() }
        }
    }

    private mutating func tellTunnelled(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ key: ClientKey, _ transport: TransportState, _ pool: String
    ) {
        upstream.pointee.tunnel.channel = shadows.channel
        upstream.pointee.tunnel.isRestOwed = false
        setStanding(client, .passing)
        let id = shadowIdentifier(of: client)
        let record = ShadowRecord.tunnelled(
            ShadowTunnel(
                position: tunnelPosition(client, upstream), key: key, transport: transport,
                pool: pool))
        shadows.needsTending = true
        tell { $0.write(record, of: id) }
    }
}

extension ShadowChannelWriter {
    /// Writes where a tunnel is; false when there is no room.
    mutating func writeRested(_ id: UInt32, _ position: TunnelPosition) -> Bool {
        writeNumbers(
            .rested, id, position.client.receive, position.client.send, position.backend.receive,
            position.backend.send)
    }
}
