// SPDX-License-Identifier: Apache-2.0
//
// The checksum that a PROXY header of version 2 may carry.

/// CRC32c as RFC 4960 Appendix B has it, fed piece by piece.
public struct ProxyHeaderChecksum: Sendable {
    /// The polynomial 0x1EDC6F41, bits reversed, applied to each half byte.
    private static let halfBytes: InlineArray<16, UInt32> = [
        0x0000_0000, 0x105E_C76F, 0x20BD_8EDE, 0x30E3_49B1,
        0x417B_1DBC, 0x5125_DAD3, 0x61C6_9362, 0x7198_540D,
        0x82F6_3B78, 0x92A8_FC17, 0xA24B_B5A6, 0xB215_72C9,
        0xC38D_26C4, 0xD3D3_E1AB, 0xE330_A81A, 0xF36E_6F75,
    ]

    private var remainder = UInt32.max

    /// Starts with no bytes.
    public init() {}

    /// Adds one byte.
    public mutating func add(byte: UInt8) {
        remainder ^= UInt32(byte)
        for _ in 0..<2 {
            remainder = remainder >> 4 ^ Self.halfBytes[Int(remainder & 0xF)]
        }
    }

    /// The checksum of the bytes so far.
    public var value: UInt32 { ~remainder }
}
