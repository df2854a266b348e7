// SPDX-License-Identifier: Apache-2.0
//
// A response on its way to the client.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Reads until the final head of the response is complete, wrong, or more has to come.
    mutating func readResponseHead(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        var budget = Self.bytesPerTurnMax
        while upstream.pointee.readiness.contains(.readable) {
            guard budget > 0 else {
                enqueue(upstream)
                return
            }
            if !upstream.pointee.input.isAttached {
                upstream.pointee.input = buffers.takeSmall()
            } else if upstream.pointee.input.room == 0 {
                upstream.pointee.input.compact()
                if upstream.pointee.input.room == 0 { buffers.enlarge(&upstream.pointee.input) }
            }
            let progress = receive(
                into: &upstream.pointee.input, from: upstream.pointee.socket,
                &upstream.pointee.readiness)
            switch progress {
            case .bytes(let count):
                budget &-= count
                upstream.pointee.responseBegan = true
                guard parseResponseHead(upstream, client) else { return }
            case .nothing:
                if upstream.pointee.input.isEmpty { buffers.giveBack(&upstream.pointee.input) }
                return
            case .ended, .failed:
                var hasEnded = false
                if case .ended = progress { hasEnded = true }
                upstreamLost(client, upstream, hasEnded: hasEnded)
                return
            }
        }
    }

    /// Looks at the bytes of a response so far; true when more have to come.
    private mutating func parseResponseHead(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) -> Bool {
        while !upstream.pointee.input.isEmpty {
            let outcome = response.parse(
                upstream.pointee.input.message, answering: client.pointee.method,
                progress: &upstream.pointee.headProgress)
            switch outcome {
            case .needMore:
                return true
            case .malformed(let fault):
                responseIsMalformed(client, upstream, fault)
                return false
            case .complete(let headByteCount):
                upstream.pointee.headProgress = HeadProgress()
                guard !response.switchesProtocols else {
                    switchProtocols(upstream, client, headByteCount: headByteCount)
                    return false
                }
                guard response.isInterim else {
                    if client.pointee.hedge != nil,
                        !settleHedge(upstream, client, headByteCount: headByteCount)
                    {
                        return false
                    }
                    if response.status >= 500,
                        retriesInstead(upstream, client, headByteCount: headByteCount)
                    {
                        return false
                    }
                    beginResponse(upstream, client, headByteCount: headByteCount)
                    return false
                }
                guard relayInterim(upstream, client, headByteCount: headByteCount) else {
                    return false
                }
            }
        }
        upstream.pointee.input.rewindIfEmpty()
        return true
    }

    /// RFC 9110 §15.2: 1xx responses are passed on, but not to clients of HTTP/1.0; one that the
    /// client is too slow to take is dropped, it is only a hint.
    private mutating func relayInterim(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        headByteCount: Int
    ) -> Bool {
        let rewrite = ResponseRewrite(
            clientMinorVersion: client.pointee.minorVersion, keepsAlive: true)
        client.pointee.pace.awaitsContinue = false
        // Nobody is told twice to go on.
        var isRepeated = response.status == 100 && client.pointee.pace.wasContinued
        // Of two attempts nobody knows yet whose hints are true.
        if client.pointee.hedge != nil { isRepeated = true }
        if response.status == 100 { client.pointee.pace.wasContinued = true }
        if client.pointee.minorVersion > 0, !isRepeated, !client.pointee.output.isAttached,
            let count = response.writeClientHead(
                from: upstream.pointee.input.message, rewrite: rewrite, into: headScratch)
        {
            client.pointee.progress.sawInterim = true
            sentByteCount = 0
            let progress = relayHead(
                count, to: client.pointee.socket, output: &client.pointee.output,
                readiness: &client.pointee.readiness)
            client.pointee.shadow.noteSent(sentByteCount)
            if case .failed = progress {
                clientIsGone(client)
                return false
            }
        }
        upstream.pointee.input.start = upstream.pointee.input.mark &+ headByteCount
        upstream.pointee.input.mark = upstream.pointee.input.start
        return true
    }

    /// The final head is complete: it goes to the client with as much body as is here.
    private mutating func beginResponse(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        headByteCount: Int
    ) {
        let message = upstream.pointee.input.message
        upstream.pointee.input.start = upstream.pointee.input.mark &+ headByteCount
        let framing = response.framing
        if framing == .chunked, let fault = faultAtOnce(in: upstream.pointee.input) {
            responseIsMalformed(client, upstream, fault)
            return
        }
        bookResponse(upstream, client)
        learnHedgeDelay(client)
        client.pointee.isRequestKept = false
        if client.pointee.requestEnded, client.pointee.input.isEmpty {
            buffers.giveBack(&client.pointee.input)
        }
        let clientFraming = response.clientFraming(
            clientMinorVersion: client.pointee.minorVersion)
        // An answer before the end of the request: whether the rest comes is anyone's guess.
        if !client.pointee.requestEnded || endsWithAnswer(client) || clientFraming == .untilClose {
            client.pointee.keepsAlive = false
        }
        upstream.pointee.body = BodyDecoder(framing)
        upstream.pointee.isBodyChunked = framing == .chunked
        upstream.pointee.framesChunks = clientFraming == .chunked
        upstream.pointee.keepsAlive = response.keepsAlive && framing != .untilClose
        upstream.pointee.mustLook = framing == .none
        var rewrite = ResponseRewrite(
            clientMinorVersion: client.pointee.minorVersion,
            keepsAlive: client.pointee.keepsAlive)
        rewrite.date = dateText.bytes(now: now)
        rewrite.edits = responseEdits(of: client)
        noteSticky(client, upstream, &rewrite)
        let forwardsTrailers =
            framing == .chunked && clientFraming == .chunked && client.pointee.acceptsTrailers
            && !response.connectionNamesFields
        upstream.pointee.trailers = TrailerHold(isWanted: forwardsTrailers)
        if forwardsTrailers { rewrite.forwardsTrailers = true }
        guard
            let headCount = response.writeClientHead(
                from: message, rewrite: rewrite, into: headScratch)
        else {
            part(client, upstream)
            close(upstream)
            endAttempt(client)
            answer(client, .internalServerError)
            return
        }
        noteResponseHead(client, status: response.status, headByteCount: headCount)
        upstream.pointee.phase = .relayingBody
        if !upstream.pointee.body.isComplete { arm(upstream, after: timeouts.streamIdle) }
        guard !client.pointee.output.isAttached else {
            // An interim response still waits: the final one goes behind it.
            keep(headScratch[..<headCount], in: &client.pointee.output)
            pumpResponse(upstream, client)
            return
        }
        if relayResponse(headCount: headCount, upstream, client) {
            pumpResponse(upstream, client)
        }
    }

    /// What is wrong with the bytes that came with the head of a chunked body; they are looked at
    /// before the head is sent, as long as there can be another answer.
    private func faultAtOnce(in input: borrowing ByteBuffer) -> MessageFault? {
        var body = BodyDecoder(.chunked)
        var rest = input.unread
        while !rest.isEmpty, !body.isComplete {
            let step = body.next(rest)
            if case .malformed(let fault) = step.status { return fault }
            guard step.consumedByteCount > 0 else { return nil }
            rest = UnsafeRawBufferPointer(rebasing: rest[step.consumedByteCount...])
        }
        return nil
    }

    /// One step of the response; true when the client takes more.
    private mutating func relayResponse(
        headCount: Int, _ upstream: UpstreamConnection.Pointer,
        _ client: ClientConnection.Pointer
    ) -> Bool {
        sentByteCount = 0
        let progress = relay(
            headCount: headCount, from: &upstream.pointee.input, body: &upstream.pointee.body,
            trailers: &upstream.pointee.trailers, isChunked: upstream.pointee.isBodyChunked,
            framesChunks: upstream.pointee.framesChunks, holdsEnd: owesEnd(client),
            to: client.pointee.socket, output: &client.pointee.output,
            readiness: &client.pointee.readiness)
        client.pointee.shadow.noteSent(sentByteCount)
        let sent = UInt64(sentByteCount)
        client.pointee.listener.pointee.count { $0.bytesSent.add(sent) }
        noteSent(client, sentByteCount)
        switch progress {
        case .moved:
            return true
        case .blocked:
            beginWaiting(client)
            return false
        case .held:
            // What was kept goes out at the end of the turn, and what was left behind it.
            let rest = upstream.pointee.body.remainingByteCount ?? 0
            if !holdsEnd(client, rest: Int(truncatingIfNeeded: rest)) {
                enqueue(client)
            } else if upstream.pointee.body.isComplete {
                finishExchangeEarly(upstream, client)
            }
            return false
        case .failed:
            clientIsGone(client)
        case .malformed(let fault):
            count { $0.responseFaults.add(fault) }
            noteCause(client, .refused)
            truncate(client, upstream)
        }
        return false
    }

    /// Moves the response towards the client until one side has to wait.
    mutating func pumpResponse(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        if upstream.pointee.body.isComplete, owesEnd(client), holdsEnd(client, rest: 0) {
            finishExchangeEarly(upstream, client)
            return
        }
        guard !client.pointee.shadow.isHeld else { return }
        sentByteCount = 0
        let flushed = flush(client, before: upstream)
        if sentByteCount > 0 {
            let sent = UInt64(sentByteCount)
            client.pointee.listener.pointee.count { $0.bytesSent.add(sent) }
            noteSent(client, sentByteCount)
        }
        switch flushed {
        case .done: break
        case .blocked: return
        case .failed:
            clientIsGone(client)
            return
        }
        var budget = Self.bytesPerTurnMax
        while true {
            if upstream.pointee.body.isComplete {
                finishExchange(upstream, client)
                return
            }
            if !upstream.pointee.input.isEmpty {
                guard client.pointee.readiness.contains(.writable) else { return }
                guard relayResponse(headCount: 0, upstream, client) else { return }
                continue
            }
            guard upstream.pointee.readiness.contains(.readable) else {
                buffers.giveBack(&upstream.pointee.input)
                return
            }
            guard budget > 0 else {
                enqueue(upstream)
                return
            }
            guard receiveResponseBody(upstream, client, budget: &budget) else { return }
        }
    }

    /// Reads body bytes of a response; false when there are none or the exchange is over.
    private mutating func receiveResponseBody(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer,
        budget: inout Int
    ) -> Bool {
        upstream.pointee.input.mark = upstream.pointee.input.start
        upstream.pointee.input.rewindIfEmpty()
        let remaining = upstream.pointee.body.remainingByteCount
        // A body of unknown length is long once it filled a small buffer.
        let isLong = remaining.map { $0 > BufferPool.largeWorthByteCount } ?? (budget < 32_768)
        buffers.prepareForBody(&upstream.pointee.input, isLong: isLong)
        let progress = receive(
            into: &upstream.pointee.input, from: upstream.pointee.socket,
            &upstream.pointee.readiness)
        switch progress {
        case .bytes(let count):
            budget &-= count
            arm(upstream, after: timeouts.streamIdle)
            return true
        case .nothing:
            buffers.giveBack(&upstream.pointee.input)
            return false
        case .ended:
            responseEnded(upstream, client)
            return false
        case .failed:
            truncate(client, upstream)
            return false
        }
    }

    /// The backend closed: the end of a body that has no other, or a broken response.
    private mutating func responseEnded(
        _ upstream: UpstreamConnection.Pointer, _ client: ClientConnection.Pointer
    ) {
        guard upstream.pointee.body.inputEnded() else {
            truncate(client, upstream)
            return
        }
        upstream.pointee.keepsAlive = false
        if upstream.pointee.framesChunks {
            let last = ChunkFramer.lastChunk
            let bytes = UnsafeMutableRawBufferPointer(
                mutating: UnsafeRawBufferPointer(
                    start: last.utf8Start, count: last.utf8CodeUnitCount))
            keep(bytes[...], in: &client.pointee.output)
        }
        pumpResponse(upstream, client)
    }

    /// The rest of a response will not come: the client must not take what it has for the whole.
    ///
    /// A body that ends with the connection would look complete after a normal close; others are
    /// seen to be short, and a normal close delivers what was sent of them.
    mutating func truncate(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer
    ) {
        client.pointee.listener.pointee.count { $0.truncatedResponses.add() }
        noteCause(client, .serverAborted)
        judge(client, .truncated)
        let endsWithConnection =
            !upstream.pointee.framesChunks && upstream.pointee.body.remainingByteCount == nil
        guard !endsWithConnection else {
            abandon(client, byReset: true)
            return
        }
        part(client, upstream)
        close(upstream)
        endAttempt(client)
        releasePool(client)
        closeGracefully(client, mayReceiveMore: true)
    }

    /// RFC 9112 §6.3, §11.1: what follows is not worth believing either.
    mutating func responseIsMalformed(
        _ client: ClientConnection.Pointer, _ upstream: UpstreamConnection.Pointer,
        _ fault: MessageFault
    ) {
        count { $0.responseFaults.add(fault) }
        if let suppressed = faultLog.admit(now: now) {
            setup.logger.warning(
                "response refused",
                [
                    "reason": "\(fault.token)",
                    "backend": upstream.pointee.backend.pointee.endpoint.description,
                    "suppressed": "\(suppressed)",
                ])
        }
        noteCause(client, .refused)
        giveUp(client, upstream, .badGateway, .malformed)
    }
}
