// SPDX-License-Identifier: Apache-2.0
//
// `host [":" port]` of `Host` and of request targets (RFC 9112 §3.2, RFC 3986 §3.2).

/// A checked authority; stricter than RFC 3986: no user information, no percent escapes, no
/// sub-delimiters, and never empty (RFC 9110 §4.2.1).
struct Authority {
    /// The host, without one trailing dot; an IPv6 literal keeps its brackets.
    let host: ByteRange
    /// The port, unless it is missing or empty.
    let port: UInt16?

    /// Checks the bytes in `range`; `nil` when they are no authority.
    @inline(__always)
    init?(
        _ base: UnsafePointer<UInt8>, _ range: ByteRange, classes: UnsafePointer<UInt8>
    ) {
        let end = range.end
        var at = range.offset
        if at < end, unsafe base[at] == 0x5B {
            guard let close = unsafe Self.literalEnd(base, from: at + 1, to: end) else {
                return nil
            }
            at = close
        } else {
            while at < end, unsafe classes[Int(base[at])] & CharacterClass.hostName != 0 {
                at &+= 1
            }
        }
        guard at > range.offset else { return nil }
        if at == end {
            port = nil
        } else {
            guard unsafe base[at] == ASCII.colon else { return nil }
            guard let value = unsafe Self.port(base, from: at &+ 1, to: end) else { return nil }
            port = at &+ 1 == end ? nil : value
        }
        let hasDot = unsafe base[at &- 1] == ASCII.dot
        guard !hasDot || at &- 1 > range.offset else { return nil }
        host = ByteRange(from: range.offset, to: hasDot ? at &- 1 : at)
    }

    /// The offset after the bracket that closes an IPv6 literal.
    private static func literalEnd(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) -> Int? {
        var at = start
        var colons = 0
        while at < end {
            let byte = unsafe base[at]
            at += 1
            if byte == 0x5D { return colons >= 2 ? at : nil }
            if byte == ASCII.colon {
                colons += 1
            } else if byte != ASCII.dot, ASCII.hexadecimalValue(byte) == nil {
                return nil
            }
            if at - start > 45 { return nil }
        }
        return nil
    }

    /// The number in a port of digits only; zero for an empty one.
    private static func port(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> UInt16?
    {
        guard end - start <= 5 else { return nil }
        var value: UInt32 = 0
        var at = start
        while at < end {
            guard unsafe ASCII.isDigit(base[at]) else { return nil }
            value = unsafe value * 10 + UInt32(base[at] - ASCII.zero)
            at += 1
        }
        return UInt16(exactly: value)
    }
}
