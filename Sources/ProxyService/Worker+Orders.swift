// SPDX-License-Identifier: Apache-2.0
//
// What the control thread may order about the connections to one backend: those that idle go, and
// when its time is over those that work go too, as kindly to clients as that can be.

internal import ConfigurationCore
internal import HTTPCore
internal import Telemetry

extension Worker {
    /// Closes the idle connections to some backends.
    mutating func closeIdle(_ list: [SharedBackend]) {
        for shared in list {
            // A backend that a reload has taken out has no idle connections.
            if let backend = records[ObjectIdentifier(shared)] { closeIdle(backend) }
        }
    }

    /// Closes the idle connections to a backend, which stays even if nothing refers to it.
    mutating func closeIdle(_ backend: WorkerBackend.Pointer) {
        backend.pointee.poolCount += 1
        while let idle = backend.pointee.idle.newest { close(idle) }
        backend.pointee.poolCount -= 1
    }

    /// Closes the connections to some backends that have work.
    ///
    /// A request without an answer goes to another backend if it may be sent again, and is answered
    /// 502 otherwise; an answer that has begun is cut short; tunnels are reset on both sides. None
    /// of that is held against the backend.
    mutating func cut(_ list: [SharedBackend], tunnelsToo: Bool) {
        let targets = list.compactMap { records[ObjectIdentifier($0)] }
        guard !targets.isEmpty else { return }
        for backend in targets {
            backend.pointee.isBeingCut = true
            // It must live until the marks are gone.
            backend.pointee.poolCount += 1
            closeIdle(backend)
        }
        for slot in 0..<upstreams.slotEnd {
            guard let upstream = upstreams.record(slot: slot),
                upstream.pointee.backend.pointee.isBeingCut
            else { continue }
            cut(upstream, tunnelsToo: tunnelsToo)
        }
        for backend in targets {
            backend.pointee.isBeingCut = false
            backend.pointee.poolCount -= 1
            if backend.pointee.isUnused { discard(backend) }
        }
    }

    private mutating func cut(_ upstream: UpstreamConnection.Pointer, tunnelsToo: Bool) {
        guard let client = upstream.pointee.client else {
            // A copy, or an answer, which nobody waits for.
            if upstream.pointee.phase != .idle { close(upstream) }
            return
        }
        let backend = upstream.pointee.backend
        switch upstream.pointee.phase {
        case .tunnelling:
            guard tunnelsToo else { return }
            backend.pointee.count { $0.cutTunnels.add() }
            noteCause(client, .drained)
            endRecord(client)
            abandon(client, byReset: true)
        case .relayingBody:
            backend.pointee.count { $0.cutRequests.add() }
            noteCause(client, .drained)
            truncate(client, upstream)
        case .connecting, .awaitingHead:
            backend.pointee.count { $0.cutRequests.add() }
            cutUnanswered(client, upstream)
        case .idle, .mirroring, .dropping:
            break
        }
    }

    /// Takes a request from a backend that has not begun to answer.
    private mutating func cutUnanswered(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        guard client.pointee.hedge == nil else {
            attemptOfTwoIsLost(client, upstream, .ours)
            return
        }
        let isUnsent = upstream.pointee.phase == .connecting
        let mayRepeat =
            !upstream.pointee.responseBegan && client.pointee.isRequestKept
            && (isUnsent || client.pointee.method.isIdempotent)
        part(client, upstream)
        close(upstream)
        endAttempt(client)
        client.pointee.failure = .badGateway
        if client.pointee.phase == .opening {
            attemptStream(client)
        } else if mayRepeat {
            attempt(client, isHeadParsed: false)
        } else {
            noteCause(client, .drained)
            answer(client, .badGateway)
        }
    }
}
