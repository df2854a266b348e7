// SPDX-License-Identifier: Apache-2.0
//
// What happens when a connection made no progress for too long. A deadline is kept for each
// connection; whether it is this connection that holds things up is decided when it passes.

internal import ConfigurationCore
internal import HTTPCore
internal import WireCore

extension Worker {
    mutating func clientTimedOut(_ client: ClientConnection.Pointer) {
        switch client.pointee.phase {
        case .readingHead:
            headTimedOut(client)
        case .exchanging:
            exchangeTimedOut(client)
        case .finishing:
            client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
            reset(client)
        case .lingering:
            close(client)
        }
    }

    private mutating func headTimedOut(_ client: ClientConnection.Pointer) {
        guard !client.pointee.input.isEmpty else {
            // Nobody is waiting for an answer on an idle connection.
            close(client)
            return
        }
        client.pointee.listener.pointee.count {
            $0.clientTimeouts.add()
            $0.requests.add()
        }
        client.pointee.method = .get
        client.pointee.keepsAlive = false
        answer(client, .requestTimeout)
    }

    /// The client may be slow to send its body or to read its response; or it is waiting, as it
    /// should, for a backend that has its own deadline.
    private mutating func exchangeTimedOut(_ client: ClientConnection.Pointer) {
        guard let upstream = client.pointee.upstream else { return }
        let isReadingSlowly =
            client.pointee.output.isAttached
            || (upstream.pointee.phase == .relayingBody && !upstream.pointee.input.isEmpty)
        if isReadingSlowly {
            client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
            abandon(client, byReset: true)
            return
        }
        let isSendingSlowly =
            !client.pointee.requestEnded && upstream.pointee.phase != .connecting
            && client.pointee.input.isEmpty && !upstream.pointee.output.isAttached
        guard isSendingSlowly else {
            arm(client, after: timeouts.bodyIdle)
            return
        }
        client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
        guard upstream.pointee.phase == .awaitingHead, !client.pointee.output.isAttached else {
            abandon(client, byReset: true)
            return
        }
        part(client, upstream)
        close(upstream)
        endAttempt(client)
        answer(client, .requestTimeout)
    }

    mutating func upstreamTimedOut(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            close(upstream)
            return
        }
        switch upstream.pointee.phase {
        case .connecting:
            connectFailed(client, upstream, .gatewayTimeout)
        case .awaitingHead:
            // While the client owes us its body, the backend has nothing to answer.
            if client.pointee.requestEnded || upstream.pointee.output.isAttached
                || !client.pointee.input.isEmpty
            {
                giveUp(client, upstream, .gatewayTimeout)
            } else {
                arm(upstream, after: timeouts.bodyIdle)
            }
        case .relayingBody:
            let isWaitingForClient =
                client.pointee.output.isAttached || !upstream.pointee.input.isEmpty
            if isWaitingForClient || !client.pointee.requestEnded {
                arm(upstream, after: timeouts.bodyIdle)
            } else {
                truncate(client, upstream)
            }
        case .idle:
            close(upstream)
        }
    }
}
