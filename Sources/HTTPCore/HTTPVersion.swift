// SPDX-License-Identifier: Apache-2.0
//
// The version of a start line (RFC 9112 §2.3): eight bytes, read as one word.

/// Reading `HTTP/1.0` and `HTTP/1.1`.
enum HTTPVersion {
    /// "HTTP/1." with a zero byte behind, lowest byte first.
    private static let prefix: UInt64 = 0x002E_312F_5054_5448

    /// The minor version of the eight bytes at `pointer` if they are HTTP/1.0 or HTTP/1.1.
    @inline(__always)
    static func minor(_ pointer: UnsafePointer<UInt8>) -> UInt8? {
        let digit = unsafe (ByteScanner.word(pointer) ^ prefix) &>> 56
        let rest = unsafe (ByteScanner.word(pointer) ^ prefix) &<< 8
        guard rest == 0, digit == 0x30 || digit == 0x31 else { return nil }
        return UInt8(truncatingIfNeeded: digit &- 0x30)
    }

    /// Why these bytes are not (yet) a version and a line end.
    ///
    /// A version is 8 bytes and CRLF: fewer correct bytes than that want more.
    static func stop(_ pointer: UnsafePointer<UInt8>, count: Int) -> HeadStop {
        let pattern: StaticString = "HTTP/d.d\r\n"
        var offset = 0
        while offset < min(count, 10) {
            let byte = unsafe pointer[offset]
            let wanted = unsafe pattern.utf8Start[offset]
            let fits = wanted == 0x64 ? ASCII.isDigit(byte) : byte == wanted
            guard fits else {
                if byte == ASCII.lineFeed { return .fault(.bareLineFeed) }
                if offset == 9 { return .fault(.bareCarriageReturn) }
                return .fault(.malformedStartLine)
            }
            offset += 1
        }
        if count < 8 { return .needMore }
        // RFC 9110 §15.6.6: a version that exists, but not here.
        if unsafe minor(pointer) == nil { return .fault(.unsupportedVersion) }
        return .needMore
    }
}
