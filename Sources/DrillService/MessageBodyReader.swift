// SPDX-License-Identifier: Apache-2.0
//
// Where an HTTP/1 body ends. Takes bytes in pieces of any size; keeps no body.

/// Follows one body to its end (RFC 9112 §6, §7.1).
struct MessageBodyReader: Equatable {
    /// Hexadecimal digits a chunk size may have.
    static let chunkSizeDigitsMax = 12
    /// Bytes that chunk extensions and trailer fields may add.
    static let chunkOverheadMax = 65_536

    private enum State: Equatable {
        case length(remaining: UInt64)
        case untilEnd
        case chunkSize(value: UInt64, digits: Int)
        case chunkExtension(value: UInt64)
        case chunkData(remaining: UInt64)
        case chunkEnd
        case trailer(isLineEmpty: Bool)
        case complete
        case malformed
    }

    private var state: State
    private var overhead = 0

    /// A body of known length.
    init(length: UInt64) {
        state = length == 0 ? .complete : .length(remaining: length)
    }

    private init(_ state: State) {
        self.state = state
    }

    /// A chunked body.
    static let chunked = MessageBodyReader(.chunkSize(value: 0, digits: 0))
    /// A body that ends with its connection.
    static let untilEnd = MessageBodyReader(.untilEnd)

    /// True when the whole body was taken.
    var isComplete: Bool { state == .complete }
    /// True when the framing was wrong; nothing more is taken.
    var isMalformed: Bool { state == .malformed }

    /// The connection ended: completes a body that ends with it, ruins any other.
    mutating func connectionEnded() {
        if state == .complete { return }
        state = state == .untilEnd ? .complete : .malformed
    }

    /// Takes what belongs to the body; `body` receives its content without framing.
    ///
    /// - Returns: the number of bytes taken; fewer than given when the body ended.
    mutating func take(
        _ bytes: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>) -> Void = { _ in }
    ) -> Int {
        var index = bytes.startIndex
        while index < bytes.endIndex {
            switch state {
            case .length(let remaining):
                let count = Int(min(remaining, UInt64(bytes.endIndex - index)))
                body(bytes[index..<(index + count)])
                index += count
                let rest = remaining - UInt64(count)
                state = rest == 0 ? .complete : .length(remaining: rest)
            case .untilEnd:
                body(bytes[index...])
                index = bytes.endIndex
            case .chunkData(let remaining):
                let count = Int(min(remaining, UInt64(bytes.endIndex - index)))
                body(bytes[index..<(index + count)])
                index += count
                let rest = remaining - UInt64(count)
                state = rest == 0 ? .chunkEnd : .chunkData(remaining: rest)
            case .complete, .malformed:
                return index - bytes.startIndex
            case .chunkSize, .chunkExtension, .chunkEnd, .trailer:
                takeFraming(bytes[index])
                index += 1
            }
        }
        return index - bytes.startIndex
    }

    private mutating func takeFraming(_ byte: UInt8) {
        overhead += 1
        switch state {
        case .chunkSize(let value, let digits):
            if let digit = Self.hexadecimal(byte), digits < Self.chunkSizeDigitsMax {
                state = .chunkSize(value: value << 4 | digit, digits: digits + 1)
            } else if digits > 0, byte == 0x0A {
                sizeEnded(value)
            } else if digits > 0, byte == 0x0D || byte == 0x3B {
                state = .chunkExtension(value: value)
            } else {
                state = .malformed
            }
        case .chunkExtension(let value):
            if byte == 0x0A { sizeEnded(value) }
        case .chunkEnd:
            if byte == 0x0A {
                state = .chunkSize(value: 0, digits: 0)
            } else if byte != 0x0D {
                state = .malformed
            }
        case .trailer(let isLineEmpty):
            if byte == 0x0A {
                state = isLineEmpty ? .complete : .trailer(isLineEmpty: true)
            } else if byte != 0x0D {
                state = .trailer(isLineEmpty: false)
            }
        case .length, .untilEnd, .chunkData, .complete, .malformed:
            break
        }
        if overhead > Self.chunkOverheadMax, state != .complete { state = .malformed }
    }

    private mutating func sizeEnded(_ value: UInt64) {
        overhead = 0
        state = value == 0 ? .trailer(isLineEmpty: true) : .chunkData(remaining: value)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt64? {
        switch byte {
        case 0x30...0x39: UInt64(byte - 0x30)
        case 0x41...0x46: UInt64(byte - 0x41 + 10)
        case 0x61...0x66: UInt64(byte - 0x61 + 10)
        default: nil
        }
    }
}
