// SPDX-License-Identifier: Apache-2.0
//
// From bytes of a client to a request that is understood: reading heads, refusing what breaks a
// rule, and going on to the next request of the connection.

internal import BalancerCore
internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO
internal import Telemetry
internal import WireCore

extension Worker {
    /// Reads until a head is complete, wrong, or the client has to send more.
    mutating func serveHead(_ client: ClientConnection.Pointer) {
        guard !client.pointee.shadow.isHeld else { return }
        while true {
            if !client.pointee.input.isEmpty {
                let outcome = request.parse(
                    client.pointee.input.message, progress: &client.pointee.headProgress)
                switch outcome {
                case .complete(let headByteCount):
                    // The other node answers it: the response before is acknowledged with it.
                    if isMoving, !client.pointee.shadow.isRequestTold, beginMove(client) { return }
                    let message = client.pointee.input.message
                    let policy = client.pointee.listener.pointee.routes.pointee.policy
                    if let fault = request.applyPathPolicy(policy, in: message) {
                        refuse(client, fault)
                        return
                    }
                    if isShadowed(client), holdsRequest(client, headByteCount: headByteCount) {
                        return
                    }
                    beginExchange(client, headByteCount: headByteCount)
                    return
                case .malformed(let fault):
                    refuse(client, fault)
                    return
                case .needMore:
                    noteHeadBegan(client)
                }
            }
            guard client.pointee.readiness.contains(.readable), receiveHead(client) else { return }
        }
    }

    /// RFC 9112 §9.5 leaves timeouts to us: a head has its whole time from its first byte on, so
    /// that a client cannot keep it open by sending a byte now and then.
    private mutating func noteHeadBegan(_ client: ClientConnection.Pointer) {
        // Bytes of a part of it may be acknowledged, and would be missing at the other node.
        if isShadowed(client) { tellBusy(client) }
        guard !client.pointee.headBegan else { return }
        client.pointee.headBegan = true
        arm(client, after: timeouts.requestHead)
    }

    /// Reads head bytes; false when there are none or the client is gone.
    private mutating func receiveHead(_ client: ClientConnection.Pointer) -> Bool {
        if !client.pointee.input.isAttached {
            guard !buffers.isOverLimit else {
                shedUnread(client)
                return false
            }
            client.pointee.input = buffers.takeSmall()
        } else if client.pointee.input.room == 0 {
            client.pointee.input.compact()
            if client.pointee.input.room == 0 { buffers.enlarge(&client.pointee.input) }
        }
        let isFirst = client.pointee.input.isEmpty
        let progress = receive(
            into: &client.pointee.input, from: client.pointee.socket,
            &client.pointee.readiness)
        switch progress {
        case .bytes(let count):
            if isFirst { noteFirstByte(client) }
            client.pointee.shadow.noteReceived(count)
            client.pointee.listener.pointee.count { $0.bytesReceived.add(UInt64(count)) }
            return true
        case .nothing:
            if client.pointee.input.isEmpty { buffers.giveBack(&client.pointee.input) }
            return false
        case .ended, .failed:
            noteHeadAbandoned(client, .clientAborted)
            close(client)
            return false
        }
    }

    /// Starts on the request whose head was just parsed.
    private mutating func beginExchange(_ client: ClientConnection.Pointer, headByteCount: Int) {
        client.pointee.headProgress = HeadProgress()
        client.pointee.input.start = client.pointee.input.mark &+ headByteCount
        client.pointee.method = request.method
        client.pointee.minorVersion = request.minorVersion
        // A listener that was removed lets its clients go, one response each; so does a node that
        // is about to hand over.
        let isLeaving =
            endsWithAnswer(client) || client.pointee.listener.pointee.socket == nil
        client.pointee.wantsMore = request.keepsAlive
        client.pointee.keepsAlive = request.keepsAlive && !isLeaving && !isLastRequest(client)
        client.pointee.body = BodyDecoder(request.framing, chunkedByteCountMax: bodyByteCountMax)
        client.pointee.isBodyChunked = request.framing == .chunked
        client.pointee.requestEnded = false
        client.pointee.isRequestKept = true
        client.pointee.headByteCount = UInt32(truncatingIfNeeded: headByteCount)
        client.pointee.progress = AttemptProgress()
        client.pointee.pace = ClientPace()
        client.pointee.attempted = AttemptedBackends()
        client.pointee.failure = .serviceUnavailable
        client.pointee.listener.pointee.count { $0.requests.add() }
        noteRequestBegan(client)
        follow(client)
    }

    /// The connection is ready for its next request, or closes.
    mutating func nextRequest(_ client: ClientConnection.Pointer) {
        endRecord(client)
        forgetTrailers(client)
        let mayGoOn = client.pointee.keepsAlive && client.pointee.requestEnded
        guard mayGoOn, !isDraining, !client.pointee.readiness.contains(.broken) else {
            let mayReceiveMore =
                !client.pointee.requestEnded || isDraining || client.pointee.wantsMore
            closeGracefully(client, mayReceiveMore: mayReceiveMore)
            return
        }
        // Its response promised to go on before the farewell began; a request on its way is served.
        if isSayingFarewell, client.pointee.input.isEmpty,
            SocketTransfer.isQuiet(client.pointee.socket)
        {
            closeGracefully(client, mayReceiveMore: true)
            return
        }
        client.pointee.phase = .readingHead
        noteIdle(client)
        noteShadowIdle(client)
        client.pointee.headBegan = false
        client.pointee.input.mark = client.pointee.input.start
        let hasBytes = !client.pointee.input.isEmpty
        if !hasBytes { buffers.giveBack(&client.pointee.input) }
        arm(client, after: idleSpan(of: client))
        // Pipelined requests take turns with other connections (RFC 9112 §9.3.2).
        if hasBytes || client.pointee.readiness.contains(.readable) { enqueue(client) }
    }

    // MARK: Refusing

    /// Counts a request that breaks a rule.
    func noteRequestFault(_ fault: MessageFault) {
        count { $0.requestFaults.add(fault) }
        if fault == .bodyTooLarge { count { $0.limits.bodies.add() } }
    }

    /// Refuses a request that breaks a rule; its next bytes are no request (RFC 9112 §11.2).
    mutating func refuse(_ client: ClientConnection.Pointer, _ fault: MessageFault) {
        noteRequestFault(fault)
        if let suppressed = faultLog.admit(now: now) {
            setup.logger.info(
                "request refused",
                [
                    "reason": "\(fault.token)",
                    "client": client.pointee.addressText.description,
                    "listener": client.pointee.listener.pointee.identity.name,
                    "suppressed": "\(suppressed)",
                ])
        }
        if client.pointee.phase == .readingHead {
            client.pointee.listener.pointee.count { $0.requests.add() }
            client.pointee.method = .get
            client.pointee.minorVersion = 1
            client.pointee.body = BodyDecoder(.none)
        }
        client.pointee.keepsAlive = false
        answer(client, LocalResponse(fault))
    }
}
