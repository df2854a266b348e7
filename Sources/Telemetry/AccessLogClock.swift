// SPDX-License-Identifier: Apache-2.0
//
// The time of a log line as text, made once for each second.

/// The two texts of the second that was asked for last.
struct AccessLogClock: ~Copyable {
    /// `2026-11-21T08:00:00`, what comes before the fraction.
    private static let rfc3339ByteCount = 19
    /// `21/Nov/2026:08:00:00 +0000`.
    private static let commonByteCount = 26
    private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

    private let memory: UnsafeMutableRawPointer
    private var second = UInt64.max

    init() {
        memory = .allocate(byteCount: Self.rfc3339ByteCount + Self.commonByteCount, alignment: 8)
    }

    deinit {
        memory.deallocate()
    }

    /// RFC 3339 without fraction and zone.
    @inline(__always)
    mutating func rfc3339(second wanted: UInt64) -> UnsafeRawBufferPointer {
        if wanted != second { set(wanted) }
        return UnsafeRawBufferPointer(start: memory, count: Self.rfc3339ByteCount)
    }

    /// The form of the Common Log Format, without brackets.
    @inline(__always)
    mutating func common(second wanted: UInt64) -> UnsafeRawBufferPointer {
        if wanted != second { set(wanted) }
        return UnsafeRawBufferPointer(
            start: memory + Self.rfc3339ByteCount, count: Self.commonByteCount)
    }

    @inline(never)
    private mutating func set(_ wanted: UInt64) {
        second = wanted
        let text = CalendarTime.rfc3339(wallNanoseconds: wanted &* 1_000_000_000)
        let bytes = UnsafeMutableRawBufferPointer(
            start: memory, count: Self.rfc3339ByteCount + Self.commonByteCount)
        for (index, byte) in text.utf8.prefix(Self.rfc3339ByteCount).enumerated() {
            bytes[index] = byte
        }
        let month = Int(bytes[5] &- 0x30) * 10 + Int(bytes[6] &- 0x30)
        let layout: StaticString = "dd/mmm/yyyy:hh:mm:ss +0000"
        let common = Self.rfc3339ByteCount
        for index in 0..<Self.commonByteCount { bytes[common + index] = layout.utf8Start[index] }
        for index in 0..<3 {
            bytes[common + 3 + index] = Self.months.utf8Start[(month - 1) * 3 + index]
        }
        for (from, to, count) in [(8, 0, 2), (0, 7, 4), (11, 12, 8)] {
            for index in 0..<count { bytes[common + to + index] = bytes[from + index] }
        }
    }
}
