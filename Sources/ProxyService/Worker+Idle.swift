// SPDX-License-Identifier: Apache-2.0
//
// Upstream connections between requests: how long they are kept, and how workers that need few of
// them share. Each worker uses its own first and looks at nobody else's then. What it has not used
// for a moment it offers to the others; it goes on watching it, so that its end is noticed.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import WireCore

extension Worker {
    /// Idle for so long, a connection is offered to other workers.
    ///
    /// A worker under load uses its connections again much sooner, so that sharing costs nothing.
    static let offerSpan = TimeSpan.milliseconds(20)
    /// How often a worker looks whether what it offered was taken.
    static let offerLookSpan = TimeSpan.seconds(1)

    /// How long a connection to this backend may idle.
    private func idleSpan(_ backend: WorkerBackend.Pointer) -> TimeSpan {
        backend.pointee.patience.span(longest: timeouts.upstreamIdle)
    }

    /// Sets the deadline of a connection that was just put into the pool.
    @inline(__always)
    mutating func armIdle(_ upstream: UpstreamConnection.Pointer) {
        let span = idleSpan(upstream.pointee.backend)
        arm(upstream, after: setup.workerCount > 1 ? min(span, Self.offerSpan) : span)
    }

    /// An idle connection is old enough to be offered, or too old to be kept.
    mutating func idleTimedOut(_ upstream: UpstreamConnection.Pointer) {
        let backend = upstream.pointee.backend
        let span = idleSpan(backend)
        let age = now - upstream.pointee.idleSince
        guard age + TimerWheel.tick < span else {
            backend.pointee.patience.outlived(longest: timeouts.upstreamIdle)
            close(upstream)
            return
        }
        if upstream.pointee.offer == .none {
            offer(upstream)
        } else if !isOffered(upstream) {
            backend.pointee.idle.remove(upstream)
            leaveIdle(upstream)
            forget(upstream)
            return
        }
        arm(upstream, after: min(span - age, Self.offerLookSpan))
    }

    private mutating func offer(_ upstream: UpstreamConnection.Pointer) {
        offerTicket &+= 1
        let ticket = offerTicket
        let exchange = upstream.pointee.backend.pointee.shared._withUnsafeGuaranteedRef {
            $0.exchange
        }
        upstream.pointee.offer =
            exchange.offer(upstream.pointee.socket, watchedBy: epoll, ticket: ticket) ?? .none
    }

    private func isOffered(_ upstream: UpstreamConnection.Pointer) -> Bool {
        upstream.pointee.backend.pointee.shared._withUnsafeGuaranteedRef {
            $0.exchange.isOpen(upstream.pointee.offer)
        }
    }

    /// Makes sure that a connection is this worker's; false when another one has taken it.
    @inline(__always)
    func reclaim(_ upstream: UpstreamConnection.Pointer) -> Bool {
        guard upstream.pointee.offer != .none else { return true }
        let isOurs = upstream.pointee.backend.pointee.shared._withUnsafeGuaranteedRef {
            $0.exchange.withdraw(upstream.pointee.offer)
        }
        upstream.pointee.offer = .none
        return isOurs
    }

    /// Drops the record of a connection that another worker has taken; it is in no pool any more.
    mutating func forget(_ upstream: UpstreamConnection.Pointer) {
        let backend = upstream.pointee.backend
        timers.disarm(clients.capacity &+ upstreams.slot(of: upstream))
        buffers.giveBack(&upstream.pointee.input)
        buffers.giveBack(&upstream.pointee.output)
        upstreams.take(upstream).relinquishSocket()
        backend.pointee.connectionCount &-= 1
        if backend.pointee.isUnused { discard(backend) }
    }

    /// A connection that another worker does not need, when this one has none; it goes on being
    /// counted.
    mutating func takeOffered(_ backend: WorkerBackend.Pointer) -> UpstreamConnection.Pointer? {
        guard setup.workerCount > 1, clients.count &+ upstreams.count < setup.connectionMax else {
            return nil
        }
        let exchange = backend.pointee.shared._withUnsafeGuaranteedRef { $0.exchange }
        while let socket = exchange.take(for: epoll) {
            if let upstream = adopt(socket, backend) { return upstream }
        }
        return nil
    }

    private mutating func adopt(
        _ socket: consuming FileDescriptor, _ backend: WorkerBackend.Pointer
    ) -> UpstreamConnection.Pointer? {
        guard let upstream = try? register(socket, backend) else { return nil }
        // Its end may be known to the other worker's epoll instance only.
        guard SocketTransfer.isQuiet(upstream.pointee.socket) else {
            upstream.pointee.phase = .awaitingHead
            close(upstream)
            return nil
        }
        upstream.pointee.isReused = true
        upstream.pointee.idleSince = now
        return upstream
    }

    // MARK: What a backend allows

    /// The backend ended an idle connection.
    func noteIdleEnd(_ upstream: UpstreamConnection.Pointer, after idle: TimeSpan) {
        upstream.pointee.backend.pointee.patience.ended(after: idle, now: now)
    }

    /// Reads `Keep-Alive: timeout=` of the first response on a connection.
    func learnPatience(_ upstream: UpstreamConnection.Pointer) {
        guard let value = response.value(of: .keepAlive) else { return }
        let bytes = value.bytes(in: upstream.pointee.input.message)
        guard let seconds = IdleEstimate.advertisedSeconds(bytes) else { return }
        upstream.pointee.backend.pointee.patience.advertised(.seconds(seconds))
    }
}
