// SPDX-License-Identifier: Apache-2.0
//
// Telling the other node about client connections. Two rules make it worth something after a crash:
// a client never holds a whole answer whose end was not told before, and no backend hears of a
// request that must not be repeated before that was told. Both wait for the end of the turn, where
// everything leaves in one send; "told" is what the kernel has.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import ReplicationCore
internal import Telemetry
internal import WireCore

extension Worker {
    /// True when the other node knows this connection.
    @inline(__always)
    func isShadowed(_ client: ClientConnection.Pointer) -> Bool {
        client.pointee.shadow.channel == shadows.channel
    }

    func shadowIdentifier(of client: ClientConnection.Pointer) -> UInt32 {
        UInt32(truncatingIfNeeded: clients.slot(of: client))
    }

    /// Lets `body` write to the channel; a buffer that is full is sent first, and a channel that
    /// takes nothing is given up.
    ///
    /// What is not urgent leaves with the next frame, after ``ShadowDesk/deferralSpan`` at the
    /// latest.
    mutating func tell(
        isUrgent: Bool = true, _ body: (inout ShadowChannelWriter) -> Bool
    ) {
        guard let writer = shadows.writer else { return }
        shadows.noteTold(isUrgent: isUrgent, now: now)
        if !body(&writer.pointee) {
            guard case .written = writer.pointee.commit(now: now), body(&writer.pointee) else {
                loseShadows(.congested)
                return
            }
        }
    }

    /// Notes what the other node is about to be told.
    @inline(__always)
    mutating func setStanding(_ client: ClientConnection.Pointer, _ standing: ShadowStanding) {
        if isShadowed(client) {
            shadows.noteStanding(from: client.pointee.shadow.standing, to: standing)
        }
        client.pointee.shadow.standing = standing
    }

    // MARK: Requests

    /// Tells of the request whose head is in `request`; true when it has to wait until that was
    /// written, and is looked at again then.
    mutating func holdsRequest(
        _ client: ClientConnection.Pointer, headByteCount: Int
    ) -> Bool {
        if client.pointee.shadow.isRequestTold {
            client.pointee.shadow.isRequestTold = false
            return false
        }
        let milliseconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000)
        client.pointee.shadow.toldMilliseconds = milliseconds
        // RFC 9110 §9.2.2. A request that does no harm twice need not wait: if nobody hears that it
        // was asked, the client asks again.
        let hasBody = !BodyDecoder(request.framing).isComplete
        guard request.method.isIdempotent, !hasBody, !request.requestsUpgrade,
            !request.expectsContinue
        else {
            tellBusy(client)
            guard isShadowed(client) else { return false }
            client.pointee.headProgress = HeadProgress()
            client.pointee.shadow.isRequestTold = true
            let token = hold(client)
            shadows.heldRequests.append(token)
            return true
        }
        let isUrgent = !isUnacknowledged(client, headByteCount: headByteCount)
        guard client.pointee.shadow.level == .requests else {
            tellBusy(client, isUrgent: isUrgent)
            return false
        }
        guard headByteCount <= ShadowDesk.headByteCountMax else {
            count { $0.shadows.longHeads.add() }
            tellBusy(client)
            return false
        }
        tellAsked(client, headByteCount: headByteCount, isUrgent: isUrgent)
        return false
    }

    /// The client's kernel still has the request and repeats it to whoever takes over: it came in
    /// one segment, alone, which is acknowledged with the answer or late.
    private func isUnacknowledged(
        _ client: ClientConnection.Pointer, headByteCount: Int
    ) -> Bool {
        client.pointee.input.message.count == headByteCount
            && headByteCount <= ShadowDesk.deferredHeadByteCountMax
    }

    private mutating func tellAsked(
        _ client: ClientConnection.Pointer, headByteCount: Int, isUrgent: Bool
    ) {
        let id = shadowIdentifier(of: client)
        let message = client.pointee.input.message
        let head = UnsafeRawBufferPointer(rebasing: message[..<headByteCount])
        let sequence = client.pointee.shadow.receiveSequence(
            unread: message.count &- headByteCount)
        setStanding(client, .asked)
        tell(isUrgent: isUrgent) {
            $0.writeAsked(id, receiveSequence: sequence, head: head)
        }
    }

    /// Tells that something is in flight that only the client can repeat.
    mutating func tellBusy(_ client: ClientConnection.Pointer, isUrgent: Bool = true) {
        let standing = client.pointee.shadow.standing
        guard standing != .busy, standing != .passing else { return }
        setStanding(client, .busy)
        let id = shadowIdentifier(of: client)
        tell(isUrgent: isUrgent) { $0.write(.busy, id) }
    }

    // MARK: Answers

    /// True when the end of the answer must not be written yet: all of it is in `output`, except
    /// for the last `rest` bytes.
    ///
    /// Ends that were told, and those of connections that end with them, pass.
    mutating func holdsEnd(_ client: ClientConnection.Pointer, rest: Int) -> Bool {
        guard isShadowed(client), client.pointee.keepsAlive, client.pointee.requestEnded else {
            return false
        }
        if client.pointee.shadow.isHeld { return true }
        guard client.pointee.shadow.standing != .idle else { return false }
        tellAnswered(client, waitingByteCount: client.pointee.output.unreadCount &+ rest)
        guard isShadowed(client) else { return false }
        let token = hold(client)
        shadows.heldAnswers.append(token)
        return true
    }

    /// True when an answer must not be written yet that comes before the end of its request, where
    /// that is known: the rest of the body is thrown away.
    ///
    /// A client that has sent all of it by the time of a takeover goes on; any other is reset.
    mutating func holdsEarlyEnd(_ client: ClientConnection.Pointer, rest: Int) -> Bool {
        guard isShadowed(client), client.pointee.keepsAlive, !client.pointee.requestEnded,
            !client.pointee.shadow.isHeld, client.pointee.shadow.standing != .idle,
            let bodyByteCount = client.pointee.body.remainingByteCount
        else { return false }
        tellAnswered(
            client, waitingByteCount: client.pointee.output.unreadCount &+ rest,
            bodyByteCount: UInt32(truncatingIfNeeded: bodyByteCount))
        guard isShadowed(client) else { return false }
        let token = hold(client)
        shadows.heldAnswers.append(token)
        return true
    }

    /// True when the answer may end with the next step, and that was not told.
    @inline(__always)
    func owesEnd(_ client: ClientConnection.Pointer) -> Bool {
        isShadowed(client) && client.pointee.shadow.standing != .idle
            && client.pointee.keepsAlive && client.pointee.requestEnded
    }

    /// Tells where both streams are when the answer, of which so many bytes wait, has been given,
    /// and so many bytes of the request's body have come and were thrown away.
    private mutating func tellAnswered(
        _ client: ClientConnection.Pointer, waitingByteCount: Int, bodyByteCount: UInt32 = 0
    ) {
        let id = shadowIdentifier(of: client)
        let receive =
            client.pointee.shadow.receiveSequence(unread: client.pointee.input.unreadCount)
            &+ bodyByteCount
        let send =
            client.pointee.shadow.sendSequence &+ UInt32(truncatingIfNeeded: waitingByteCount)
        setStanding(client, .idle)
        tell { $0.writeAnswered(id, receiveSequence: receive, sendSequence: send) }
        let milliseconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000)
        let elapsed = milliseconds &- client.pointee.shadow.toldMilliseconds
        if elapsed >= ShadowDesk.acknowledgedMilliseconds {
            ConnectionRepair.delayAcknowledgements(client.pointee.socket)
        }
    }

    /// A connection is between requests: nothing is in flight, whatever was told before.
    @inline(__always)
    mutating func noteShadowIdle(_ client: ClientConnection.Pointer) {
        if client.pointee.shadow.isOwed { openOwedShadow(client) }
        guard isShadowed(client), client.pointee.shadow.standing != .idle else { return }
        tellAnswered(client, waitingByteCount: 0)
    }

    /// A snapshot left it out: an acknowledgement that came while it was looked at would have made
    /// the kernel take what it had not sent yet for sent.
    private mutating func openOwedShadow(_ client: ClientConnection.Pointer) {
        guard SocketTransfer.unsentByteCount(client.pointee.socket) == 0 else { return }
        client.pointee.shadow.isOwed = false
        guard !isShadowed(client) else { return }
        openShadow(client, isBusy: !client.pointee.input.isEmpty)
    }

    // MARK: Connections

    /// Tells of a connection whose numbers the kernel knows.
    mutating func openShadow(_ client: ClientConnection.Pointer, isBusy: Bool = false) {
        guard mayOpenShadow(client) else { return }
        do throws(Errno) {
            let state = try ConnectionRepair.capture(client.pointee.socket)
            ConnectionRepair.delayAcknowledgements(client.pointee.socket)
            client.pointee.shadow.settle(state)
            tellOpened(client, state, isBusy: isBusy)
        } catch {
            noteUncaptured(client, error)
        }
    }

    /// A connection cannot be carried over; one that its client is leaving needs no word.
    private mutating func noteUncaptured(_ client: ClientConnection.Pointer, _ error: Errno) {
        if error == .notPermitted {
            count { $0.shadows.notPermitted.add() }
            shadows.isForbidden = true
        } else {
            count { $0.shadows.notCaptured.add() }
            guard !client.pointee.readiness.contains(.peerEnded) else { return }
        }
        guard let suppressed = shadows.log.admit(now: now) else { return }
        setup.logger.warning(
            "connections cannot be carried over",
            [
                "listener": client.pointee.listener.pointee.identity.name,
                "reason": "\(error)", "suppressed": "\(suppressed)",
            ])
    }

    /// Tells of a connection whose numbers are known: it was made with them.
    ///
    /// - Parameters:
    ///   - client: has sent and received nothing here; what it holds in `input` lies before the
    ///     receive sequence.
    ///   - state: what its socket was made with.
    mutating func beginShadow(
        _ client: ClientConnection.Pointer, known state: borrowing TransportState
    ) {
        client.pointee.shadow.settle(state)
        // The kernel knows the same numbers, and a clock that went on since: by much less than the
        // other node adds to be sure.
        guard mayOpenShadow(client) else { return }
        tellOpened(client, state, isBusy: !client.pointee.input.isEmpty)
    }

    private func mayOpenShadow(_ client: ClientConnection.Pointer) -> Bool {
        shadows.isOpen && client.pointee.listener.pointee.shadowLevel != .reset
            && client.pointee.journalKey != nil && !shadows.isForbidden
    }

    private mutating func tellOpened(
        _ client: ClientConnection.Pointer, _ state: TransportState, isBusy: Bool
    ) {
        guard let key = client.pointee.journalKey else { return }
        if shadows.newBeginning != nil { beginSnapshot() }
        var transport = state
        transport.sendSequence = client.pointee.shadow.sendSequence
        transport.receiveSequence = client.pointee.shadow.receiveSequence(
            unread: client.pointee.input.unreadCount)
        let level = client.pointee.listener.pointee.shadowLevel
        let named = client.pointee.proxied == nil ? nil : client.pointee.source
        let record = ShadowRecord.opened(
            key: key, level: level, transport: transport, client: named)
        client.pointee.shadow.level = level
        client.pointee.shadow.isRequestTold = false
        client.pointee.shadow.standing = .idle
        client.pointee.shadow.channel = shadows.channel
        if isBusy { setStanding(client, .busy) }
        shadows.openCount &+= 1
        count { $0.shadows.open.add() }
        let id = shadowIdentifier(of: client)
        tell { $0.write(record, of: id, thenBusy: isBusy) }
    }

    /// A connection is no more.
    @inline(__always)
    mutating func closeShadow(_ client: ClientConnection.Pointer) {
        guard isShadowed(client) else { return }
        tellClosed(client)
    }

    private mutating func tellClosed(_ client: ClientConnection.Pointer) {
        forgetShadow(client)
        let id = shadowIdentifier(of: client)
        // Who goes on with a connection that is gone learns that from its client.
        tell(isUrgent: false) { $0.write(.closed, id) }
    }

    mutating func forgetShadow(_ client: ClientConnection.Pointer) {
        setStanding(client, .idle)
        client.pointee.shadow.channel = 0
        shadows.openCount &-= 1
        count { $0.shadows.open.subtract() }
    }

    /// Gives a connection to the other node, which must know it; it is to be ended without a word
    /// once ``shadowCommit(of:)`` says that this was written.
    mutating func tellMoved(
        _ client: ClientConnection.Pointer, _ state: TransportState,
        unread: UnsafeRawBufferPointer
    ) {
        let id = shadowIdentifier(of: client)
        let record = ShadowRecord.moved(transport: state, unread: Array(unread))
        client.pointee.shadow.movedLink = shadows.link
        forgetShadow(client)
        tell { $0.write(record, of: id) }
    }

    /// Whether it was written that a connection is the other node's.
    func shadowCommit(of client: ClientConnection.Pointer) -> ShadowCommit {
        guard let writer = shadows.writer,
            client.pointee.shadow.movedLink == shadows.link
        else { return .lost }
        return writer.pointee.isWritten ? .written : .waiting
    }

    /// True when the other node knows this connection and hears at once what is told.
    func mayMove(_ client: ClientConnection.Pointer) -> Bool {
        guard let writer = shadows.writer, isShadowed(client) else { return false }
        return writer.pointee.waitBegan == nil && !client.pointee.shadow.isHeld
    }

    // MARK: Waiting for the end of the turn

    private mutating func hold(_ client: ClientConnection.Pointer) -> UInt64 {
        client.pointee.shadow.isHeld = true
        if shadows.heldCount == 0 { shadows.heldSince = now }
        return EventToken(
            .client, slot: clients.slot(of: client), generation: clients.generation(of: client)
        ).rawValue
    }
}
