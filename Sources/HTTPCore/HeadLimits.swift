// SPDX-License-Identifier: Apache-2.0
//
// The limits of message heads and of chunk framing, in one place with their reasons.

/// How large a message head may be.
public struct HeadLimits: Equatable, Sendable {
    /// The whole head in bytes, from the start line to the empty line: 431 above it.
    public var headByteCountMax = 64 * 1024
    /// How many field lines one head may have: 431 above it.
    public var fieldCountMax = 100
    /// The request target in bytes: 414 above it.
    public var targetByteCountMax = 8 * 1024

    /// The limits that products of this field ship: 64 KiB, 100 fields, 8 KiB of target.
    public init() {}

    /// Limits from the configuration; each is brought between 1 and its ceiling where it is used.
    ///
    /// The target is bounded by the head as well. Memory grows with `fieldCountMax` (16 bytes
    /// each) and `targetByteCountMax` per head object, not per connection.
    public init(headByteCountMax: Int, fieldCountMax: Int, targetByteCountMax: Int) {
        self.headByteCountMax = headByteCountMax
        self.fieldCountMax = fieldCountMax
        self.targetByteCountMax = targetByteCountMax
    }

    /// The longest head that may ever be configured; offsets stay far below 32 bits.
    public static let headByteCountCeiling = 1024 * 1024
    /// The most field lines a head may ever be configured to hold.
    public static let fieldCountCeiling = 1000
    /// The longest target that may ever be configured; the head owns so much memory for its path.
    public static let targetByteCountCeiling = 32 * 1024
    /// The longest method; RFC 9112 §3 wants 501 for one longer than any we know.
    public static let methodByteCountMax = 32
    /// The longest field name.
    public static let fieldNameByteCountMax = 256
    /// How many options all `Connection` fields of one head may list.
    public static let connectionOptionCountMax = 16
    /// How many empty lines may come before a request line (RFC 9112 §2.2).
    public static let leadingEmptyLineCountMax = 2

    /// The same limits, brought under the ceilings that the parser's arithmetic relies on.
    var bounded: HeadLimits {
        var limits = self
        limits.headByteCountMax = min(max(headByteCountMax, 64), Self.headByteCountCeiling)
        limits.fieldCountMax = min(max(fieldCountMax, 1), Self.fieldCountCeiling)
        limits.targetByteCountMax = min(
            max(targetByteCountMax, 1), limits.headByteCountMax, Self.targetByteCountCeiling)
        return limits
    }
}

/// Fixed limits of chunk framing (RFC 9112 §7.1); each exists because a peer can choose the number.
public enum ChunkLimits {
    /// Hexadecimal digits of one chunk size, leading zeros included.
    public static let sizeDigitCountMax = 16
    /// Extension bytes on one chunk-size line.
    public static let extensionLineByteCountMax = 256
    /// Extension bytes of one body that need no payload to justify them.
    public static let extensionByteCountFree = 4096
    /// One more extension byte is allowed for so many payload bytes.
    public static let payloadBytesPerExtensionByte: UInt64 = 16
    /// The trailer section in bytes.
    public static let trailerByteCountMax = 8 * 1024
    /// Field lines in the trailer section.
    public static let trailerFieldCountMax = 32
}
