// SPDX-License-Identifier: Apache-2.0
//
// The inner loops over wire bytes: 16 or 8 bytes at a time, never a load beyond the end. Knows
// character classes, not HTTP structure.

/// Scanning and comparing many bytes at once.
///
/// Vector comparisons go through the two concrete functions at the bottom: written inline, the
/// generic overloads are chosen and compile to loops over lanes.
enum ByteScanner {
    private static let lows: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080
    private static let sevens: UInt64 = 0x7F7F_7F7F_7F7F_7F7F

    /// Eight bytes as a number whose lowest byte is the first one.
    @inline(__always)
    static func word(_ pointer: UnsafePointer<UInt8>) -> UInt64 {
        unsafe UInt64(
            littleEndian: UnsafeRawPointer(pointer).loadUnaligned(as: UInt64.self))
    }

    /// Four bytes as a number whose lowest byte is the first one.
    @inline(__always)
    private static func halfWord(_ pointer: UnsafePointer<UInt8>) -> UInt32 {
        unsafe UInt32(
            littleEndian: UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
    }

    /// The high bit of each byte that is no letter, digit or `-`, nor, in paths, `/`; exact.
    @inline(__always)
    private static func unusualBytes(_ word: UInt64, inPath: Bool) -> UInt64 {
        let low = word & sevens
        let folded = low | (lows &* 0x20)
        let letter = (folded &+ lows &* 0x1F) & ~(folded &+ lows &* 0x05)
        let firstDigit: UInt64 = inPath ? 0x51 : 0x50
        let digit = (low &+ lows &* firstDigit) & ~(low &+ lows &* 0x46)
        let isDash = ~((low ^ (lows &* 0x2D)) &+ sevens)
        return ~((letter | digit | isDash) & ~word) & highs
    }

    /// The first offset in `start..<end` whose byte is not in `set`, or `end`.
    ///
    /// `set` holds at least letters, digits and `-`.
    @inline(__always)
    static func tokenEnd(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int,
        classes: UnsafePointer<UInt8>, set: UInt8 = CharacterClass.token
    ) -> Int {
        var at = start
        while end &- at >= 8 {
            let unusual = unsafe unusualBytes(word(base + at), inPath: false)
            if unusual == 0 {
                at &+= 8
                continue
            }
            at &+= unusual.trailingZeroBitCount &>> 3
            guard unsafe classes[Int(base[at])] & set != 0 else { return at }
            at &+= 1
        }
        while at < end, unsafe classes[Int(base[at])] & set != 0 { at &+= 1 }
        return at
    }

    /// The first offset in `start..<end` that holds a colon, or `end`.
    @inline(__always)
    static func colon(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        var at = start
        while end &- at >= 16 {
            let found = unsafe equal(vector(base + at), SIMD16(repeating: ASCII.colon))
            if let offset = firstOffset(found) { return at &+ offset }
            at &+= 16
        }
        while at < end, unsafe base[at] != ASCII.colon { at &+= 1 }
        return at
    }

    /// The first offset in `start..<end` that holds a control byte other than HTAB, or `end`.
    @inline(__always)
    static func valueEnd(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        var at = start
        while end &- at >= 16 {
            let bytes = unsafe vector(base + at)
            let below = equal(bytes & SIMD16(repeating: 0xE0), SIMD16(repeating: 0))
            let delete = equal(bytes, SIMD16(repeating: 0x7F))
            guard let offset = firstOffset(either(below, delete)) else {
                at &+= 16
                continue
            }
            at &+= offset
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
    /// Bit 0x20 is set only where `name` has a letter, so the comparison is exact for any bytes.
    @inline(__always)
    static func matches(_ pointer: UnsafePointer<UInt8>, _ name: StaticString) -> Bool {
        let count = name.utf8CodeUnitCount
        let wanted = unsafe name.utf8Start
        if count >= 8 {
            var offset = 0
            while offset &+ 8 < count {
                guard unsafe matches(word(pointer + offset), word(wanted + offset)) else {
                    return false
                }
                offset &+= 8
            }
            let tail = count &- 8
            return unsafe matches(word(pointer + tail), word(wanted + tail))
        }
        if count >= 4 {
            let tail = count &- 4
            let found = unsafe UInt64(halfWord(pointer)) | UInt64(halfWord(pointer + tail)) &<< 32
            let name = unsafe UInt64(halfWord(wanted)) | UInt64(halfWord(wanted + tail)) &<< 32
            return matches(found, name)
        }
        var offset = 0
        while offset < count {
            guard unsafe ASCII.lowercased(pointer[offset]) == wanted[offset] else { return false }
            offset &+= 1
        }
        return true
    }

    @inline(__always)
    private static func matches(_ found: UInt64, _ wanted: UInt64) -> Bool {
        // Letters have bit 0x40, dashes and digits have not.
        found | ((wanted & (lows &* 0x40)) &>> 1) == wanted
    }

    /// True when the `count` bytes are `name`, whatever the case of letters.
    @inline(__always)
    static func matches(
        _ pointer: UnsafePointer<UInt8>, count: Int, _ name: StaticString
    ) -> Bool {
        unsafe count == name.utf8CodeUnitCount && matches(pointer, name)
    }

    /// True when the first `count` bytes of both are equal.
    @inline(__always)
    static func equal(
        _ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer, count: Int
    ) -> Bool {
        assert(count <= left.count && count <= right.count)
        var offset = 0
        while count &- offset >= 8 {
            guard
                unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            else { return false }
            offset &+= 8
        }
        while offset < count {
            guard unsafe left[offset] == right[offset] else { return false }
            offset &+= 1
        }
        return true
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

extension ByteScanner {
    private typealias Mask = SIMDMask<SIMD16<Int8>>

    @inline(__always)
    private static func vector(_ pointer: UnsafePointer<UInt8>) -> SIMD16<UInt8> {
        unsafe UnsafeRawPointer(pointer).loadUnaligned(as: SIMD16<UInt8>.self)
    }

    @inline(__always)
    private static func equal(_ left: SIMD16<UInt8>, _ right: SIMD16<UInt8>) -> Mask {
        left .== right
    }

    @inline(__always)
    private static func either(_ left: Mask, _ right: Mask) -> Mask {
        left .| right
    }

    /// The index of the first lane that is set.
    @inline(__always)
    private static func firstOffset(_ mask: Mask) -> Int? {
        let halves = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        let low = UInt64(littleEndian: halves[0])
        let high = UInt64(littleEndian: halves[1])
        guard low | high != 0 else { return nil }
        return low != 0
            ? low.trailingZeroBitCount &>> 3 : 8 &+ high.trailingZeroBitCount &>> 3
    }
}

extension ByteScanner {
    /// The first offset in `start..<end` that is not plain in a path, or `end`.
    ///
    /// Plain is what the table calls so, and a dot that does not begin a segment.
    @inline(__always)
    static func plainPathEnd(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int,
        classes: UnsafePointer<UInt8>
    ) -> Int {
        var at = start
        while at < end {
            if end &- at >= 8 {
                let unusual = unsafe unusualBytes(word(base + at), inPath: true)
                if unusual == 0 {
                    at &+= 8
                    continue
                }
                at &+= unusual.trailingZeroBitCount &>> 3
            }
            let byte = unsafe base[at]
            if unsafe classes[Int(byte)] & CharacterClass.plainPath == 0 {
                guard byte == ASCII.dot, at > start, unsafe base[at &- 1] != ASCII.slash else {
                    return at
                }
            }
            at &+= 1
        }
        return at
    }

    /// The first offset in `start..<end` whose byte may not stand in a target, or `end`.
    @inline(__always)
    static func targetEnd(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int,
        classes: UnsafePointer<UInt8>
    ) -> Int {
        var at = start
        while at < end {
            if end &- at >= 8 {
                let bytes = unsafe word(base + at)
                // Zero bytes mark 0x22 and 0x23, then 0x3C and 0x3E, then DEL.
                let quotes = (bytes & (lows &* 0xFE)) ^ (lows &* 0x22)
                let angles = (bytes & (lows &* 0xFD)) ^ (lows &* 0x3C)
                let delete = bytes ^ (lows &* 0x7F)
                let zeros =
                    ((quotes &- lows) & ~quotes) | ((angles &- lows) & ~angles)
                    | ((delete &- lows) & ~delete)
                let below = (bytes &- lows &* 0x21) & ~bytes
                let unusual = (zeros | below | bytes) & highs
                if unusual == 0 {
                    at &+= 8
                    continue
                }
                return at &+ unusual.trailingZeroBitCount &>> 3
            }
            guard unsafe classes[Int(base[at])] & CharacterClass.target != 0 else { return at }
            at &+= 1
        }
        return at
    }
}
