// SPDX-License-Identifier: Apache-2.0
//
// One checked way to take big-endian numbers from untrusted bytes, one to write them.

/// Reads big-endian numbers from bytes that may end anywhere: every read may say "not enough".
public struct ByteReader: ~Escapable {
    private let bytes: RawSpan
    /// How many bytes were taken so far.
    public private(set) var offset = 0

    /// Reads from the start of `bytes`.
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) {
        self.bytes = bytes
    }

    /// How many bytes are left.
    public var remainingByteCount: Int { bytes.byteCount - offset }

    /// The next byte, or `nil` at the end.
    public mutating func readUInt8() -> UInt8? {
        guard remainingByteCount >= 1 else { return nil }
        defer { offset += 1 }
        return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The next two bytes, or `nil` when fewer are left.
    public mutating func readUInt16() -> UInt16? {
        readInteger(UInt16.self)
    }

    /// The next four bytes, or `nil` when fewer are left.
    public mutating func readUInt32() -> UInt32? {
        readInteger(UInt32.self)
    }

    /// The next eight bytes, or `nil` when fewer are left.
    public mutating func readUInt64() -> UInt64? {
        readInteger(UInt64.self)
    }

    /// The next `count` bytes, or `nil` when fewer are left or `count` is negative.
    public mutating func readBytes(_ count: Int) -> [UInt8]? {
        guard count >= 0, remainingByteCount >= count else { return nil }
        let result = unsafe bytes.extracting(offset..<(offset + count)).withUnsafeBytes {
            unsafe [UInt8]($0)
        }
        offset += count
        return result
    }

    /// Passes over `count` bytes; false when fewer are left or `count` is negative.
    public mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, remainingByteCount >= count else { return false }
        offset += count
        return true
    }

    private mutating func readInteger<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) -> Value? {
        let size = MemoryLayout<Value>.size
        guard remainingByteCount >= size else { return nil }
        defer { offset += size }
        return Value(
            bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension [UInt8] {
    /// Appends a number, most significant byte first.
    public mutating func appendBigEndian(_ value: some FixedWidthInteger & UnsignedInteger) {
        var shift = value.bitWidth - 8
        while shift >= 0 {
            append(UInt8(truncatingIfNeeded: value >> shift))
            shift -= 8
        }
    }
}
