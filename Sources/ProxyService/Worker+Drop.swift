// SPDX-License-Identifier: Apache-2.0
//
// Answers that nobody gets, because the request goes out again: a short one is read to its end, so
// that its connection can be used again; for a longer one a new connection is cheaper.

internal import HTTPCore
internal import LinuxIO
internal import WireCore

extension Worker {
    /// Bytes of such an answer that are read; a longer rest closes the connection.
    static let dropByteCountMax = 64 * 1_024
    /// How long the rest of it may take.
    static let dropSpan = TimeSpan.seconds(1)

    /// Forgets the answer whose head is in `response`; the connection has no client any more.
    mutating func drop(
        _ upstream: UpstreamConnection.Pointer, headByteCount: Int, mayKeep: Bool
    ) {
        let framing = response.framing
        upstream.pointee.keepsAlive =
            mayKeep && response.keepsAlive && framing != .untilClose
            && upstream.pointee.backend.pointee.mayShareConnections
            && !upstream.pointee.tunnel.isMovable
        guard upstream.pointee.keepsAlive else {
            close(upstream)
            return
        }
        upstream.pointee.phase = .dropping
        upstream.pointee.input.start = upstream.pointee.input.mark &+ headByteCount
        upstream.pointee.body = BodyDecoder(framing)
        upstream.pointee.mustLook = framing == .none
        upstream.pointee.forgottenByteCount = 0
        arm(upstream, after: Self.dropSpan)
        dropAnswer(upstream)
    }

    /// Reads on in an answer that nobody gets.
    mutating func dropAnswer(_ upstream: UpstreamConnection.Pointer) {
        while true {
            guard forgetReceived(upstream) else {
                close(upstream)
                return
            }
            if upstream.pointee.body.isComplete {
                endDrop(upstream)
                return
            }
            guard upstream.pointee.readiness.contains(.readable) else { return }
            if !upstream.pointee.input.isAttached { upstream.pointee.input = buffers.takeSmall() }
            let progress = receive(
                into: &upstream.pointee.input, from: upstream.pointee.socket,
                &upstream.pointee.readiness)
            switch progress {
            case .bytes: break
            case .nothing:
                buffers.giveBack(&upstream.pointee.input)
                return
            case .ended, .failed:
                close(upstream)
                return
            }
        }
    }

    /// Consumes what is here; false when it breaks a rule or is too long.
    private mutating func forgetReceived(_ upstream: UpstreamConnection.Pointer) -> Bool {
        while !upstream.pointee.input.isEmpty, !upstream.pointee.body.isComplete {
            let step = upstream.pointee.body.next(upstream.pointee.input.unread)
            if case .malformed = step.status { return false }
            upstream.pointee.input.start &+= step.consumedByteCount
            upstream.pointee.forgottenByteCount &+= UInt32(
                truncatingIfNeeded: step.consumedByteCount)
            guard upstream.pointee.forgottenByteCount <= UInt32(Self.dropByteCountMax) else {
                return false
            }
            if step.consumedByteCount == 0 { break }
        }
        upstream.pointee.input.mark = upstream.pointee.input.start
        upstream.pointee.input.rewindIfEmpty()
        if upstream.pointee.input.isAttached, upstream.pointee.input.room == 0 {
            upstream.pointee.input.compact()
        }
        return upstream.pointee.body.isComplete || !upstream.pointee.input.isAttached
            || upstream.pointee.input.room > 0
    }

    private mutating func endDrop(_ upstream: UpstreamConnection.Pointer) {
        // RFC 9112 §6.3: bytes behind an answer are nobody's.
        let backend = upstream.pointee.backend
        guard upstream.pointee.input.isEmpty, !backend.pointee.isRetired else {
            close(upstream)
            return
        }
        park(upstream)
        // Its request has ended long ago: those who were called then found no idle connection.
        noteRoom(in: backend.pointee.pool)
    }
}
