// SPDX-License-Identifier: Apache-2.0
//
// Who may come in: room for connections, the limits of a listener, and the limit for one client
// address.

internal import ConfigurationCore
internal import LinuxIO
internal import Synchronization
internal import WireCore

/// What a client connection is counted for.
struct ClientAdmission {
    /// It is counted for its listener's `limits.connections`.
    var isCountedForListener = false
    /// Its place among the connections of its address.
    var address = ClientAddressTicket.none
}

extension Worker {
    /// Backends looked at for an idle connection to give up, before the first one found is taken.
    private static let evictionScanMax = 64

    /// An eighth of the descriptors stays free of clients, or nobody could be served.
    ///
    /// Idle upstream connections count as room: they give way.
    var hasRoomForClient: Bool {
        let max = setup.connectionMax
        guard clients.count < max &- max / 8 &- 1 else { return false }
        return clients.count &+ upstreams.count < max || idleUpstreamCount > 0
    }

    /// Makes the room that `hasRoomForClient` has found.
    mutating func takeRoomForClient() -> Bool {
        guard hasRoomForClient else { return false }
        guard clients.count &+ upstreams.count >= setup.connectionMax else { return true }
        return evictIdleUpstream()
    }

    /// True when more upstream connections idle than the clients inside are likely to need.
    ///
    /// Without descriptors no further one can be opened: a client that is let in for the last one
    /// would leave everybody with answers of 503.
    var hasSpareUpstream: Bool { idleUpstreamCount > 1 &+ clients.count / 8 }

    /// Closes the upstream connection that has been idle the longest, as far as a bounded look
    /// tells; false when none is idle.
    mutating func evictIdleUpstream() -> Bool {
        guard idleUpstreamCount > 0, !backends.isEmpty else { return false }
        var found: UpstreamConnection.Pointer?
        for step in 0..<backends.count {
            if step >= Self.evictionScanMax, found != nil { break }
            let backend = backends[(evictionCursor &+ step) % backends.count]
            guard let oldest = backend.pointee.idle.oldest else { continue }
            if let best = found, best.pointee.idleSince <= oldest.pointee.idleSince { continue }
            found = oldest
        }
        evictionCursor = (evictionCursor &+ 1) % backends.count
        guard let found else { return false }
        count { $0.limits.idleUpstreams.add() }
        close(found)
        return true
    }

    // MARK: Limits of a listener

    /// True for the last request that a client connection may carry.
    mutating func isLastRequest(_ client: ClientConnection.Pointer) -> Bool {
        client.pointee.requestCount &+= 1
        guard let max = limits.requestsPerConnection, client.pointee.requestCount >= max else {
            return false
        }
        count { $0.limits.connectionRequests.add() }
        return true
    }

    /// Counts one more client for a listener; false when it has as many as it may.
    @inline(__always)
    func reserveClient(_ listener: WorkerListener.Pointer) -> Bool {
        let limit = listener.pointee.connectionsMax
        guard limit < Int.max else { return true }
        let before = listener.pointee.admission.clientCount.wrappingAdd(1, ordering: .relaxed)
        guard before.oldValue >= limit else { return true }
        releaseReservation(listener)
        return false
    }

    /// Takes back what `reserveClient` counted for a client that did not come.
    func releaseReservation(_ listener: WorkerListener.Pointer) {
        guard listener.pointee.connectionsMax < Int.max else { return }
        listener.pointee.admission.clientCount.wrappingSubtract(1, ordering: .relaxed)
    }

    /// True when a listener may take another client now; a hint, `reserveClient` decides.
    func hasListenerRoom(_ listener: WorkerListener.Pointer) -> Bool {
        let limit = listener.pointee.connectionsMax
        guard limit < Int.max else { return true }
        return listener.pointee.admission.clientCount.load(ordering: .relaxed) < limit
    }

    /// Counts a connection for its client's address.
    ///
    /// Called at accept with the peer's address; whoever learns the true address later (a PROXY
    /// header) calls it again, which moves the connection to that address.
    ///
    /// - Returns: false when that address has as many as it may; the caller closes.
    mutating func admitClientAddress(
        _ client: ClientConnection.Pointer, _ address: IPAddress
    ) -> Bool {
        let listener = client.pointee.listener
        let limit = listener.pointee.connectionsPerClientMax
        guard limit < Int.max else { return true }
        releaseClientAddress(client)
        guard let counts = listener.pointee.admission.addresses.load() else { return true }
        switch counts.admit(address, limit: limit) {
        case .admitted(let ticket):
            client.pointee.admission.address = ticket
            return true
        case .overLimit:
            count { $0.limits.clientAddresses.add() }
            return false
        }
    }

    /// A connection no longer counts for its client's address.
    func releaseClientAddress(_ client: ClientConnection.Pointer) {
        let ticket = client.pointee.admission.address
        guard ticket != .none else { return }
        client.pointee.admission.address = .none
        client.pointee.listener.pointee.admission.addresses.load()?.release(ticket)
    }

    /// A client connection is over: it counts nowhere any more.
    @inline(__always)
    func endAdmission(_ client: ClientConnection.Pointer) {
        if client.pointee.admission.isCountedForListener {
            client.pointee.listener.pointee.admission.clientCount
                .wrappingSubtract(1, ordering: .relaxed)
        }
        releaseClientAddress(client)
    }
}
