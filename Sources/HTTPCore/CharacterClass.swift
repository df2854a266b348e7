// SPDX-License-Identifier: Apache-2.0
//
// Bytes by name and by class: what HTTP gives a meaning to, and which sets a byte belongs to.

/// The bytes that HTTP gives a meaning to.
enum ASCII {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let percent: UInt8 = 0x25
    static let ampersand: UInt8 = 0x26
    static let plus: UInt8 = 0x2B
    static let comma: UInt8 = 0x2C
    static let dot: UInt8 = 0x2E
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let questionMark: UInt8 = 0x3F
    static let leftBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let rightBracket: UInt8 = 0x5D
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
    /// A target byte that cannot make a path ambiguous: not `?`, `%`, `.` or `\`.
    static let plainPath: UInt8 = 4
    /// A token character other than `_`: what a request's field names consist of.
    static let dashedToken: UInt8 = 16
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
            if isAlphanumeric || contains("!#$%&'*+-.^_`|~", byte) {
                bits |= byte == ASCII.underscore ? token : token | dashedToken
            }
            if byte > 0x20, byte < 0x7F, !contains("\"<>#", byte) {
                bits |= target
                if !contains("?%.\\", byte) { bits |= plainPath }
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
