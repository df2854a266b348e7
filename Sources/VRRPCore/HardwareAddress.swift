// SPDX-License-Identifier: Apache-2.0
//
// An Ethernet address as a value.

/// An Ethernet (EUI-48) address.
public struct HardwareAddress: Hashable, Sendable {
    /// The address as a 48-bit number: 00:00:5e:00:01:33 is 0x00005E000133.
    public let rawValue: UInt64

    /// Makes an address from the low 48 bits of a number.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xFFFF_FFFF_FFFF
    }

    /// Makes an address from its six bytes, first byte first; `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.init(rawValue: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// The address every station listens to.
    public static let broadcast = HardwareAddress(rawValue: .max)

    /// The IPv4 virtual router MAC address of a VRID (RFC 9568 §7.3): 00-00-5E-00-01-VRID.
    ///
    /// Tandem announces the interface's own address instead (a documented deviation).
    public static func virtualRouter(id: UInt8) -> HardwareAddress {
        HardwareAddress(rawValue: 0x0000_5E00_0100 | UInt64(id))
    }

    /// The six bytes, first byte first.
    public var bytes: [UInt8] {
        stride(from: 40, through: 0, by: -8).map { UInt8(truncatingIfNeeded: rawValue >> $0) }
    }
}

extension HardwareAddress: CustomStringConvertible {
    /// Six pairs of hexadecimal digits with colons.
    public var description: String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined(separator: ":")
    }
}
