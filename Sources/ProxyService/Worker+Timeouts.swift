// SPDX-License-Identifier: Apache-2.0
//
// What happens when a connection made no progress for too long. A deadline is kept for each
// connection; whether it is this connection that holds things up is decided when it passes.

internal import ConfigurationCore
internal import HTTPCore
internal import Telemetry
internal import WireCore

extension Worker {
    mutating func clientTimedOut(_ client: ClientConnection.Pointer) {
        switch client.pointee.phase {
        case .readingProxyHeader:
            refuseProxyHeader(client, reason: "timeout")
        case .opening:
            break
        case .waiting:
            waitedTooLong(client)
        case .pausing:
            pauseIsOver(client)
        case .tunnelling:
            tunnelTimedOut(client)
        case .readingHead:
            headTimedOut(client)
        case .moving:
            strand(client)
        case .exchanging:
            exchangeTimedOut(client)
        case .finishing:
            if cutsOffReader(client) { reset(client) }
        case .discarding:
            client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
            closeGracefully(client, mayReceiveMore: true)
        case .lingering:
            close(client)
        }
    }

    private mutating func headTimedOut(_ client: ClientConnection.Pointer) {
        guard !client.pointee.input.isEmpty else {
            if expectsBytes(client) {
                expectedBytesAreLate(client)
                return
            }
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
        if client.pointee.progress.mayHedge {
            hedge(client, upstream)
            return
        }
        let isReadingSlowly =
            client.pointee.output.isAttached
            || (upstream.pointee.phase == .relayingBody && !upstream.pointee.input.isEmpty)
        if isReadingSlowly {
            if cutsOffReader(client) { abandon(client, byReset: true) }
            return
        }
        // Once the response has begun, only the upstream deadline tells whether it still comes: a
        // client may well read an early answer before it goes on with its body.
        guard upstream.pointee.phase == .awaitingHead, owesBody(client, upstream) else {
            arm(client, after: timeouts.bodyIdle)
            return
        }
        guard !client.pointee.pace.awaitsContinue else {
            continueByOurselves(client)
            return
        }
        countSlowSender(client)
        part(client, upstream)
        close(upstream)
        endAttempt(client)
        answer(client, .requestTimeout)
    }

    /// True when the next byte has to come from the client.
    private func owesBody(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) -> Bool {
        !client.pointee.requestEnded && client.pointee.input.isEmpty
            && !upstream.pointee.output.isAttached
    }

    mutating func upstreamTimedOut(_ upstream: UpstreamConnection.Pointer) {
        guard let client = upstream.pointee.client else {
            if upstream.pointee.phase == .idle { idleTimedOut(upstream) } else { close(upstream) }
            return
        }
        switch upstream.pointee.phase {
        case .connecting:
            connectFailed(client, upstream, .connectTimeout)
        case .awaitingHead:
            // While the client owes us its body, the backend has nothing to answer.
            if owesBody(client, upstream) {
                arm(upstream, after: timeouts.bodyIdle)
            } else {
                answerIsLate(client, upstream)
            }
        case .relayingBody:
            let isWaitingForClient =
                client.pointee.output.isAttached || !upstream.pointee.input.isEmpty
            // Bytes in either direction move this deadline: both have stopped.
            if isWaitingForClient {
                arm(upstream, after: timeouts.streamIdle)
            } else if owesBody(client, upstream), !upstream.pointee.sendFailed {
                noteCause(client, .clientTimedOut)
                client.pointee.listener.pointee.count { $0.clientTimeouts.add() }
                abandon(client, byReset: true)
            } else {
                noteCause(client, .serverTimedOut)
                truncate(client, upstream)
            }
        case .idle, .mirroring, .dropping:
            close(upstream)
        case .tunnelling:
            break
        }
    }
}
