// SPDX-License-Identifier: Apache-2.0
//
// The answers that we give ourselves: composed of parts, sent in one piece, and what becomes of the
// connection after them. The request may have a body that nobody took: a short one is thrown away
// so that the connection lives, after a long one it closes.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Bytes of a request body that are thrown away after an answer of our own; a longer rest
    /// closes the connection.
    static let discardByteCountMax = 64 * 1_024
    /// How long the rest of such a body may take.
    static let discardSpan = TimeSpan.seconds(2)

    /// Answers a failure; the client must have no upstream connection any more.
    mutating func answer(_ client: ClientConnection.Pointer, _ response: LocalResponse) {
        answer(client, composed(response, client), mayDiscard: false)
    }

    /// An answer that says what the literal says, or what the listener's page for it says.
    func composed(
        _ response: LocalResponse, _ client: ClientConnection.Pointer
    ) -> ComposedAnswer {
        var answer = ComposedAnswer(response)
        if let page = table(of: client).pointee.errorPage(for: response.rawValue) {
            answer.contentType = page.contentType
            answer.body = page.body
        }
        answer.edits = responseEdits(of: client)
        return answer
    }

    /// The table that the client's request follows, or the one in force.
    @inline(__always)
    func table(of client: ClientConnection.Pointer) -> RoutingTable.Pointer {
        client.pointee.route?.pointee.table ?? client.pointee.listener.pointee.routes
    }

    /// What is edited in responses to the client's request.
    @inline(__always)
    func responseEdits(of client: ClientConnection.Pointer) -> HeadEditList {
        client.pointee.route?.pointee.responseEdits
            ?? client.pointee.listener.pointee.routes.pointee.responseEdits
    }

    /// Answers without a backend; the client must have no upstream connection any more.
    ///
    /// - Parameters:
    ///   - client: gets the answer.
    ///   - answer: without date, version and persistence, which are added here. Its buffers may lie
    ///     in `chunkScratch`, not in `headScratch`.
    ///   - mayDiscard: the rest of the request's body is on its way, or not long in coming. False
    ///     for one that waits for 100 (Continue), and may never come (RFC 9110 §10.1.1).
    mutating func answer(
        _ client: ClientConnection.Pointer, _ answer: consuming ComposedAnswer, mayDiscard: Bool
    ) {
        assert(client.pointee.upstream == nil)
        let isBodyTaken = client.pointee.body.isComplete
        client.pointee.keepsAlive =
            client.pointee.keepsAlive && !endsWithAnswer(client)
            && (isBodyTaken || mayDiscard && isWorthDiscarding(client))
        answer.keepsAlive = client.pointee.keepsAlive
        answer.clientMinorVersion = client.pointee.minorVersion
        answer.date = dateText.bytes(now: now)
        let status = answer.status
        let bodyByteCount = answer.bodyByteCount(answering: client.pointee.method)
        client.pointee.listener.pointee.count { $0.statuses.add(status: status) }
        guard let count = answer.write(answering: client.pointee.method, into: headScratch) else {
            preconditionFailure("an answer longer than the scratch buffer")
        }
        noteAnswer(client, status: status, headByteCount: count &- bodyByteCount)
        // What the answer was made of may go with the table.
        releasePool(client)
        if isBodyTaken { client.pointee.requestEnded = true }
        guard sendAnswer(count, client) else {
            close(client)
            return
        }
        guard client.pointee.keepsAlive else {
            closeGracefully(client, mayReceiveMore: true)
            return
        }
        guard isBodyTaken else {
            client.pointee.phase = .discarding
            client.pointee.lingeredByteCount = 0
            arm(client, after: Self.discardSpan)
            discardBody(client)
            return
        }
        finishAnswer(client)
    }

    /// Sends what is in the scratch buffer behind what waits; false when the client is gone.
    private mutating func sendAnswer(_ count: Int, _ client: ClientConnection.Pointer) -> Bool {
        let isHeld =
            owesEnd(client)
            ? holdsEnd(client, rest: count) : holdsEarlyEnd(client, rest: count)
        if isHeld {
            keep(headScratch[..<count], in: &client.pointee.output)
            return true
        }
        var sent = 0
        if !client.pointee.output.isAttached, let base = headScratch.baseAddress {
            let outcome = SocketTransfer.send(client.pointee.socket, base, count: count)
            guard outcome.byteCount > 0 || outcome.wouldBlock else { return false }
            sent = max(0, outcome.byteCount)
            client.pointee.shadow.noteSent(sent)
            noteSent(client, sent)
            client.pointee.listener.pointee.count { $0.bytesSent.add(UInt64(sent)) }
        }
        if sent < count {
            client.pointee.readiness.remove(.writable)
            keep(headScratch[sent..<count], in: &client.pointee.output)
        }
        return true
    }

    /// The answer is on its way and the request was read: the next one may come when all is sent.
    private mutating func finishAnswer(_ client: ClientConnection.Pointer) {
        guard !client.pointee.output.isAttached else {
            client.pointee.phase = .finishing
            client.pointee.mustLinger = false
            arm(client, after: timeouts.bodyIdle)
            // The socket may have become writable while a body was thrown away.
            finishWriting(client)
            return
        }
        nextRequest(client)
    }

    // MARK: Bodies that nobody takes

    /// True when throwing the rest of a body away is cheaper than a new connection.
    private func isWorthDiscarding(_ client: ClientConnection.Pointer) -> Bool {
        // A chunked body may turn out to be longer: the connection closes then.
        guard let remaining = client.pointee.body.remainingByteCount else { return true }
        return remaining <= UInt64(Self.discardByteCountMax)
    }

    /// Reads the rest of a body and forgets it, while the answer goes out.
    mutating func discardBody(_ client: ClientConnection.Pointer) {
        if case .failed = flush(client) {
            close(client)
            return
        }
        while true {
            guard !client.pointee.readiness.contains(.broken), takeAndForget(client) else {
                client.pointee.keepsAlive = false
                closeGracefully(client, mayReceiveMore: true)
                return
            }
            if client.pointee.body.isComplete {
                client.pointee.requestEnded = true
                finishAnswer(client)
                return
            }
            guard client.pointee.readiness.contains(.readable) else { return }
            if !client.pointee.input.isAttached { client.pointee.input = buffers.takeSmall() }
            let progress = receive(
                into: &client.pointee.input, from: client.pointee.socket,
                &client.pointee.readiness)
            switch progress {
            case .bytes(let count):
                client.pointee.shadow.noteReceived(count)
                noteReceived(client, count)
                client.pointee.listener.pointee.count { $0.bytesReceived.add(UInt64(count)) }
            case .nothing:
                if client.pointee.input.isEmpty { buffers.giveBack(&client.pointee.input) }
                return
            case .ended, .failed:
                close(client)
                return
            }
        }
    }

    /// Consumes what was received; false when the body breaks a rule or is too long.
    private func takeAndForget(_ client: ClientConnection.Pointer) -> Bool {
        while !client.pointee.input.isEmpty, !client.pointee.body.isComplete {
            let step = client.pointee.body.next(client.pointee.input.unread)
            if case .malformed = step.status { return false }
            client.pointee.input.start &+= step.consumedByteCount
            client.pointee.lingeredByteCount &+= UInt32(truncatingIfNeeded: step.consumedByteCount)
            guard client.pointee.lingeredByteCount <= UInt32(Self.discardByteCountMax) else {
                return false
            }
            if step.consumedByteCount == 0 { break }
        }
        client.pointee.input.mark = client.pointee.input.start
        client.pointee.input.rewindIfEmpty()
        if !client.pointee.input.isEmpty, client.pointee.input.room == 0 {
            client.pointee.input.compact()
        }
        return client.pointee.input.isEmpty || client.pointee.input.room > 0
            || client.pointee.body.isComplete
    }
}
