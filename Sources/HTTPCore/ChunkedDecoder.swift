// SPDX-License-Identifier: Apache-2.0
//
// The chunked transfer coding (RFC 9112 §7.1) as a state machine over bytes that may be split
// anywhere. It tells where payload lies; extensions are checked, bounded and dropped, trailers are
// checked, bounded and kept if the caller wants them.

/// Decodes one chunked body in place: 32 bytes of state, no buffer.
///
///     size -> extension -> size line LF -> data -> data CR -> data LF -> size ...
///     size 0 -> ... -> trailer line -> name -> value -> value LF -> trailer line -> last LF
public struct ChunkedDecoder: Equatable, Sendable {
    private enum State: UInt8, Comparable {
        case size
        case blankAfterSize
        case chunkExtension
        case sizeLineFeed
        case data
        case dataCarriageReturn
        case dataLineFeed
        case trailerLine
        case trailerName
        case trailerValue
        case trailerLineFeed
        case lastLineFeed
        case complete
        case failed

        static func < (left: State, right: State) -> Bool { left.rawValue < right.rawValue }
    }

    private var state = State.size
    private var digitCount: UInt8 = 0
    private var trailerFieldCount: UInt8 = 0
    private var fault = MessageFault.invalidChunkSize
    private var lineExtensionByteCount: UInt16 = 0
    private var trailerByteCount: UInt16 = 0
    private var remaining: UInt64 = 0
    private var payloadByteCount: UInt64 = 0
    private var extensionByteCount: UInt64 = 0

    private let payloadByteCountMax: UInt64

    /// A decoder at the start of a body of no more payload than `payloadByteCountMax`.
    ///
    /// A chunk that would lead beyond it is refused before any of its payload is given out.
    public init(payloadByteCountMax: UInt64 = BodyFraming.lengthMax) {
        self.payloadByteCountMax = min(payloadByteCountMax, BodyFraming.lengthMax)
    }

    /// True when the last byte of the body was seen.
    public var isComplete: Bool { state == .complete }

    /// Looks at bytes that follow those consumed so far; see `BodyStep`.
    ///
    /// Trailers are dropped. Returns at the first run of payload, at the end, or when the bytes
    /// are used up.
    public mutating func next(_ bytes: UnsafeRawBufferPointer) -> BodyStep {
        var trailers = TrailerSection.unwanted
        return unsafe next(bytes, trailers: &trailers)
    }

    /// The same, with trailers stored in `trailers`.
    ///
    /// Returns also when `trailers.needsMemory` becomes true; nothing goes on until it is decided.
    public mutating func next(
        _ bytes: UnsafeRawBufferPointer, trailers: inout TrailerSection
    ) -> BodyStep {
        var at = 0
        while at < bytes.count {
            if state == .data { return takeData(from: at, to: bytes.count) }
            if state >= .trailerLine, state != .lastLineFeed {
                guard isInTrailerFields else { break }
                if trailerByteCount == 0 {
                    // Most bodies have no trailers: this is the empty line.
                    if unsafe bytes[at] == ASCII.carriageReturn {
                        state = .lastLineFeed
                        at &+= 1
                        continue
                    }
                    if trailers.awaitsDecision() { break }
                }
                if let found = unsafe takeTrailers(bytes, &at, &trailers) { return fail(found) }
                continue
            }
            if let found = unsafe advance(bytes[at]) { return fail(found) }
            at &+= 1
        }
        if state == .failed { return .malformed(fault) }
        return BodyStep(
            consumedByteCount: at, payloadOffset: at, payloadByteCount: 0,
            status: state == .complete ? .complete : .more)
    }

    @inline(__always)
    private mutating func takeData(from start: Int, to end: Int) -> BodyStep {
        let count = Int(min(remaining, UInt64(end &- start)))
        remaining &-= UInt64(count)
        payloadByteCount &+= UInt64(count)
        if remaining == 0 { state = .dataCarriageReturn }
        return BodyStep(
            consumedByteCount: start &+ count, payloadOffset: start, payloadByteCount: count,
            status: .more)
    }

    private mutating func fail(_ found: MessageFault) -> BodyStep {
        fault = found
        state = .failed
        return .malformed(found)
    }

    private var isInTrailerFields: Bool { state >= .trailerLine && state <= .trailerLineFeed }

    /// Takes bytes of field lines up to the CR of the empty line.
    @inline(never)
    private mutating func takeTrailers(
        _ bytes: UnsafeRawBufferPointer, _ at: inout Int, _ trailers: inout TrailerSection
    ) -> MessageFault? {
        let start = at
        while at < bytes.count, isInTrailerFields {
            if let found = unsafe takeTrailer(bytes[at]) { return found }
            at &+= 1
        }
        let end = state == .lastLineFeed ? at &- 1 : at
        let lines = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        return unsafe trailers.append(lines) ? nil : .invalidTrailer
    }

    /// Takes one framing byte; returns a fault when it may not stand here.
    private mutating func advance(_ byte: UInt8) -> MessageFault? {
        switch state {
        case .size: return takeSize(byte)
        case .blankAfterSize: return takeBlank(byte)
        case .chunkExtension: return takeExtension(byte)
        case .sizeLineFeed: return takeSizeLineFeed(byte)
        case .dataCarriageReturn:
            state = .dataLineFeed
            return byte == ASCII.carriageReturn ? nil : .invalidChunkEnd
        case .dataLineFeed:
            beginSize()
            return byte == ASCII.lineFeed ? nil : .invalidChunkEnd
        case .lastLineFeed:
            state = .complete
            return byte == ASCII.lineFeed ? nil : .invalidTrailer
        case .data, .complete, .failed, .trailerLine, .trailerName, .trailerValue,
            .trailerLineFeed:
            return nil
        }
    }

    private mutating func beginSize() {
        state = .size
        digitCount = 0
        remaining = 0
        lineExtensionByteCount = 0
    }

    /// RFC 9112 §7.1: 1*HEXDIG, bounded in digits and in value; no sign, no `0x`.
    private mutating func takeSize(_ byte: UInt8) -> MessageFault? {
        if let digit = ASCII.hexadecimalValue(byte) {
            guard Int(digitCount) < ChunkLimits.sizeDigitCountMax,
                remaining <= BodyFraming.lengthMax / 16
            else { return .invalidChunkSize }
            digitCount &+= 1
            remaining = remaining &<< 4 | UInt64(digit)
            return nil
        }
        guard digitCount > 0 else { return .invalidChunkSize }
        switch byte {
        case ASCII.carriageReturn: state = .sizeLineFeed
        case ASCII.semicolon: return beginExtension()
        case ASCII.space, ASCII.tab:
            state = .blankAfterSize
            return countExtensionByte()
        case ASCII.lineFeed: return .invalidChunkEnd
        default: return .invalidChunkSize
        }
        return nil
    }

    /// RFC 9112 §7.1.1: whitespace may stand before the semicolon of an extension only.
    private mutating func takeBlank(_ byte: UInt8) -> MessageFault? {
        if byte == ASCII.semicolon { return beginExtension() }
        return ASCII.isBlank(byte) ? countExtensionByte() : .invalidChunkSize
    }

    private mutating func beginExtension() -> MessageFault? {
        state = .chunkExtension
        return countExtensionByte()
    }

    /// RFC 9112 §7.1.1: unknown extensions are ignored; a recipient limits their length.
    private mutating func takeExtension(_ byte: UInt8) -> MessageFault? {
        if byte == ASCII.carriageReturn {
            state = .sizeLineFeed
            return nil
        }
        if byte == ASCII.lineFeed { return .invalidChunkEnd }
        guard byte >= 0x20 || byte == ASCII.tab, byte != 0x7F else { return .invalidChunkExtension }
        return countExtensionByte()
    }

    private mutating func countExtensionByte() -> MessageFault? {
        lineExtensionByteCount &+= 1
        extensionByteCount &+= 1
        let allowed =
            UInt64(ChunkLimits.extensionByteCountFree)
            &+ payloadByteCount / ChunkLimits.payloadBytesPerExtensionByte
        guard Int(lineExtensionByteCount) <= ChunkLimits.extensionLineByteCountMax,
            extensionByteCount <= allowed
        else { return .invalidChunkExtension }
        return nil
    }

    private mutating func takeSizeLineFeed(_ byte: UInt8) -> MessageFault? {
        guard byte == ASCII.lineFeed else { return .invalidChunkEnd }
        // The sum of all chunks stays bounded too, so that callers may count bytes.
        assert(payloadByteCount <= payloadByteCountMax)
        guard remaining <= payloadByteCountMax &- min(payloadByteCount, payloadByteCountMax) else {
            return payloadByteCountMax < BodyFraming.lengthMax ? .bodyTooLarge : .invalidChunkSize
        }
        state = remaining == 0 ? .trailerLine : .data
        return nil
    }

    /// RFC 9112 §7.1.2: field lines, checked like a head's.
    private mutating func takeTrailer(_ byte: UInt8) -> MessageFault? {
        trailerByteCount &+= 1
        guard Int(trailerByteCount) <= ChunkLimits.trailerByteCountMax else {
            return .invalidTrailer
        }
        switch state {
        case .trailerLine:
            if byte == ASCII.carriageReturn {
                state = .lastLineFeed
                return nil
            }
            trailerFieldCount &+= 1
            guard Int(trailerFieldCount) <= ChunkLimits.trailerFieldCountMax else {
                return .invalidTrailer
            }
            state = .trailerName
            return CharacterClass.isToken(byte) ? nil : .invalidTrailer
        case .trailerName:
            if byte == ASCII.colon {
                state = .trailerValue
                return nil
            }
            return CharacterClass.isToken(byte) ? nil : .invalidTrailer
        case .trailerValue:
            if byte == ASCII.carriageReturn {
                state = .trailerLineFeed
                return nil
            }
            return (byte >= 0x20 && byte != 0x7F) || byte == ASCII.tab ? nil : .invalidTrailer
        default:
            state = .trailerLine
            return byte == ASCII.lineFeed ? nil : .invalidTrailer
        }
    }
}

extension CharacterClass {
    /// True for a token character other than `_`; for the rare bytes outside of heads.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}
