// SPDX-License-Identifier: Apache-2.0
//
// Where a message body lies in the bytes after its head, whatever its framing: payload to pass on,
// framing to swallow, and the first byte that belongs to the next message.

/// What one look at body bytes gave.
public struct BodyStep: Equatable, Sendable {
    /// Whether the body goes on.
    public enum Status: Equatable, Sendable {
        /// The body goes on; bytes not consumed yet are worth another look at once.
        case more
        /// The body is complete; bytes not consumed belong to the next message.
        case complete
        /// The body breaks a rule; close the connection.
        case malformed(MessageFault)
    }

    /// Bytes of the input done with, from its start; payload of this step included.
    public let consumedByteCount: Int
    /// Where payload begins.
    public let payloadOffset: Int
    /// Bytes of payload; zero when there was only framing.
    public let payloadByteCount: Int
    /// Whether the body goes on.
    public let status: Status

    @inline(__always)
    init(consumedByteCount: Int, payloadOffset: Int, payloadByteCount: Int, status: Status) {
        assert(payloadOffset + payloadByteCount <= consumedByteCount)
        self.consumedByteCount = consumedByteCount
        self.payloadOffset = payloadOffset
        self.payloadByteCount = payloadByteCount
        self.status = status
    }

    static func malformed(_ fault: MessageFault) -> BodyStep {
        BodyStep(
            consumedByteCount: 0, payloadOffset: 0, payloadByteCount: 0, status: .malformed(fault))
    }
}

/// Decodes one body in place.
///
/// A plain value: one per direction of a connection.
public struct BodyDecoder: Equatable, Sendable {
    private enum State: Equatable {
        case complete
        case length(UInt64)
        case chunked(ChunkedDecoder)
        case untilClose
    }

    private var state: State

    /// A decoder at the start of a body with this framing.
    ///
    /// `chunkedByteCountMax` bounds the payload of a chunked body, whose length nobody knows
    /// before; who takes a body of known length has already looked at it.
    @inline(__always)
    public init(_ framing: BodyFraming, chunkedByteCountMax: UInt64 = BodyFraming.lengthMax) {
        switch framing {
        case .none, .length(0): state = .complete
        case .length(let length): state = .length(length)
        case .chunked:
            state = .chunked(ChunkedDecoder(payloadByteCountMax: chunkedByteCountMax))
        case .untilClose: state = .untilClose
        }
    }

    /// True when no byte of the body is missing.
    ///
    /// Bodies until close end by `inputEnded`.
    public var isComplete: Bool {
        switch state {
        case .complete: true
        case .chunked(let decoder): decoder.isComplete
        case .length, .untilClose: false
        }
    }

    /// Bytes still missing when the length is known; for the choice of a larger buffer.
    public var remainingByteCount: UInt64? {
        switch state {
        case .complete: 0
        case .length(let remaining): remaining
        case .chunked, .untilClose: nil
        }
    }

    /// Looks at the bytes that follow those consumed so far.
    ///
    /// Call again with the rest while the status is `.more` and bytes are left. Trailers are
    /// dropped.
    public mutating func next(_ bytes: UnsafeRawBufferPointer) -> BodyStep {
        var trailers = TrailerSection.unwanted
        return unsafe next(bytes, trailers: &trailers)
    }

    /// The same, with the trailers of a chunked body stored in `trailers`.
    ///
    /// When `trailers.needsMemory` is true after a step, decide with `keep` or `drop` before the
    /// next one. After `.complete` they are whole.
    @inline(__always)
    public mutating func next(
        _ bytes: UnsafeRawBufferPointer, trailers: inout TrailerSection
    ) -> BodyStep {
        switch state {
        case .complete:
            return BodyStep(
                consumedByteCount: 0, payloadOffset: 0, payloadByteCount: 0, status: .complete)
        case .length(let remaining):
            let count = Int(min(remaining, UInt64(bytes.count)))
            let isLast = UInt64(count) == remaining
            state = isLast ? .complete : .length(remaining &- UInt64(count))
            return BodyStep(
                consumedByteCount: count, payloadOffset: 0, payloadByteCount: count,
                status: isLast ? .complete : .more)
        case .untilClose:
            return BodyStep(
                consumedByteCount: bytes.count, payloadOffset: 0, payloadByteCount: bytes.count,
                status: .more)
        case .chunked(var decoder):
            let step = unsafe decoder.next(bytes, trailers: &trailers)
            state = .chunked(decoder)
            return step
        }
    }

    /// The peer closed its side; returns true when the body is whole, false when it was cut off.
    public mutating func inputEnded() -> Bool {
        if state == .untilClose { state = .complete }
        return isComplete
    }
}
