// SPDX-License-Identifier: Apache-2.0
//
// Connections that began at the other node: each finds its listener here and goes on as if it had
// been accepted by this worker and idle since, except for bytes that were read over there already.

internal import ConfigurationCore
internal import LinuxIO
internal import ReplicationCore
internal import Synchronization
internal import Telemetry
internal import WireCore

extension Worker {
    /// Serves connections that were made again here; who cannot be served is reset.
    mutating func adoptClients(_ adopted: [AdoptedClient]) {
        // What another node had when these were made must be gone before they come.
        now = Clock.now()
        heedLife()
        var reissuedCount = 0
        var refusedCount = 0
        for client in adopted {
            guard adopt(client) else {
                client.reset()
                refusedCount &+= 1
                continue
            }
            if case .reissued = client.input { reissuedCount &+= 1 }
        }
        count {
            $0.carry.adopted.add(UInt64(adopted.count &- refusedCount))
            $0.carry.reissued.add(UInt64(reissuedCount))
            $0.carry.refused.add(UInt64(refusedCount))
        }
        // They come in batches of a few dozen; the takeover is logged as a whole by whoever made
        // them.
        guard refusedCount > 0 else { return }
        setup.logger.warning(
            "connections of the peer cannot go on here and were reset",
            ["worker": "\(setup.index)", "count": "\(refusedCount)"])
    }

    /// Ends those of the connections that are here, whatever they do, without a word.
    ///
    /// One walk over all clients for a whole takeover, and only when there is something to end.
    mutating func surrender(_ order: SurrenderOrder) {
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot), let key = client.pointee.journalKey
            else { continue }
            let backendKey = client.pointee.upstream?.pointee.tunnel.journalKey
            guard order.keys.contains(key) || backendKey.map(order.keys.contains) ?? false else {
                continue
            }
            surrender(client)
        }
        order.noteDone()
    }

    /// Another node may have all connections to addresses that move: ends them.
    mutating func surrenderEverybody() {
        for slot in 0..<clients.slotEnd {
            guard let client = clients.record(slot: slot), client.pointee.journalKey != nil else {
                continue
            }
            // The other node may not have begun yet: what it knows must stay true until it does.
            if isShadowed(client) { forgetShadow(client) }
            surrender(client)
        }
        guard shadows.isOpen else { return }
        shadows.newBeginning = now + ShadowDesk.newBeginningSpan
        shadows.needsTending = true
    }

    /// Ends a connection that another node has; that of a listener that carries nothing over was
    /// reset there.
    private mutating func surrender(_ client: ClientConnection.Pointer) {
        count { $0.carry.superseded.add() }
        guard client.pointee.listener.pointee.shadowLevel != .reset else {
            abandon(client, byReset: true)
            return
        }
        // The address may be back already: a reset or an end would reach the client.
        ConnectionRepair.hush(client.pointee.socket)
        if let upstream = client.pointee.upstream, upstream.pointee.tunnel.journalKey != nil {
            ConnectionRepair.hush(upstream.pointee.socket)
        }
        abandon(client, byReset: false)
    }

    /// False when nobody here serves such connections, or there is no room.
    private mutating func adopt(_ adopted: AdoptedClient) -> Bool {
        guard !isDraining, let listener = listener(for: adopted), takeRoomForClient(),
            reserveClient(listener)
        else { return false }
        let input = adopted.input.bytes
        guard input.count <= BufferPool.smallByteCount, input.isEmpty || !buffers.isOverLimit,
            let socket = adopted.takeDescriptor()
        else {
            releaseReservation(listener)
            return false
        }
        guard let client = insertAdopted(socket, adopted, listener) else { return false }
        guard admitClientAddress(client, client.pointee.source.address) else {
            reset(client)
            return false
        }
        if let tunnel = adopted.tunnel { return resumeTunnel(client, adopted, tunnel) }
        resume(client, adopted, input)
        return true
    }

    /// The listener that would have accepted the connection.
    private func listener(for adopted: AdoptedClient) -> WorkerListener.Pointer? {
        for slot in listeners.indices {
            guard let listener = listeners[slot], let socket = listener.pointee.socket,
                listener.pointee.streamPool == nil
            else { continue }
            var bind = listener.pointee.identity.bind
            if bind.port == 0, let bound = try? StreamSocket.localEndpoint(socket.descriptor) {
                bind.port = bound.port
            }
            let isHere =
                bind.address == adopted.local.address
                || bind.address.isAny && bind.address.family == adopted.local.address.family
            if isHere, bind.port == adopted.local.port { return listener }
        }
        return nil
    }

    /// Makes the record of a connection; `nil` when the kernel does not watch one more socket.
    private mutating func insertAdopted(
        _ socket: consuming FileDescriptor, _ adopted: AdoptedClient,
        _ listener: WorkerListener.Pointer
    ) -> ClientConnection.Pointer? {
        let client = clients.insert(
            ClientConnection(socket: socket, listener: listener, peer: adopted.remote, now: now))
        let slot = clients.slot(of: client)
        timers.prepare(slot)
        let token = EventToken(.client, slot: slot, generation: clients.generation(of: client))
        do throws(Errno) {
            try epoll.add(
                client.pointee.socket, [.readable, .writable, .peerClosed, .edgeTriggered],
                token: token.rawValue)
        } catch {
            StreamSocket.resetOnClose(client.pointee.socket)
            clients.remove(client)
            releaseReservation(listener)
            return nil
        }
        client.pointee.admission.isCountedForListener = listener.pointee.connectionsMax < Int.max
        listener.pointee.clientCount &+= 1
        listener.pointee.count { $0.connectionsOpen.add() }
        setup.tallies.openConnections.store(clients.count, ordering: .relaxed)
        noteAccepted(client)
        if let named = adopted.namedClient { noteNamed(client, named, local: adopted.local) }
        noteOpened(client, peer: adopted.remote)
        return client
    }

    /// A PROXY header named the client when the connection began over there.
    private func noteNamed(
        _ client: ClientConnection.Pointer, _ named: Endpoint, local: Endpoint
    ) {
        noteProxySource(client, source: named)
        let proxied = UnsafeMutablePointer<ProxyHeader.Connection>.allocate(capacity: 1)
        proxied.initialize(to: ProxyHeader.Connection(source: named, destination: local))
        client.pointee.proxied = proxied
    }

    /// The connection is between requests, or has the beginning of one.
    private mutating func resume(
        _ client: ClientConnection.Pointer, _ adopted: AdoptedClient, _ input: [UInt8]
    ) {
        client.pointee.phase = .readingHead
        client.pointee.headBegan = false
        if let span = adopted.expectsBytesWithin {
            client.pointee.expectedWithinMilliseconds = UInt16(clamping: span.milliseconds)
        }
        arm(client, after: idleSpan(of: client))
        if !input.isEmpty {
            client.pointee.input = buffers.takeSmall()
            input.withUnsafeBytes { client.pointee.input.append($0) }
            noteFirstByte(client)
            enqueue(client)
        }
        beginShadow(client, known: adopted.transport)
    }

    /// True while what an adopted client had sent has not come again.
    @inline(__always)
    func expectsBytes(_ client: ClientConnection.Pointer) -> Bool {
        client.pointee.expectedWithinMilliseconds > 0
            && client.pointee.shadow.receivedByteCount == 0
    }

    /// How long a client may idle.
    ///
    /// One whose request was issued again may have sent others behind it that are lost: nobody
    /// would ever answer those.
    @inline(__always)
    func idleSpan(of client: ClientConnection.Pointer) -> TimeSpan {
        guard expectsBytes(client) else { return timeouts.keepAlive }
        return .milliseconds(UInt64(client.pointee.expectedWithinMilliseconds))
    }

    /// What a client had sent before its node died did not come again: what was acknowledged over
    /// there is lost, and the connection with it.
    mutating func expectedBytesAreLate(_ client: ClientConnection.Pointer) {
        count { $0.carry.expired.add() }
        reset(client)
    }
}
