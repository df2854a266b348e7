// SPDX-License-Identifier: Apache-2.0
//
// One direction of a tunnel: from a socket through one buffer into another socket.

internal import LinuxIO

/// How one direction stands.
enum TunnelFlow {
    /// The sender has nothing to say now.
    case waiting
    /// The receiver has to read first.
    case blocked
    /// There is more, but others have their turn.
    case pausing
    /// The sender has ended, and its last byte is with the receiver's kernel.
    case ended
    /// The sender's connection broke.
    case senderFailed
    /// The receiver's connection broke.
    case receiverFailed
}

extension Worker {
    /// Moves bytes from one socket to another until one of them has to wait.
    ///
    /// - Parameters:
    ///   - sender: where bytes come from.
    ///   - senderReadiness: of the sender.
    ///   - input: holds bytes that were received and not sent.
    ///   - output: bytes that go before them.
    ///   - receiver: where bytes go.
    ///   - receiverReadiness: of the receiver.
    ///   - receivedCount: grows by the bytes received; those sent are in `sentByteCount`.
    /// - Returns: how the direction stands.
    mutating func pass(
        from sender: borrowing FileDescriptor, _ senderReadiness: inout Readiness,
        through input: inout ByteBuffer, behind output: inout ByteBuffer,
        to receiver: borrowing FileDescriptor, _ receiverReadiness: inout Readiness,
        receivedCount: inout Int
    ) -> TunnelFlow {
        if output.isAttached {
            switch send(&output, to: receiver, &receiverReadiness) {
            case .done: buffers.giveBack(&output)
            case .blocked: return .blocked
            case .failed: return .receiverFailed
            }
        }
        var isBulk = false
        while true {
            if !input.isEmpty {
                switch send(&input, to: receiver, &receiverReadiness) {
                case .done: break
                case .blocked: return .blocked
                case .failed: return .receiverFailed
                }
            }
            guard senderReadiness.contains(.readable) else {
                buffers.giveBack(&input)
                return .waiting
            }
            guard receivedCount < Self.bytesPerTurnMax else {
                buffers.giveBack(&input)
                return .pausing
            }
            if buffers.isOverLimit, !input.isAttached {
                let flow = passUnbuffered(
                    from: sender, &senderReadiness, to: receiver, &receiverReadiness,
                    receivedCount: &receivedCount)
                if let flow { return flow }
                continue
            }
            input.mark = input.start
            input.rewindIfEmpty()
            buffers.prepareForBody(&input, isLong: isBulk)
            switch receive(into: &input, from: sender, &senderReadiness) {
            case .bytes(let count):
                receivedCount &+= count
                // A sender that fills a small buffer has more than a message to say.
                isBulk = isBulk || count == BufferPool.smallByteCount
            case .nothing:
                buffers.giveBack(&input)
                return .waiting
            case .ended:
                buffers.giveBack(&input)
                return .ended
            case .failed:
                buffers.giveBack(&input)
                return .senderFailed
            }
        }
    }

    /// Moves bytes while buffers are short: what the receiver does not take stays with the kernel.
    ///
    /// - Returns: how the direction stands, or `nil` when it goes on.
    private mutating func passUnbuffered(
        from sender: borrowing FileDescriptor, _ senderReadiness: inout Readiness,
        to receiver: borrowing FileDescriptor, _ receiverReadiness: inout Readiness,
        receivedCount: inout Int
    ) -> TunnelFlow? {
        guard receiverReadiness.contains(.writable) else { return .blocked }
        guard let base = chunkScratch.baseAddress else { preconditionFailure("no scratch") }
        let seen = SocketTransfer.peek(sender, into: base, count: Self.chunkPayloadMax)
        if seen.isEndOfStream { return .ended }
        guard seen.byteCount > 0 else {
            guard seen.wouldBlock else { return .senderFailed }
            senderReadiness.remove(.readable)
            return .waiting
        }
        let sent = SocketTransfer.send(receiver, base, count: seen.byteCount)
        guard sent.byteCount > 0 || sent.wouldBlock else { return .receiverFailed }
        if sent.byteCount > 0 {
            // They have just been seen, so they are there.
            guard SocketTransfer.discard(sender, count: sent.byteCount) == sent else {
                return .senderFailed
            }
            receivedCount &+= sent.byteCount
            sentByteCount &+= sent.byteCount
        }
        guard sent.byteCount < seen.byteCount else { return nil }
        receiverReadiness.remove(.writable)
        return .blocked
    }

    private mutating func send(
        _ buffer: inout ByteBuffer, to receiver: borrowing FileDescriptor,
        _ readiness: inout Readiness
    ) -> WriteProgress {
        guard readiness.contains(.writable) else { return .blocked }
        let bytes = buffer.unread
        guard let base = bytes.baseAddress else { return .done }
        let outcome = SocketTransfer.send(receiver, base, count: bytes.count)
        guard outcome.byteCount > 0 || outcome.wouldBlock else { return .failed }
        buffer.start &+= max(0, outcome.byteCount)
        sentByteCount &+= max(0, outcome.byteCount)
        guard buffer.isEmpty else {
            readiness.remove(.writable)
            return .blocked
        }
        return .done
    }
}
