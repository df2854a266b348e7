// SPDX-License-Identifier: Apache-2.0
//
// Appending bytes to the caller's buffer. Whoever makes one has already checked that everything it
// will write fits; in debug builds each write checks again.

/// A cursor over memory that is known to be large enough.
@safe
struct ByteWriter {
    private let start: UnsafeMutableRawPointer
    private let capacity: Int
    /// Bytes written so far.
    private(set) var count = 0

    /// Writes to `buffer`, which must have room for all that will be written.
    init?(_ buffer: UnsafeMutableRawBufferPointer, needing byteCount: Int) {
        guard let start = buffer.baseAddress, buffer.count >= byteCount else { return nil }
        unsafe self.start = start
        capacity = byteCount
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        unsafe append(text.utf8Start, count: text.utf8CodeUnitCount)
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafePointer<UInt8>, count byteCount: Int) {
        assert(byteCount >= 0 && byteCount <= capacity - count)
        unsafe (start + count).copyMemory(from: bytes, byteCount: byteCount)
        count &+= byteCount
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        unsafe append(start.assumingMemoryBound(to: UInt8.self), count: bytes.count)
    }

    /// Appends a field line: `name` ends in `": "`.
    @inline(__always)
    mutating func appendField(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        append(name)
        unsafe append(value)
        append("\r\n")
    }

    @inline(__always)
    mutating func append(byte: UInt8) {
        assert(count < capacity)
        unsafe (start + count).storeBytes(of: byte, as: UInt8.self)
        count &+= 1
    }

    /// Appends the eight bytes of a word as they lie in memory.
    @inline(__always)
    mutating func append(word: UInt64) {
        assert(capacity - count >= 8)
        unsafe (start + count).storeBytes(of: word, as: UInt64.self)
        count &+= 8
    }

    /// Appends a number in decimal.
    mutating func append(decimal value: UInt64) {
        var digitCount = 1
        var rest = value / 10
        while rest > 0 {
            digitCount &+= 1
            rest /= 10
        }
        assert(digitCount <= capacity - count)
        rest = value
        var at = count &+ digitCount
        while at > count {
            at &-= 1
            let digit = ASCII.zero &+ UInt8(truncatingIfNeeded: rest % 10)
            unsafe (start + at).storeBytes(of: digit, as: UInt8.self)
            rest /= 10
        }
        count &+= digitCount
    }

    /// Appends the framing field of a body; nothing for bodies that no field describes.
    @inline(__always)
    mutating func append(framing: BodyFraming) {
        switch framing {
        case .none, .untilClose: break
        case .chunked: append("Transfer-Encoding: chunked\r\n")
        case .length(let length):
            append("Content-Length: ")
            append(decimal: length)
            append("\r\n")
        }
    }
}
