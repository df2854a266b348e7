// SPDX-License-Identifier: Apache-2.0
//
// The checksum of IP, VRRP and ARP-era protocols.

/// The one's complement sum of RFC 1071, fed piece by piece.
public struct InternetChecksum: Sendable {
    private var sum: UInt64 = 0
    private var hasOddByte = false

    /// Starts at zero.
    public init() {}

    /// Adds bytes; pieces of odd length may follow one another.
    public mutating func add(_ bytes: RawSpan) {
        for offset in bytes.byteOffsets {
            add(byte: unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
        }
    }

    /// Adds one byte.
    public mutating func add(byte: UInt8) {
        sum &+= hasOddByte ? UInt64(byte) : UInt64(byte) << 8
        hasOddByte.toggle()
        // 2^48 sixteen-bit words would be needed to overflow; fold long before.
        if sum >> 48 != 0 { sum = (sum & 0xFFFF) &+ (sum >> 16) }
    }

    /// Adds a 16-bit word.
    public mutating func add(word: UInt16) {
        add(byte: UInt8(truncatingIfNeeded: word >> 8))
        add(byte: UInt8(truncatingIfNeeded: word))
    }

    /// The checksum to store: the complement of the folded sum.
    ///
    /// Over a message that carries a correct checksum it is 0.
    public var value: UInt16 {
        var folded = sum
        while folded >> 16 != 0 { folded = (folded & 0xFFFF) &+ (folded >> 16) }
        return ~UInt16(truncatingIfNeeded: folded)
    }
}
