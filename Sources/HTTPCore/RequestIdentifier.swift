// SPDX-License-Identifier: Apache-2.0
//
// The two names a request carries through a system, `X-Request-Id` and `traceparent`: which ones of
// others are good enough to pass on, and how our own are written. Randomness comes from the caller.

/// Values of `X-Request-Id`.
public enum RequestIdentifier {
    /// The longest value that is passed on.
    public static let byteCountMax = 128
    /// Bytes of a value that is made here.
    public static let byteCount = 32

    /// True for 1 to 128 letters, digits and `-._~:+/=@`.
    ///
    /// That is what identifiers in use consist of (UUID, ULID, Base64, X-Ray) and what no log,
    /// shell or page gives a meaning to.
    public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 1, bytes.count <= byteCountMax else { return false }
        var at = 0
        while at < bytes.count {
            let byte = unsafe bytes[at]
            guard CharacterClass.isUnreserved(byte) || isMark(byte) else { return false }
            at &+= 1
        }
        return true
    }

    private static func isMark(_ byte: UInt8) -> Bool {
        switch byte {
        case ASCII.colon, ASCII.plus, ASCII.slash, ASCII.equals, 0x40: true
        default: false
        }
    }

    /// Writes 128 random bits in hexadecimal; returns `byteCount`, `nil` without that much room.
    public static func write(
        _ high: UInt64, _ low: UInt64, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard var writer = unsafe ByteWriter(output, needing: byteCount) else { return nil }
        writer.append(hexadecimal: high)
        writer.append(hexadecimal: low)
        return writer.count
    }
}

/// Values of `traceparent` (W3C Trace Context, level 1, §3.2).
public enum TraceContext {
    /// Bytes of every valid value of version 00.
    public static let byteCount = 55
    /// Where the trace-id begins, and how long it is.
    private static let traceOffset = 3
    private static let traceByteCount = 32
    /// Where the parent-id begins, and how long it is.
    private static let parentOffset = 36
    private static let parentByteCount = 16

    /// True for a value of version 00 in lower case whose ids are not all zero.
    ///
    /// A value of a later version is not valid here: who cannot read it starts a new trace.
    public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count == byteCount, unsafe bytes[0] == ASCII.zero,
            unsafe bytes[1] == ASCII.zero
        else { return false }
        var at = 2
        while at < byteCount {
            let byte = unsafe bytes[at]
            if at == 2 || at == 35 || at == 52 {
                guard byte == 0x2D else { return false }
            } else {
                guard ASCII.isDigit(byte) || byte &- 0x61 < 6 else { return false }
            }
            at &+= 1
        }
        return unsafe hasOtherThanZero(bytes, from: traceOffset, count: traceByteCount)
            && hasOtherThanZero(bytes, from: parentOffset, count: parentByteCount)
    }

    private static func hasOtherThanZero(
        _ bytes: UnsafeRawBufferPointer, from start: Int, count: Int
    ) -> Bool {
        var at = start
        while at < start &+ count {
            if unsafe bytes[at] != ASCII.zero { return true }
            at &+= 1
        }
        return false
    }

    /// Writes the `traceparent` of a new trace; returns `byteCount`, `nil` without that much room.
    ///
    /// The trace-id is the 128 random bits, the same digits as the `X-Request-Id` made of them;
    /// the parent-id is mixed from them. `isSampled` asks those behind us to record the trace:
    /// most follow it, so false turns their tracing off.
    public static func writeNew(
        _ high: UInt64, _ low: UInt64, isSampled: Bool,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard var writer = unsafe ByteWriter(output, needing: byteCount) else { return nil }
        writer.append("00-")
        writer.append(hexadecimal: high)
        // §3.2.2.3, §3.2.2.4: an id of zeros is invalid.
        writer.append(hexadecimal: high | low == 0 ? 1 : low)
        writer.append(byte: 0x2D)
        let parent = mixed(high ^ mixed(low))
        writer.append(hexadecimal: parent == 0 ? 1 : parent)
        writer.append(isSampled ? "-01" : "-00")
        return writer.count
    }

    /// The finaliser of SplitMix64: every bit of the result depends on every bit given.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var bits = value &+ 0x9E37_79B9_7F4A_7C15
        bits = (bits ^ bits &>> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits &>> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits &>> 31
    }
}

extension ByteWriter {
    /// Appends 16 lower-case digits.
    @inline(__always)
    mutating func append(hexadecimal value: UInt64) {
        append(digits: UInt32(truncatingIfNeeded: value &>> 32))
        append(digits: UInt32(truncatingIfNeeded: value))
    }

    /// Appends eight lower-case digits, all at once in one word.
    @inline(__always)
    private mutating func append(digits value: UInt32) {
        var word = UInt64(value)
        word = (word | word &<< 16) & 0x0000_FFFF_0000_FFFF
        word = (word | word &<< 8) & 0x00FF_00FF_00FF_00FF
        word = (word | word &<< 4) & 0x0F0F_0F0F_0F0F_0F0F
        // Bit 4 of a digit plus 6 tells whether it is a letter; letters lie 0x27 higher.
        let letters = (word &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
        word = word &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
        append(word: word.bigEndian)
    }
}
