// SPDX-License-Identifier: Apache-2.0
//
// Connections for requests: one that idles here, one that another worker does not need, or a new
// one.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

/// How the beginning of a connection went.
enum ConnectOutcome {
    /// It is under way.
    case begun
    /// The backend, or the way to it, is at fault.
    case refused
    /// We have no descriptor, port or memory for it.
    case shortage
    /// The backend or its pool has as many connections as it may.
    case noRoom
}

extension Errno {
    /// The process or the system has no descriptor left.
    var isDescriptorShortage: Bool { self == .tooManyFiles || self == .tooManyFilesInSystem }

    /// Something of our own ran out: descriptors, memory, local ports (connect(2)).
    var isShortage: Bool {
        let codes = [
            Errno.outOfMemory, .noBufferSpace, .noSpace, .addressNotAvailable, .wouldBlock,
        ]
        return isDescriptorShortage || codes.contains(self)
    }
}

extension Worker {
    func join(_ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer) {
        client.pointee.upstream = upstream
        upstream.pointee.client = client
    }

    /// An idle connection that is believed to be alive.
    ///
    /// A request that must not be sent twice looks first whether the backend has closed the
    /// connection meanwhile; others find out by sending and are sent again (RFC 9110 §9.2.2).
    mutating func takeIdle(
        _ backend: WorkerBackend.Pointer, for method: RequestMethod
    ) -> UpstreamConnection.Pointer? {
        while let upstream = backend.pointee.idle.popNewest() {
            leaveIdle(upstream)
            guard reclaim(upstream) else {
                forget(upstream)
                continue
            }
            // Connections that have been through a wait since they were put here are known to
            // have been quiet then.
            let isKnown =
                !upstream.pointee.mustLook && !isBatchFull
                && upstream.pointee.idleTurn != turnNumber
            if isKnown && method.isIdempotent || SocketTransfer.isQuiet(upstream.pointee.socket) {
                return upstream
            }
            close(upstream)
        }
        return nil
    }

    /// Books that a connection is no longer in the pool of its backend.
    @inline(__always)
    mutating func leaveIdle(_ upstream: UpstreamConnection.Pointer) {
        upstream.pointee.phase = .awaitingHead
        idleUpstreamCount &-= 1
        upstream.pointee.backend.pointee.count { $0.idleConnections.subtract() }
    }

    /// Begins a connection for the request of a client.
    mutating func connect(
        _ client: ClientConnection.Pointer, to backend: WorkerBackend.Pointer
    ) -> ConnectOutcome {
        guard makeRoomForUpstream() else {
            count { $0.limits.upstreams.add() }
            return .shortage
        }
        while true {
            do throws(Errno) {
                let source = client.pointee.pool.flatMap { tunnelSource(of: client, $0) }
                guard let upstream = try openConnection(to: backend, from: source) else {
                    return .noRoom
                }
                join(client, upstream)
                arm(upstream, after: timeouts.connect)
                return .begun
            } catch {
                if error.isShortage {
                    if error.isDescriptorShortage, evictIdleUpstream() { continue }
                    count { $0.limits.descriptors.add() }
                    return .shortage
                }
                client.pointee.failure = .badGateway
                backend.pointee.count { $0.connectFailures.add() }
                return .refused
            }
        }
    }

    /// We ran out of something: no other backend would help, and none is to blame.
    mutating func answerShortage(_ client: ClientConnection.Pointer) {
        endAttempt(client)
        noteCause(client, .exhausted)
        answer(client, .serviceUnavailable)
    }

    /// Opens a connection, from a `source` that moves between the nodes if it is here; `nil` when
    /// the limits of connections have no room for it.
    mutating func openConnection(
        to backend: WorkerBackend.Pointer, from source: IPAddress? = nil
    ) throws(Errno) -> UpstreamConnection.Pointer? {
        guard backend.pointee.takeConnection() || makeConnectionRoom(at: backend) else {
            return nil
        }
        if let source, let socket = dialTunnel(backend, from: source) {
            let upstream = try register(socket, backend)
            upstream.pointee.tunnel.isMovable = true
            return upstream
        }
        let socket: FileDescriptor
        do throws(Errno) {
            socket = try StreamSocket.connect(to: backend.pointee.endpoint)
        } catch {
            backend.pointee.connectionEnds()
            throw error
        }
        return try register(socket, backend)
    }

    /// Makes a connected, or connecting, socket one of this worker's upstream connections; it was
    /// counted before.
    mutating func register(
        _ socket: consuming FileDescriptor, _ backend: WorkerBackend.Pointer
    ) throws(Errno) -> UpstreamConnection.Pointer {
        let upstream = upstreams.insert(UpstreamConnection(socket: socket, backend: backend))
        backend.pointee.connectionCount &+= 1
        let slot = upstreams.slot(of: upstream)
        timers.prepare(clients.capacity &+ slot)
        let token = EventToken(
            .upstream, slot: slot, generation: upstreams.generation(of: upstream))
        do throws(Errno) {
            try epoll.add(
                upstream.pointee.socket, [.readable, .writable, .peerClosed, .edgeTriggered],
                token: token.rawValue)
        } catch {
            close(upstream)
            throw error
        }
        return upstream
    }

    /// Idle connections give way when descriptors are short.
    private mutating func makeRoomForUpstream() -> Bool {
        if clients.count &+ upstreams.count < setup.connectionMax { return true }
        return evictIdleUpstream()
    }

    /// The backend accepted, refused, or is still thinking.
    mutating func checkConnecting(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            preconditionFailure("connecting for nobody")
        }
        guard !upstream.pointee.readiness.isDisjoint(with: [.writable, .broken]) else { return }
        guard StreamSocket.pendingError(upstream.pointee.socket) == nil else {
            connectFailed(client, upstream, .refused)
            return
        }
        guard introduce(client, to: upstream) else {
            connectFailed(client, upstream, .refused)
            return
        }
        upstream.pointee.backend.pointee.count { $0.connections.add() }
        guard !upstream.pointee.isHedge else {
            hedgeConnected(upstream)
            return
        }
        guard client.pointee.phase != .opening else {
            streamConnected(client, upstream)
            return
        }
        sendRequest(client, upstream, isHeadParsed: false)
    }

    /// The backend did not accept in time or refused: another one may.
    mutating func connectFailed(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ failure: AttemptFailure
    ) {
        upstream.pointee.backend.pointee.count { $0.connectFailures.add() }
        guard client.pointee.hedge == nil else {
            attemptOfTwoIsLost(client, upstream, failure)
            return
        }
        client.pointee.failure = failure == .connectTimeout ? .gatewayTimeout : .badGateway
        part(client, upstream)
        close(upstream)
        connectRefused(client, failure)
    }

    /// No connection came about; not a byte of the request was sent.
    mutating func connectRefused(
        _ client: ClientConnection.Pointer, _ failure: AttemptFailure
    ) {
        attemptFailed(client, failure)
        let reason = failure == .connectTimeout ? RetryReason.connectTimeout : .connectFailure
        if triesAgain(client, reason, isSafe: true) { return }
        if client.pointee.isStream {
            refuseStream(client, .serverAborted)
        } else {
            answer(client, client.pointee.failure)
        }
    }
}
