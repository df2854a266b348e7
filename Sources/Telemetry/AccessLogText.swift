// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a log line: literals, numbers, and bytes of clients, which can neither end the line nor
// the value they stand in. 16 bytes at a time where nothing has to be escaped.

/// How bytes of clients are written.
enum AccessLogEscape {
    /// Inside a JSON string (RFC 8259 §7).
    case json
    /// Inside the quotes of a Common Log Format line.
    case quoted
}

/// A cursor over memory for a part of a line; what does not fit is left out and remembered.
struct AccessLogText {
    private let start: UnsafeMutableRawPointer
    private let capacity: Int
    /// Bytes written.
    private(set) var count = 0
    /// Something did not fit.
    private(set) var isOverfull = false

    /// What follows a value that was cut.
    static let cutMark: StaticString = "..."

    init?(_ room: UnsafeMutableRawBufferPointer) {
        guard let base = room.baseAddress else { return nil }
        start = base
        capacity = room.count
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawPointer(text.utf8Start), count: text.utf8CodeUnitCount)
    }

    /// Appends bytes that are known to be harmless.
    @inline(__always)
    mutating func append(plain bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        append(base, count: bytes.count)
    }

    @inline(__always)
    mutating func append(byte: UInt8) {
        guard count < capacity else {
            isOverfull = true
            return
        }
        (start + count).storeBytes(of: byte, as: UInt8.self)
        count &+= 1
    }

    @inline(__always)
    private mutating func append(_ bytes: UnsafeRawPointer, count byteCount: Int) {
        guard byteCount <= capacity &- count else {
            isOverfull = true
            return
        }
        (start + count).copyMemory(from: bytes, byteCount: byteCount)
        count &+= byteCount
    }

    /// Appends a number in decimal.
    @inline(__always)
    mutating func append(decimal value: UInt64) {
        guard value > 9 else {
            append(byte: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value))
            return
        }
        appendLong(decimal: value)
    }

    /// Appends a number of several digits, eight of them at a time.
    @inline(never)
    private mutating func appendLong(decimal value: UInt64) {
        // The largest number has 20 digits, and eight bytes are stored at once.
        guard capacity &- count >= 24 else {
            isOverfull = true
            return
        }
        guard value >= 100_000_000 else {
            let digits = Self.eightDigits(UInt32(truncatingIfNeeded: value))
            let zeroBitCount = digits.trailingZeroBitCount & ~7
            store((digits | Self.zeros) &>> UInt64(zeroBitCount))
            count &+= 8 &- zeroBitCount &>> 3
            return
        }
        let high = value / 100_000_000
        append(decimal: high)
        let low = UInt32(truncatingIfNeeded: value &- high &* 100_000_000)
        store(Self.eightDigits(low) | Self.zeros)
        count &+= 8
    }

    private static let zeros: UInt64 = 0x3030_3030_3030_3030

    /// The digits of a number below 100,000,000, the first one in the lowest byte.
    ///
    /// Halves, then pairs, then single digits are split off in all places at once; divisions are
    /// multiplications by reciprocals that are exact for such small numbers.
    @inline(__always)
    private static func eightDigits(_ value: UInt32) -> UInt64 {
        let high = UInt64(value / 10_000)
        let low = UInt64(value % 10_000)
        let halves = high | low &<< 32
        let hundreds = (halves &* 10_486) &>> 20 & 0x0000_007F_0000_007F
        let pairs = hundreds | (halves &- hundreds &* 100) &<< 16
        let tens = (pairs &* 103) &>> 10 & 0x000F_000F_000F_000F
        return tens | (pairs &- tens &* 10) &<< 8
    }

    @inline(__always)
    private func store(_ word: UInt64) {
        (start + count).storeBytes(of: word.littleEndian, as: UInt64.self)
    }

    /// Appends a number below 1,000 with leading zeros.
    @inline(__always)
    mutating func append(threeDigits value: UInt32) {
        append(byte: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / 100 % 10))
        append(byte: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / 10 % 10))
        append(byte: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value % 10))
    }

    /// Appends bytes of a client, escaped, as at most `limit` bytes and the mark of a cut.
    ///
    /// Long code that is needed for several values of a line: kept in one place.
    @inline(never)
    mutating func append(
        escaping bytes: UnsafeRawBufferPointer, as escape: AccessLogEscape, limit: Int
    ) {
        guard let base = bytes.baseAddress else { return }
        let room = capacity &- count &- Self.cutMark.utf8CodeUnitCount
        guard bytes.count <= min(limit, room) else {
            appendSlowly(bytes, as: escape, limit: limit)
            return
        }
        guard Self.copyPlain(base, count: bytes.count, to: start + count) else {
            appendSlowly(bytes, as: escape, limit: limit)
            return
        }
        count &+= bytes.count
    }

    /// Copies bytes that need no escaping; false when one does.
    ///
    /// The last block overlaps the one before it instead of being taken byte by byte.
    @inline(__always)
    private static func copyPlain(
        _ source: UnsafeRawPointer, count: Int, to target: UnsafeMutableRawPointer
    ) -> Bool {
        guard count >= 16 else { return copyPlainShort(source, count: count, to: target) }
        var at = 0
        let last = count &- 16
        while at < last {
            let block = (source + at).loadUnaligned(as: SIMD16<UInt8>.self)
            guard isPlain(block) else { return false }
            (target + at).storeBytes(of: block, as: SIMD16<UInt8>.self)
            at &+= 16
        }
        let block = (source + last).loadUnaligned(as: SIMD16<UInt8>.self)
        (target + last).storeBytes(of: block, as: SIMD16<UInt8>.self)
        return isPlain(block)
    }

    @inline(__always)
    private static func copyPlainShort(
        _ source: UnsafeRawPointer, count: Int, to target: UnsafeMutableRawPointer
    ) -> Bool {
        guard count >= 8 else {
            for at in 0..<count {
                let byte = source.load(fromByteOffset: at, as: UInt8.self)
                guard isPlain(byte) else { return false }
                target.storeBytes(of: byte, toByteOffset: at, as: UInt8.self)
            }
            return true
        }
        let first = source.loadUnaligned(as: UInt64.self)
        let last = (source + (count &- 8)).loadUnaligned(as: UInt64.self)
        target.storeBytes(of: first, as: UInt64.self)
        (target + (count &- 8)).storeBytes(of: last, as: UInt64.self)
        return isPlain(unsafeBitCast(SIMD2(first, last), to: SIMD16<UInt8>.self))
    }

    // MARK: Which bytes need nothing

    private typealias Mask = SIMDMask<SIMD16<Int8>>

    @inline(__always)
    private static func equal(_ left: SIMD16<UInt8>, _ right: SIMD16<UInt8>) -> Mask {
        left .== right
    }

    @inline(__always)
    private static func either(_ left: Mask, _ right: Mask) -> Mask {
        left .| right
    }

    /// True when all bytes are printable ASCII but `"` and `\`.
    @inline(__always)
    private static func isPlain(_ block: SIMD16<UInt8>) -> Bool {
        let quote = equal(block, SIMD16(repeating: UInt8(ascii: "\"")))
        let backslash = equal(block, SIMD16(repeating: UInt8(ascii: "\\")))
        let control = equal(block & SIMD16(repeating: 0xE0), SIMD16(repeating: 0))
        let delete = equal(block, SIMD16(repeating: 0x7F))
        let odd = either(either(quote, backslash), either(control, delete))
        let marks = unsafeBitCast(odd, to: SIMD2<UInt64>.self)
        let tops = unsafeBitCast(block & SIMD16(repeating: 0x80), to: SIMD2<UInt64>.self)
        return (marks[0] | marks[1] | tops[0] | tops[1]) == 0
    }

    @inline(__always)
    static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
}

extension AccessLogText {
    /// Appends bytes one character at a time.
    @inline(never)
    private mutating func appendSlowly(
        _ bytes: UnsafeRawBufferPointer, as escape: AccessLogEscape, limit: Int
    ) {
        let room = capacity &- count &- Self.cutMark.utf8CodeUnitCount
        let end = count &+ min(limit, room)
        guard room >= 0 else {
            isOverfull = true
            return
        }
        var at = 0
        while at < bytes.count {
            let before = count
            let used =
                switch escape {
                case .json: appendJSON(bytes, at)
                case .quoted: appendQuoted(bytes[at])
                }
            guard count <= end else {
                // Whole characters only: half an escape would change what follows.
                count = before
                append(Self.cutMark)
                if room < limit { isOverfull = true }
                return
            }
            at &+= used
        }
    }

    /// Appends the character at `at` for a JSON string; returns how many bytes it took.
    private mutating func appendJSON(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Int {
        let byte = bytes[at]
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            append(byte: UInt8(ascii: "\\"))
            append(byte: byte)
        case 0x20..<0x7F:
            append(byte: byte)
        case 0..<0x80:
            append(unicodeEscape: UInt32(byte))
        default:
            guard let character = Self.character(bytes, at) else {
                // No text in UTF-8: shown as `\xHH`, whose backslash JSON wants doubled.
                append("\\\\x")
                append(hexadecimal: byte)
                return 1
            }
            switch character.scalar {
            case 0x80..<0xA0, 0x2028, 0x2029, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069:
                // Controls, line ends of some readers, and what turns the direction of text.
                append(unicodeEscape: character.scalar)
            default:
                for index in 0..<character.byteCount { append(byte: bytes[at &+ index]) }
            }
            return character.byteCount
        }
        return 1
    }

    private mutating func appendQuoted(_ byte: UInt8) -> Int {
        guard Self.isPlain(byte) else {
            append("\\x")
            append(hexadecimal: byte)
            return 1
        }
        append(byte: byte)
        return 1
    }

    private mutating func append(unicodeEscape scalar: UInt32) {
        append("\\u")
        append(hexadecimal: UInt8(truncatingIfNeeded: scalar >> 8))
        append(hexadecimal: UInt8(truncatingIfNeeded: scalar))
    }

    private mutating func append(hexadecimal byte: UInt8) {
        append(byte: Self.digit(byte >> 4))
        append(byte: Self.digit(byte & 0xF))
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
    }

    /// The character that begins at `at` when it is well-formed UTF-8 (RFC 3629 §4) of two to four
    /// bytes.
    private static func character(
        _ bytes: UnsafeRawBufferPointer, _ at: Int
    ) -> (scalar: UInt32, byteCount: Int)? {
        let first = bytes[at]
        let byteCount =
            switch first {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        guard byteCount > 0, at &+ byteCount <= bytes.count else { return nil }
        var scalar = UInt32(first) & (0xFF >> UInt32(byteCount &+ 1))
        for index in 1..<byteCount {
            let next = bytes[at &+ index]
            guard next & 0xC0 == 0x80 else { return nil }
            scalar = scalar << 6 | UInt32(next & 0x3F)
        }
        let least: UInt32 = byteCount == 2 ? 0x80 : byteCount == 3 ? 0x800 : 0x1_0000
        guard scalar >= least, scalar <= 0x10_FFFF, !(0xD800...0xDFFF).contains(scalar) else {
            return nil
        }
        return (scalar, byteCount)
    }
}
