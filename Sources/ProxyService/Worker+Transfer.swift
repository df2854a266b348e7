// SPDX-License-Identifier: Apache-2.0
//
// The step that all bytes take: from a buffer, framed as the other side wants it, into a socket;
// what the kernel does not take waits in the output buffer of that side, and nothing more is read
// for it until that is empty. So memory is bounded whatever the body.

internal import ConfigurationCore
internal import HTTPCore
internal import LinuxIO

/// How far a write came.
enum WriteProgress {
    /// Nothing waits.
    case done
    /// The peer has to read first.
    case blocked
    /// The peer is gone.
    case failed
}

/// How far a step from one side to the other came.
enum RelayProgress {
    /// The step is done and the receiving side takes more.
    case moved
    /// The receiving side has to read first.
    case blocked
    /// The step would have been the last one, and was not sent.
    case held
    /// The receiving side is gone.
    case failed
    /// The sending side broke a rule.
    case malformed(MessageFault)
}

/// How a read ended.
enum ReadProgress {
    case bytes(Int)
    case nothing
    case ended
    case failed
}

extension Worker {
    /// Sends a head from `headScratch` that has no body: an interim response, or a second attempt.
    mutating func relayHead(
        _ headCount: Int, to socket: borrowing FileDescriptor, output: inout ByteBuffer,
        readiness: inout Readiness
    ) -> RelayProgress {
        var nothing = ByteBuffer()
        var noBody = BodyDecoder(.none)
        var noTrailers = TrailerHold(isWanted: false)
        return relay(
            headCount: headCount, from: &nothing, body: &noBody, trailers: &noTrailers,
            isChunked: false, framesChunks: false, to: socket, output: &output,
            readiness: &readiness)
    }

    /// Sends a head from the scratch buffer and the body bytes behind it, in one call.
    ///
    /// The output buffer of the receiving side must be empty.
    ///
    /// - Parameters:
    ///   - headCount: bytes of the head in `headScratch`, 0 when it was sent before.
    ///   - input: body bytes as they arrived; those sent are taken out.
    ///   - body: where in the body `input` is.
    ///   - trailers: what follows its last chunk.
    ///   - isChunked: the body arrives in chunks.
    ///   - framesChunks: the body leaves in chunks.
    ///   - holdsEnd: a step that ends the body is not sent: what was framed is put into `output`,
    ///     and a body that needs no framing may stay where it is.
    ///   - socket: the receiving side.
    ///   - output: takes what is framed but was not sent.
    ///   - readiness: of the receiving side.
    /// - Returns: how far that came.
    @inline(__always)
    mutating func relay(
        headCount: Int, from input: inout ByteBuffer, body: inout BodyDecoder,
        trailers: inout TrailerHold, isChunked: Bool, framesChunks: Bool,
        holdsEnd: Bool = false, to socket: borrowing FileDescriptor, output: inout ByteBuffer,
        readiness: inout Readiness
    ) -> RelayProgress {
        guard isChunked || framesChunks else {
            if holdsEnd, holdPlain(headCount: headCount, from: &input, body: &body, &output) {
                return .held
            }
            return relayPlain(
                headCount: headCount, from: &input, body: &body, to: socket, output: &output,
                readiness: &readiness)
        }
        return relayFramed(
            headCount: headCount, from: &input, body: &body, trailers: &trailers,
            framesChunks: framesChunks, holdsEnd: holdsEnd,
            to: socket, output: &output, readiness: &readiness)
    }

    /// Keeps a step that would end the body; false when it would not.
    ///
    /// A small body is copied behind its head; any other stays where it is, and leaves in one send
    /// with its head.
    private mutating func holdPlain(
        headCount: Int, from input: inout ByteBuffer, body: inout BodyDecoder,
        _ output: inout ByteBuffer
    ) -> Bool {
        guard let remaining = body.remainingByteCount, remaining <= UInt64(input.unreadCount)
        else { return false }
        guard headCount > 0 else { return true }
        keep(headScratch[..<headCount], in: &output)
        let bodyCount = Int(truncatingIfNeeded: remaining)
        guard bodyCount > 0, bodyCount <= min(Self.joinedBodyMax, output.room) else { return true }
        let bytes = UnsafeRawBufferPointer(rebasing: input.unread[..<bodyCount])
        output.append(bytes)
        _ = body.next(bytes)
        input.start &+= bodyCount
        return true
    }

    /// Body bytes go out as they came in, from where they are.
    private mutating func relayPlain(
        headCount: Int, from input: inout ByteBuffer, body: inout BodyDecoder,
        to socket: borrowing FileDescriptor, output: inout ByteBuffer,
        readiness: inout Readiness
    ) -> RelayProgress {
        let unread = input.unread
        var bodyCount = unread.count
        if let remaining = body.remainingByteCount {
            bodyCount = Int(min(UInt64(bodyCount), remaining))
        }
        let bodyBytes = UnsafeRawBufferPointer(rebasing: unread[..<bodyCount])
        let outcome = sendTogether(headCount: headCount, bodyBytes, to: socket)
        let wanted = headCount &+ bodyCount
        guard outcome.byteCount > 0 || outcome.wouldBlock || wanted == 0 else { return .failed }
        let sent = max(0, outcome.byteCount)
        sentByteCount &+= sent
        if sent < headCount {
            keep(headScratch[sent..<headCount], in: &output)
        } else if sent > headCount {
            let bodySent = sent &- headCount
            _ = body.next(UnsafeRawBufferPointer(rebasing: unread[..<bodySent]))
            input.start &+= bodySent
        }
        guard sent == wanted else {
            readiness.remove(.writable)
            return .blocked
        }
        return .moved
    }

    @inline(__always)
    private func sendTogether(
        headCount: Int, _ bodyBytes: UnsafeRawBufferPointer, to socket: borrowing FileDescriptor
    ) -> TransferOutcome {
        guard headCount > 0 else { return Self.send(bodyBytes, to: socket) }
        let head = UnsafeRawBufferPointer(rebasing: headScratch[..<headCount])
        guard !bodyBytes.isEmpty else { return Self.send(head, to: socket) }
        guard bodyBytes.count <= Self.joinedBodyMax,
            headCount &+ bodyBytes.count <= headScratch.count, let base = headScratch.baseAddress,
            let source = bodyBytes.baseAddress
        else { return SocketTransfer.send(socket, head, then: bodyBytes) }
        (base + headCount).copyMemory(from: source, byteCount: bodyBytes.count)
        return SocketTransfer.send(socket, base, count: headCount &+ bodyBytes.count)
    }

    @inline(__always)
    private static func send(
        _ bytes: UnsafeRawBufferPointer, to socket: borrowing FileDescriptor
    ) -> TransferOutcome {
        guard let base = bytes.baseAddress else { preconditionFailure("sending from nowhere") }
        return SocketTransfer.send(socket, base, count: bytes.count)
    }

    /// Body bytes are taken out of their chunks, or put into ours, or both.
    private mutating func relayFramed(
        headCount: Int, from input: inout ByteBuffer, body: inout BodyDecoder,
        trailers: inout TrailerHold, framesChunks: Bool, holdsEnd: Bool,
        to socket: borrowing FileDescriptor, output: inout ByteBuffer,
        readiness: inout Readiness
    ) -> RelayProgress {
        let sizeLineMax = ChunkFramer.sizeLineByteCountMax
        var end = sizeLineMax
        // What does not go must fit into a small buffer when memory is short.
        let room = BufferPool.smallByteCount &- headCount &- 3 &* sizeLineMax
        let payloadMax = buffers.isTight ? max(room, sizeLineMax) : Self.chunkPayloadMax
        if let fault = takePayload(
            from: &input, body: &body, trailers: &trailers, end: &end, payloadMax)
        {
            return .malformed(fault)
        }
        let payloadCount = end &- sizeLineMax
        var begin = sizeLineMax
        if framesChunks {
            if payloadCount > 0 {
                let place = UnsafeMutableRawBufferPointer(rebasing: chunkScratch[..<sizeLineMax])
                begin &-=
                    ChunkFramer.writeSizeLineBefore(
                        payloadByteCount: payloadCount, endOf: place) ?? 0
            }
            var tail: StaticString = payloadCount > 0 ? ChunkFramer.chunkEnd : ""
            if body.isComplete, !trailers.memory.isAttached {
                tail =
                    payloadCount > 0 ? ChunkFramer.chunkEndAndLastChunk : ChunkFramer.lastChunk
            }
            for index in 0..<tail.utf8CodeUnitCount {
                chunkScratch[end] = tail.utf8Start[index]
                end &+= 1
            }
            if body.isComplete, trailers.memory.isAttached { writeBodyEnd(&trailers, at: &end) }
        }
        if holdsEnd, body.isComplete {
            keep(headScratch[..<headCount], in: &output)
            keep(chunkScratch[begin..<end], in: &output)
            return .held
        }
        return sendFramed(
            headCount: headCount, UnsafeRawBufferPointer(rebasing: chunkScratch[begin..<end]),
            to: socket, output: &output, readiness: &readiness)
    }

    /// Collects payload in `chunkScratch` from `end` on.
    private mutating func takePayload(
        from input: inout ByteBuffer, body: inout BodyDecoder, trailers: inout TrailerHold,
        end: inout Int, _ payloadByteCountMax: Int
    ) -> MessageFault? {
        let limit = end &+ payloadByteCountMax
        while !input.isEmpty, !body.isComplete, end < limit {
            let unread = input.unread
            let slice = UnsafeRawBufferPointer(
                rebasing: unread[..<min(unread.count, limit &- end)])
            let step = body.next(slice, trailers: &trailers.section)
            if case .malformed(let fault) = step.status { return fault }
            if step.payloadByteCount > 0, let target = chunkScratch.baseAddress,
                let source = slice.baseAddress
            {
                (target + end).copyMemory(
                    from: source + step.payloadOffset, byteCount: step.payloadByteCount)
                end &+= step.payloadByteCount
            }
            input.start &+= step.consumedByteCount
            if trailers.section.needsMemory {
                decideTrailers(&trailers)
                continue
            }
            // A decoder that takes nothing would be asked for ever.
            if step.consumedByteCount == 0, !body.isComplete { return .invalidChunkSize }
        }
        return nil
    }

    private mutating func sendFramed(
        headCount: Int, _ framed: UnsafeRawBufferPointer, to socket: borrowing FileDescriptor,
        output: inout ByteBuffer, readiness: inout Readiness
    ) -> RelayProgress {
        let wanted = headCount &+ framed.count
        guard wanted > 0 else { return .moved }
        let outcome = sendTogether(headCount: headCount, framed, to: socket)
        guard outcome.byteCount > 0 || outcome.wouldBlock else { return .failed }
        let sent = max(0, outcome.byteCount)
        sentByteCount &+= sent
        guard sent < wanted else { return .moved }
        readiness.remove(.writable)
        if sent < headCount { keep(headScratch[sent..<headCount], in: &output) }
        let framedSent = max(0, sent &- headCount)
        keep(
            UnsafeMutableRawBufferPointer(mutating: framed)[framedSent...], in: &output)
        return .blocked
    }

    /// Keeps framed bytes until the receiving side takes them.
    mutating func keep(
        _ bytes: Slice<UnsafeMutableRawBufferPointer>, in output: inout ByteBuffer
    ) {
        let bytes = UnsafeRawBufferPointer(rebasing: bytes)
        guard !bytes.isEmpty else { return }
        if !output.isAttached {
            let isSmall = bytes.count <= BufferPool.smallByteCount
            output = isSmall ? buffers.takeSmall() : buffers.takeLarge()
        } else if bytes.count > output.room {
            buffers.enlarge(&output)
        }
        output.append(bytes)
    }

    /// Writes what waits for the client.
    @inline(__always)
    mutating func flush(_ client: ClientConnection.Pointer) -> WriteProgress {
        guard client.pointee.output.isAttached else { return .done }
        guard !client.pointee.shadow.isHeld else { return .blocked }
        let before = sentByteCount
        let progress = flush(
            &client.pointee.output, to: client.pointee.socket, &client.pointee.readiness)
        client.pointee.shadow.noteSent(sentByteCount &- before)
        if case .blocked = progress {
            if sentByteCount != before { beginWaiting(client) }
        } else {
            arm(client, after: timeouts.bodyIdle)
        }
        return progress
    }

    /// Writes what waits for the client, and the rest of a plain body behind it when all of that is
    /// here, in one send.
    mutating func flush(
        _ client: ClientConnection.Pointer, before upstream: UpstreamConnection.Pointer
    ) -> WriteProgress {
        guard client.pointee.output.isAttached, !upstream.pointee.isBodyChunked,
            !upstream.pointee.framesChunks, !client.pointee.shadow.isHeld,
            client.pointee.readiness.contains(.writable),
            let remaining = upstream.pointee.body.remainingByteCount, remaining > 0,
            remaining <= UInt64(upstream.pointee.input.unreadCount)
        else { return flush(client) }
        let head = client.pointee.output.unread
        let body = UnsafeRawBufferPointer(
            rebasing: upstream.pointee.input.unread[..<Int(truncatingIfNeeded: remaining)])
        let outcome = SocketTransfer.send(client.pointee.socket, head, then: body)
        guard outcome.byteCount > 0 || outcome.wouldBlock else { return .failed }
        let sent = max(0, outcome.byteCount)
        sentByteCount &+= sent
        client.pointee.shadow.noteSent(sent)
        let headSent = min(sent, head.count)
        let bodySent = sent &- headSent
        if bodySent > 0 {
            _ = upstream.pointee.body.next(UnsafeRawBufferPointer(rebasing: body[..<bodySent]))
            upstream.pointee.input.start &+= bodySent
        }
        client.pointee.output.start &+= headSent
        if client.pointee.output.isEmpty { buffers.giveBack(&client.pointee.output) }
        guard bodySent == body.count else {
            client.pointee.readiness.remove(.writable)
            if sent > 0 { beginWaiting(client) }
            return .blocked
        }
        arm(client, after: timeouts.bodyIdle)
        return .done
    }

    /// Writes what waits for the backend.
    @inline(__always)
    mutating func flush(_ upstream: UpstreamConnection.Pointer) -> WriteProgress {
        guard upstream.pointee.output.isAttached else { return .done }
        return flush(
            &upstream.pointee.output, to: upstream.pointee.socket, &upstream.pointee.readiness)
    }

    private mutating func flush(
        _ output: inout ByteBuffer, to socket: borrowing FileDescriptor,
        _ readiness: inout Readiness
    ) -> WriteProgress {
        guard readiness.contains(.writable) else { return .blocked }
        let bytes = output.unread
        let outcome = Self.send(bytes, to: socket)
        guard outcome.byteCount > 0 || outcome.wouldBlock else { return .failed }
        output.start &+= max(0, outcome.byteCount)
        sentByteCount &+= max(0, outcome.byteCount)
        guard output.isEmpty else {
            readiness.remove(.writable)
            return .blocked
        }
        buffers.giveBack(&output)
        return .done
    }

    /// Receives into the room behind what `input` holds.
    @inline(__always)
    func receive(
        into input: inout ByteBuffer, from socket: borrowing FileDescriptor,
        _ readiness: inout Readiness
    ) -> ReadProgress {
        guard let base = input.base else { preconditionFailure("receiving without a buffer") }
        let room = input.room
        let outcome = SocketTransfer.receive(socket, into: base + input.end, count: room)
        if outcome.byteCount > 0 {
            input.end &+= outcome.byteCount
            // A short read emptied the socket; only the end of the stream may still follow.
            if outcome.byteCount < room, !readiness.contains(.peerEnded) {
                readiness.remove(.readable)
            }
            return .bytes(outcome.byteCount)
        }
        if outcome.isEndOfStream { return .ended }
        guard outcome.wouldBlock else { return .failed }
        readiness.remove(.readable)
        return .nothing
    }
}
