// SPDX-License-Identifier: Apache-2.0
//
// An Ethernet address as a value.

public import WireCore

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

    /// The virtual router MAC address of a VRID (RFC 9568 §7.3).
    ///
    /// 00-00-5E-00-01-VRID over IPv4, 00-00-5E-00-02-VRID over IPv6. Announced in virtual MAC mode
    /// only; otherwise the interface's own address is (a documented deviation).
    public static func virtualRouter(
        id: UInt8, family: AddressFamily = .ipv4
    ) -> HardwareAddress {
        let group: UInt64 = family == .ipv4 ? 0x0000_5E00_0100 : 0x0000_5E00_0200
        return HardwareAddress(rawValue: group | UInt64(id))
    }

    /// Where an IPv6 multicast group is heard: 33-33 and its last four bytes (RFC 2464 §7).
    public static func multicast(_ group: IPv6Address) -> HardwareAddress {
        HardwareAddress(rawValue: 0x3333_0000_0000 | group.low & 0xFFFF_FFFF)
    }

    /// True for the addresses of groups and of everybody (RFC 7042 §2.1).
    public var isGroup: Bool { rawValue >> 40 & 1 == 1 }

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
