// SPDX-License-Identifier: Apache-2.0
//
// A network in CIDR notation: an address and how many of its leading bits count.

/// A range of addresses that share a prefix (RFC 4632 §3.1, RFC 4291 §2.3).
public struct IPNetwork: Hashable, Sendable {
    /// The first address; bits behind the prefix are zero.
    public let address: IPAddress
    /// How many leading bits count, 0-32 for IPv4, 0-128 for IPv6.
    public let prefixLength: Int

    /// Makes a network, or `nil` when the prefix is too long or bits behind it are set.
    public init?(address: IPAddress, prefixLength: Int) {
        guard prefixLength >= 0, prefixLength <= address.bitWidth,
            address.masked(prefixLength: prefixLength) == address
        else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Reads `10.0.0.0/8` or `2001:db8::/32`; a plain address is a network of one.
    public init?(_ text: some StringProtocol) {
        guard let slash = text.firstIndex(of: "/") else {
            guard let address = IPAddress(text) else { return nil }
            self.init(address: address, prefixLength: address.bitWidth)
            return
        }
        let digits = text[text.index(after: slash)...]
        guard let address = IPAddress(text[..<slash]), (1...3).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(digits)
        else { return nil }
        self.init(address: address, prefixLength: length)
    }

    /// True when the address lies in the network; an IPv4 address that is mapped into IPv6
    /// (RFC 4291 §2.5.5.2) counts as the IPv4 address it is.
    public func contains(_ candidate: IPAddress) -> Bool {
        let candidate = candidate.unmapped
        guard candidate.bitWidth == address.bitWidth else { return false }
        return candidate.masked(prefixLength: prefixLength) == address
    }
}

extension IPNetwork: CustomStringConvertible {
    /// `address/length`.
    public var description: String { "\(address)/\(prefixLength)" }
}

extension IPAddress {
    /// 32 or 128.
    public var bitWidth: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// The address with the bits behind the prefix cleared; `prefixLength` is at most `bitWidth`.
    public func masked(prefixLength: Int) -> IPAddress {
        // Shifts by the whole width give 0 with Swift's smart shifts.
        switch self {
        case .v4(let address):
            return .v4(
                IPv4Address(rawValue: address.rawValue & (UInt32.max << (32 - prefixLength))))
        case .v6(let address):
            let highMask = UInt64.max << (64 - min(64, prefixLength))
            let lowMask = UInt64.max << (64 - max(0, prefixLength - 64))
            return .v6(IPv6Address(high: address.high & highMask, low: address.low & lowMask))
        }
    }

    /// The IPv4 address inside an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2); else itself.
    public var unmapped: IPAddress {
        guard case .v6(let address) = self, address.high == 0,
            address.low >> 32 == 0xFFFF
        else { return self }
        return .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: address.low)))
    }
}
