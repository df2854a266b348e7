// SPDX-License-Identifier: Apache-2.0
//
// A place inside the caller's buffer. Heads are described by such ranges; no byte is ever copied.

/// Where some bytes lie in the buffer that was parsed: an offset from its start and a count.
public struct ByteRange: Equatable, Sendable {
    private let start: UInt32
    private let size: UInt32

    /// Nothing, at the start of the buffer.
    public static let empty = ByteRange(offset: 0, count: 0)

    /// The range of `count` bytes at `offset`; both are below the head limit, so they fit.
    @inline(__always)
    init(offset: Int, count: Int) {
        start = UInt32(truncatingIfNeeded: offset)
        size = UInt32(truncatingIfNeeded: count)
    }

    /// The range from `start` up to, not including, `end`.
    @inline(__always)
    init(from start: Int, to end: Int) {
        self.init(offset: start, count: end &- start)
    }

    /// How many bytes lie before the range.
    @inlinable public var offset: Int { Int(startOffset) }
    /// How many bytes are in the range.
    @inlinable public var count: Int { Int(byteCount) }
    /// The offset of the first byte after the range.
    @inlinable public var end: Int { offset &+ count }
    /// True when there is no byte in the range.
    @inlinable public var isEmpty: Bool { byteCount == 0 }

    @usableFromInline var startOffset: UInt32 { start }
    @usableFromInline var byteCount: UInt32 { size }

    /// The bytes of this range within the buffer that was parsed.
    @inline(__always)
    public func bytes(in buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        precondition(end <= buffer.count, "the range belongs to a longer buffer")
        return unsafe UnsafeRawBufferPointer(rebasing: buffer[offset..<end])
    }
}
