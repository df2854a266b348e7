// SPDX-License-Identifier: Apache-2.0
//
// New client connections: accepting, the connection limit, resting when descriptors run out.

internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import Telemetry
internal import WireCore

extension Worker {
    mutating func listenerIsReady(slot: Int) {
        guard slot < listeners.count, let listener = listeners[slot] else { return }
        listener.pointee.isReadable = true
        acceptClients(listener)
    }

    /// Tries the listeners again that had to wait.
    mutating func resumeAccepting() {
        guard canResumeAccepting else { return }
        isAcceptBlocked = false
        for slot in listeners.indices {
            guard let listener = listeners[slot], listener.pointee.isReadable else { continue }
            acceptClients(listener)
        }
    }

    /// True when a listener that had to wait need not wait any longer.
    var canResumeAccepting: Bool {
        guard now >= acceptResumes, hasRoomForClient else { return false }
        for slot in listeners.indices {
            guard let listener = listeners[slot], listener.pointee.isReadable else { continue }
            if hasListenerRoom(listener) { return true }
        }
        return false
    }

    mutating func acceptClients(_ listener: WorkerListener.Pointer) {
        guard let socket = listener.pointee.socket else { return }
        for _ in 0..<Self.acceptsPerTurnMax {
            guard takeRoomForClient() else {
                if !isAcceptBlocked { count { $0.limits.connections.add() } }
                isAcceptBlocked = true
                return
            }
            guard reserveClient(listener) else {
                if !listener.pointee.isFull { count { $0.limits.listenerConnections.add() } }
                listener.pointee.isFull = true
                isAcceptBlocked = true
                return
            }
            listener.pointee.isFull = false
            do {
                guard let accepted = try StreamSocket.accept(from: socket.descriptor) else {
                    releaseReservation(listener)
                    listener.pointee.isReadable = false
                    return
                }
                let peer = accepted.peer
                try welcome(accepted.takeSocket(), peer: peer, listener)
            } catch {
                releaseReservation(listener)
                // What waits is worth more than what idles, as long as those inside are served.
                if error.isDescriptorShortage, hasSpareUpstream, evictIdleUpstream() { continue }
                restAccepting(error)
                return
            }
        }
        // More may wait: look again once the others had their turn.
        isAcceptBlocked = true
    }

    private mutating func restAccepting(_ error: Errno) {
        count { $0.limits.descriptors.add() }
        isAcceptBlocked = true
        acceptResumes = now + Self.acceptPause
        guard let suppressed = acceptLog.admit(now: now) else { return }
        setup.logger.warning(
            "cannot accept connections",
            ["reason": "\(error)", "suppressed": "\(suppressed)"])
    }

    private mutating func welcome(
        _ socket: consuming FileDescriptor, peer: Endpoint?, _ listener: WorkerListener.Pointer
    ) throws(Errno) {
        let client = clients.insert(
            ClientConnection(
                socket: socket, listener: listener,
                peer: peer ?? Endpoint(address: .v4(.any), port: 0), now: now))
        let slot = clients.slot(of: client)
        timers.prepare(slot)
        client.pointee.admission.isCountedForListener = listener.pointee.connectionsMax < Int.max
        let token = EventToken(.client, slot: slot, generation: clients.generation(of: client))
        do throws(Errno) {
            try epoll.add(
                client.pointee.socket, [.readable, .writable, .peerClosed, .edgeTriggered],
                token: token.rawValue)
        } catch {
            clients.remove(client)
            throw error
        }
        listener.pointee.clientCount &+= 1
        listener.pointee.count {
            $0.connectionsAccepted.add()
            $0.connectionsOpen.add()
        }
        setup.tallies.openConnections.store(clients.count, ordering: .relaxed)
        noteAccepted(client)
        noteOpened(client, peer: peer)
        greet(client, peer: peer)
    }

    // MARK: Closing

    /// Forgets a client connection; its socket is closed with its record.
    mutating func close(_ client: ClientConnection.Pointer) {
        assert(client.pointee.route == nil, "a client that is closed follows no route")
        let listener = client.pointee.listener
        noteCause(client, .clientAborted)
        endRecord(client)
        noteClosed(client)
        closeShadow(client)
        endAdmission(client)
        forgetStream(client)
        timers.disarm(clients.slot(of: client))
        buffers.giveBack(&client.pointee.input)
        buffers.giveBack(&client.pointee.output)
        forgetTrailers(client)
        clients.remove(client)
        listener.pointee.clientCount &-= 1
        listener.pointee.count { $0.connectionsOpen.subtract() }
        setup.tallies.openConnections.store(clients.count, ordering: .relaxed)
        if listener.pointee.socket == nil, listener.pointee.clientCount == 0 {
            discard(listener)
        }
    }

    /// Closes so that the client notices that its response is not complete.
    mutating func reset(_ client: ClientConnection.Pointer) {
        StreamSocket.resetOnClose(client.pointee.socket)
        close(client)
    }

    /// Closes after a complete response, without destroying it on its way.
    ///
    /// Closing with unread bytes in the socket would send a reset, which may overtake the response
    /// in the client's kernel (RFC 9112 §9.6): then only our side is closed, and what still comes
    /// is thrown away for a while.
    mutating func closeGracefully(_ client: ClientConnection.Pointer, mayReceiveMore: Bool) {
        client.pointee.keepsAlive = false
        let hasUnread =
            !client.pointee.input.isEmpty || client.pointee.readiness.contains(.readable)
        buffers.giveBack(&client.pointee.input)
        guard client.pointee.output.isEmpty else {
            client.pointee.phase = .finishing
            client.pointee.mustLinger = mayReceiveMore || hasUnread
            beginWaiting(client)
            return
        }
        endRecord(client)
        guard mayReceiveMore || hasUnread else {
            close(client)
            return
        }
        StreamSocket.shutdownWrite(client.pointee.socket)
        client.pointee.phase = .lingering
        arm(client, after: Self.lingerSpan)
        lingerOn(client)
    }

    /// Writes the rest of the last response, or of an answer of our own that others may follow.
    mutating func finishWriting(_ client: ClientConnection.Pointer) {
        sentByteCount = 0
        let flushed = flush(client)
        let sent = UInt64(sentByteCount)
        client.pointee.listener.pointee.count { $0.bytesSent.add(sent) }
        noteSent(client, sentByteCount)
        switch flushed {
        case .done where client.pointee.keepsAlive: nextRequest(client)
        case .done: closeGracefully(client, mayReceiveMore: client.pointee.mustLinger)
        case .blocked: break
        case .failed: close(client)
        }
    }

    /// Throws away what a client sends after its last response, up to the deadline.
    mutating func lingerOn(_ client: ClientConnection.Pointer) {
        guard client.pointee.readiness.contains(.readable) else { return }
        var budget = Self.bytesPerTurnMax
        while budget > 0 {
            let outcome = SocketTransfer.receive(
                client.pointee.socket, into: discardBase, count: Self.chunkPayloadMax)
            if outcome.wouldBlock {
                client.pointee.readiness.remove(.readable)
                return
            }
            guard outcome.byteCount > 0 else {
                close(client)
                return
            }
            budget &-= outcome.byteCount
            client.pointee.lingeredByteCount &+= UInt32(truncatingIfNeeded: outcome.byteCount)
            guard client.pointee.lingeredByteCount < Self.lingerByteCountMax else {
                close(client)
                return
            }
        }
        enqueue(client)
    }

    /// Memory that nobody reads.
    private var discardBase: UnsafeMutableRawPointer {
        guard let base = chunkScratch.baseAddress else { preconditionFailure("no scratch") }
        return base
    }
}
