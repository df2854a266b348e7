// SPDX-License-Identifier: Apache-2.0
//
// Clients of listeners with `protocol: tcp`: from an accepted connection to a backend that takes
// it. What follows is a tunnel. Nothing of the client is read meanwhile, so a backend that does
// not accept costs another attempt and loses no byte.

internal import BalancerCore
internal import ConfigurationCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Gives a listener what its configuration says beside its routes.
    func equip(_ listener: WorkerListener.Pointer, _ plan: ListenerPlan) {
        listener.pointee.proxySources = plan.proxySources
        guard let index = plan.streamPoolIndex else { return }
        listener.pointee.streamPool = pools[index]
        pools[index].pointee.useCount &+= 1
    }

    /// A listener no longer refers to the pool of its streams; those that are open do themselves.
    mutating func endStreamUse(of listener: WorkerListener.Pointer) {
        guard let pool = listener.pointee.streamPool else { return }
        listener.pointee.streamPool = nil
        endUse(of: pool)
    }

    /// Looks for a backend for a client of a TCP listener.
    mutating func openStream(_ client: ClientConnection.Pointer) {
        guard let pool = client.pointee.listener.pointee.streamPool else {
            preconditionFailure("a stream needs a pool")
        }
        client.pointee.phase = .opening
        client.pointee.isStream = true
        noteSessionBegan(client)
        client.pointee.pool = pool
        pool.pointee.useCount &+= 1
        client.pointee.attempted = AttemptedBackends()
        findStreamAffinity(client, pool)
        // The upstream connection has a deadline of its own.
        timers.disarm(clients.slot(of: client))
        attemptStream(client)
    }

    /// Connects to a backend that was not tried before, now or when there is room; without one the
    /// client is reset.
    mutating func attemptStream(_ client: ClientConnection.Pointer) {
        let pool = poolInForce(client)
        if client.pointee.attempted.isEmpty, client.pointee.progress.retryCount == 0 {
            pool.pointee.requestBegan(now: now)
            // Who waits was here first.
            guard !pool.pointee.isWaitedFor else {
                wait(client, pool)
                return
            }
        }
        if !beginStream(client, pool) { wait(client, pool) }
    }

    /// Begins an attempt; false when there is no room for one.
    mutating func beginStream(
        _ client: ClientConnection.Pointer, _ pool: UnsafeMutablePointer<WorkerPool>
    ) -> Bool {
        switch claim(client, pool) {
        case .noRoom:
            return false
        case .nobody:
            refuseStream(client, .serverAborted)
            return true
        case .granted:
            break
        }
        leaveLine(client)
        let earlier = client.pointee.attempted
        switch connect(client, to: beginAttempt(client, pool)) {
        case .begun: break
        case .refused: connectRefused(client, .refused)
        case .shortage:
            // No other backend changes that.
            endAttempt(client)
            refuseStream(client, .exhausted)
        case .noRoom:
            endAttempt(client)
            client.pointee.attempted = earlier
            wait(client, pool)
        }
        return true
    }

    mutating func refuseStream(
        _ client: ClientConnection.Pointer, _ cause: AccessLogCause
    ) {
        client.pointee.listener.pointee.count { $0.refusedStreams.add() }
        noteCause(client, cause)
        releasePool(client)
        // No byte of a service was seen: a normal close would say that there is one.
        reset(client)
    }

    /// The backend accepted: from here on bytes pass unread.
    mutating func streamConnected(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        noteConnected(client, upstream)
        bookConnected(upstream, client)
        beginTunnel(client, upstream)
    }

    /// Something changed for a client that waits for a backend.
    mutating func watchOpening(_ client: ClientConnection.Pointer) {
        // The end of its stream alone means nothing: it may have said all it has to say.
        guard client.pointee.readiness.contains(.broken) else { return }
        clientIsGone(client)
    }
}
