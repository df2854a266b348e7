// SPDX-License-Identifier: Apache-2.0
//
// Internet addresses as bytes on the wire, read and written without allocation. The same texts as
// the address types themselves take and give, and IPv4 within IPv6.

public import WireCore

/// Reading and writing addresses in message fields.
public enum AddressText {
    /// The longest text that is written.
    public static let byteCountMax = 39
    /// The longest text that is read: six groups and an IPv4 address.
    private static let readByteCountMax = 45

    /// The address that the bytes are; IPv6 without brackets and zone.
    public static func read(_ bytes: UnsafeRawBufferPointer) -> IPAddress? {
        guard bytes.count >= 2, bytes.count <= readByteCountMax else { return nil }
        var at = 0
        while at < min(5, bytes.count) {
            if unsafe bytes[at] == ASCII.colon {
                return unsafe readVersion6(bytes).map { .v6($0) }
            }
            at &+= 1
        }
        return unsafe readVersion4(bytes, from: 0).map { .v4(IPv4Address(rawValue: $0)) }
    }

    /// Four numbers 0-255 without leading zeros, from `start` to the end.
    private static func readVersion4(_ bytes: UnsafeRawBufferPointer, from start: Int) -> UInt32? {
        var address: UInt32 = 0
        var at = start
        var partCount = 0
        while true {
            let partStart = at
            var part: UInt32 = 0
            while at < bytes.count, at &- partStart < 3, unsafe ASCII.isDigit(bytes[at]) {
                part = unsafe part &* 10 &+ UInt32(bytes[at] &- ASCII.zero)
                at &+= 1
            }
            let digitCount = at &- partStart
            guard digitCount > 0, part <= 255,
                unsafe digitCount == 1 || bytes[partStart] != ASCII.zero
            else { return nil }
            address = address &<< 8 | part
            partCount &+= 1
            if partCount == 4 { return at == bytes.count ? address : nil }
            guard at < bytes.count, unsafe bytes[at] == ASCII.dot else { return nil }
            at &+= 1
        }
    }

    /// RFC 4291 §2.2: groups, one `::` for zeros, and IPv4 for the last two groups.
    private static func readVersion6(_ bytes: UnsafeRawBufferPointer) -> IPv6Address? {
        /// The groups before `::`, and those behind it or all.
        var front: UInt128 = 0
        var frontCount = 0
        var back: UInt128 = 0
        var backCount = 0
        var hasZeros = false
        var at = 0
        if unsafe bytes[0] == ASCII.colon {
            guard unsafe bytes[1] == ASCII.colon else { return nil }
            hasZeros = true
            at = 2
        }
        while at < bytes.count {
            let start = at
            var group: UInt128 = 0
            while at < bytes.count, let digit = unsafe ASCII.hexadecimalValue(bytes[at]) {
                group = group &<< 4 | UInt128(digit)
                at &+= 1
                guard at &- start <= 4 else { return nil }
            }
            guard at > start else { return nil }
            if at < bytes.count, unsafe bytes[at] == ASCII.dot {
                guard let last = unsafe readVersion4(bytes, from: start) else { return nil }
                back = back &<< 32 | UInt128(last)
                backCount &+= 2
                break
            }
            back = back &<< 16 | group
            backCount &+= 1
            guard frontCount &+ backCount <= 8 else { return nil }
            if at == bytes.count { break }
            guard unsafe bytes[at] == ASCII.colon, at &+ 1 < bytes.count else { return nil }
            at &+= 1
            guard unsafe bytes[at] == ASCII.colon else { continue }
            guard !hasZeros else { return nil }
            hasZeros = true
            (front, frontCount) = (back, backCount)
            (back, backCount) = (0, 0)
            at &+= 1
        }
        let count = frontCount &+ backCount
        guard hasZeros ? count < 8 : count == 8 else { return nil }
        // Shifting by the whole width gives zero.
        let value = front << (16 * (8 - frontCount)) | back
        return IPv6Address(
            high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
    }

    /// Writes an address; returns its length, `nil` when `output` is smaller than `byteCountMax`.
    ///
    /// IPv6 as RFC 5952 wants it, without brackets.
    public static func write(
        _ address: IPAddress, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard var writer = unsafe ByteWriter(output, needing: byteCountMax) else { return nil }
        switch address {
        case .v4(let address): write(address, &writer)
        case .v6(let address): write(address, &writer)
        }
        return writer.count
    }

    private static func write(_ address: IPv4Address, _ writer: inout ByteWriter) {
        var shift: UInt32 = 32
        while shift > 0 {
            shift &-= 8
            writer.append(decimal: UInt64(address.rawValue &>> shift & 0xFF))
            if shift > 0 { writer.append(byte: ASCII.dot) }
        }
    }

    private static func write(_ address: IPv6Address, _ writer: inout ByteWriter) {
        let value = UInt128(address.high) << 64 | UInt128(address.low)
        let zeros = longestZeroRun(value)
        var index = 0
        while index < 8 {
            if index == zeros.start, zeros.count > 1 {
                writer.append("::")
                index &+= zeros.count
                continue
            }
            if index > 0, index != zeros.start &+ zeros.count || zeros.count < 2 {
                writer.append(byte: ASCII.colon)
            }
            append(group(value, index), &writer)
            index &+= 1
        }
    }

    private static func group(_ value: UInt128, _ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: value >> (112 - 16 * index))
    }

    /// RFC 5952 §4.2.3: the first of the longest runs of zero groups.
    private static func longestZeroRun(_ value: UInt128) -> (start: Int, count: Int) {
        var best = (start: 0, count: 0)
        var count = 0
        var index = 0
        while index < 8 {
            count = group(value, index) == 0 ? count &+ 1 : 0
            if count > best.count { best = (index &+ 1 &- count, count) }
            index &+= 1
        }
        return best
    }

    private static func append(_ group: UInt16, _ writer: inout ByteWriter) {
        var shift: UInt16 = 12
        while shift > 0, group &>> shift == 0 { shift &-= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: group &>> shift & 0xF)
            writer.append(byte: ASCII.lowerHexadecimalDigit(digit))
            if shift == 0 { return }
            shift &-= 4
        }
    }
}
