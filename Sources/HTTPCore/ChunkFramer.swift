// SPDX-License-Identifier: Apache-2.0
//
// Writing the chunked transfer coding: our own chunk lines around payload that stays where it is.

/// The bytes around payload in a chunked body (RFC 9112 §7.1).
public enum ChunkFramer {
    /// The longest chunk-size line: 16 digits and CRLF.
    public static let sizeLineByteCountMax = 18
    /// What follows the payload of each chunk.
    public static let chunkEnd: StaticString = "\r\n"
    /// What ends the body: the last chunk and an empty trailer section.
    public static let lastChunk: StaticString = "0\r\n\r\n"
    /// What follows the payload when it is the last: both of the above in one.
    public static let chunkEndAndLastChunk: StaticString = "\r\n0\r\n\r\n"

    /// How many bytes the size line of a chunk takes.
    public static func sizeLineByteCount(payloadByteCount: Int) -> Int {
        let bits = Int.bitWidth - payloadByteCount.leadingZeroBitCount
        return max(1, (bits + 3) / 4) + 2
    }

    /// Writes a size line at the start of `output`; returns its length, `nil` when it does not fit.
    ///
    /// A chunk of zero bytes would end the body: that is a caller's bug.
    public static func writeSizeLine(
        payloadByteCount: Int, into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        precondition(payloadByteCount > 0, "an empty chunk ends the body")
        let count = sizeLineByteCount(payloadByteCount: payloadByteCount)
        guard output.count >= count else { return nil }
        var value = payloadByteCount
        var at = count - 3
        while at >= 0 {
            let digit = UInt8(truncatingIfNeeded: value & 0xF)
            unsafe output[at] = digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
            value >>= 4
            at -= 1
        }
        unsafe output[count - 2] = ASCII.carriageReturn
        unsafe output[count - 1] = ASCII.lineFeed
        return count
    }

    /// Writes a size line that ends where `output` ends, so that it touches payload behind it.
    ///
    /// Returns its length, `nil` when it does not fit.
    public static func writeSizeLineBefore(
        payloadByteCount: Int, endOf output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let count = sizeLineByteCount(payloadByteCount: payloadByteCount)
        guard output.count >= count else { return nil }
        let place = unsafe UnsafeMutableRawBufferPointer(
            rebasing: output[(output.count - count)...])
        return unsafe writeSizeLine(payloadByteCount: payloadByteCount, into: place)
    }
}
