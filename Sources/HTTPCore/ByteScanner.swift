// SPDX-License-Identifier: Apache-2.0
//
// The inner loops over wire bytes: eight bytes at a time in a machine word (little or big endian
// alike), never a load beyond the end. Knows character classes, not HTTP structure.

/// Word-at-a-time scanning and comparing.
enum ByteScanner {
    static let lows: UInt64 = 0x0101_0101_0101_0101
    static let highs: UInt64 = 0x8080_8080_8080_8080
    private static let sevens: UInt64 = 0x7F7F_7F7F_7F7F_7F7F

    /// Eight bytes as a number whose lowest byte is the first one.
    @inline(__always)
    static func word(_ pointer: UnsafePointer<UInt8>) -> UInt64 {
        unsafe UInt64(
            littleEndian: UnsafeRawPointer(pointer).loadUnaligned(as: UInt64.self))
    }

    /// Four bytes as a number whose lowest byte is the first one.
    @inline(__always)
    static func halfWord(_ pointer: UnsafePointer<UInt8>) -> UInt32 {
        unsafe UInt32(
            littleEndian: UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
    }

    /// The high bit of each byte that is not a letter, a digit or `-`; exact for every byte.
    @inline(__always)
    private static func unusualNameBytes(_ word: UInt64) -> UInt64 {
        let low = word & sevens
        let folded = low | (lows &* 0x20)
        let letter = (folded &+ lows &* 0x1F) & ~(folded &+ lows &* 0x05)
        let digit = (low &+ lows &* 0x50) & ~(low &+ lows &* 0x46)
        let dash = ~((low ^ (lows &* 0x2D)) &+ sevens)
        return ~((letter | digit | dash) & ~word) & highs
    }

    /// The high bit of the first byte below 0x20 or equal to 0x7F; bits above it mean nothing.
    @inline(__always)
    private static func controlBytes(_ word: UInt64) -> UInt64 {
        let below = (word &- lows &* 0x20) & ~word
        let delete = word ^ (lows &* 0x7F)
        return (below | ((delete &- lows) & ~delete)) & highs
    }

    /// The first offset in `start..<end` whose byte is not a token character, or `end`.
    @inline(__always)
    static func tokenEnd(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int,
        classes: UnsafePointer<UInt8>
    ) -> Int {
        var at = start
        while end &- at >= 8 {
            let unusual = unsafe unusualNameBytes(word(base + at))
            if unusual == 0 {
                at &+= 8
                continue
            }
            at &+= unusual.trailingZeroBitCount &>> 3
            guard unsafe classes[Int(base[at])] & CharacterClass.token != 0 else { return at }
            at &+= 1
        }
        while at < end, unsafe classes[Int(base[at])] & CharacterClass.token != 0 { at &+= 1 }
        return at
    }

    /// The first offset in `start..<end` that holds a control byte other than HTAB, or `end`.
    @inline(__always)
    static func valueEnd(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        var at = start
        while end &- at >= 8 {
            let controls = unsafe controlBytes(word(base + at))
            if controls == 0 {
                at &+= 8
                continue
            }
            at &+= controls.trailingZeroBitCount &>> 3
            guard unsafe base[at] == ASCII.tab else { return at }
            at &+= 1
        }
        while at < end, unsafe !isControl(base[at]) { at &+= 1 }
        return at
    }

    @inline(__always)
    private static func isControl(_ byte: UInt8) -> Bool {
        (byte < 0x20 && byte != ASCII.tab) || byte == 0x7F
    }

    /// True when as many bytes as `name` has equal it; `name` is lower case, letters fold.
    ///
    /// Folding sets bit 0x20: exact for the letters, digits and dashes that names consist of.
    @inline(__always)
    static func matches(_ pointer: UnsafePointer<UInt8>, _ name: StaticString) -> Bool {
        let count = name.utf8CodeUnitCount
        let wanted = unsafe name.utf8Start
        let fold = lows &* 0x20
        if count >= 8 {
            var offset = 0
            while offset &+ 8 < count {
                guard unsafe word(pointer + offset) | fold == word(wanted + offset) else {
                    return false
                }
                offset &+= 8
            }
            return unsafe word(pointer + (count &- 8)) | fold == word(wanted + (count &- 8))
        }
        if count >= 4 {
            let fold = UInt32(truncatingIfNeeded: fold)
            let tail = count &- 4
            return unsafe halfWord(pointer) | fold == halfWord(wanted)
                && halfWord(pointer + tail) | fold == halfWord(wanted + tail)
        }
        var offset = 0
        while offset < count {
            guard unsafe pointer[offset] | 0x20 == wanted[offset] else { return false }
            offset &+= 1
        }
        return true
    }

    /// True when the `count` bytes are `name`, whatever the case of letters.
    @inline(__always)
    static func matches(
        _ pointer: UnsafePointer<UInt8>, count: Int, _ name: StaticString
    ) -> Bool {
        unsafe count == name.utf8CodeUnitCount && matches(pointer, name)
    }

    /// True when both runs of `count` bytes are equal, letters compared without case.
    static func equalIgnoringCase(
        _ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, count: Int
    ) -> Bool {
        var offset = 0
        while offset < count {
            guard unsafe ASCII.lowercased(left[offset]) == ASCII.lowercased(right[offset]) else {
                return false
            }
            offset &+= 1
        }
        return true
    }
}

/// The bytes that HTTP gives a meaning to.
enum ASCII {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let percent: UInt8 = 0x25
    static let comma: UInt8 = 0x2C
    static let dot: UInt8 = 0x2E
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let questionMark: UInt8 = 0x3F
    static let backslash: UInt8 = 0x5C
    static let underscore: UInt8 = 0x5F

    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool {
        byte == space || byte == tab
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool {
        byte &- zero < 10
    }

    /// The value of a hexadecimal digit, or `nil`.
    @inline(__always)
    static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte &- zero }
        let folded = byte | 0x20
        return folded &- 0x61 < 6 ? folded &- 0x61 &+ 10 : nil
    }
}

/// Which sets a byte belongs to, as bits of one table entry per byte value.
enum CharacterClass {
    /// A token character (RFC 9110 §5.6.2).
    static let token: UInt8 = 1
    /// A byte we accept in a request target.
    static let target: UInt8 = 2
    /// A target byte that cannot make a path ambiguous: not `?`, `%`, `.`, `;` or `\`.
    static let plainPath: UInt8 = 4
    /// A byte of a host name (RFC 3986 §3.2.2, unreserved).
    static let hostName: UInt8 = 8

    /// Fills a table of 256 entries.
    ///
    /// Targets: visible ASCII without `"`, `<`, `>` and `#`. RFC 3986 forbids more (`{`, `|`, `^`,
    /// a backquote), but browsers send those unencoded and they confuse no one.
    static func fill(_ table: UnsafeMutablePointer<UInt8>) {
        for byte in UInt8.min...UInt8.max {
            let isAlphanumeric = ASCII.lowercased(byte) &- 0x61 < 26 || ASCII.isDigit(byte)
            var bits: UInt8 = 0
            if isAlphanumeric || contains("!#$%&'*+-.^_`|~", byte) { bits |= token }
            if byte > 0x20, byte < 0x7F, !contains("\"<>#", byte) {
                bits |= target
                if !contains("?%.;\\", byte) { bits |= plainPath }
            }
            if isAlphanumeric || contains("-._~", byte) { bits |= hostName }
            unsafe (table + Int(byte)).initialize(to: bits)
        }
    }

    private static func contains(_ set: StaticString, _ byte: UInt8) -> Bool {
        var offset = 0
        while offset < set.utf8CodeUnitCount {
            if unsafe set.utf8Start[offset] == byte { return true }
            offset += 1
        }
        return false
    }
}
