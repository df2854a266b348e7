// SPDX-License-Identifier: Apache-2.0
//
// Internet addresses and endpoints as values; text in and out, no sockets.

/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable {
    /// The address as a number in host byte order: 10.77.0.100 is 0x0A4D0064.
    public var rawValue: UInt32

    /// Makes an address from its number in host byte order.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Makes an address from its four bytes, first byte first.
    @inlinable
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// Parses dotted decimal; `nil` unless the text is four numbers 0-255 without leading zeros.
    public init?(_ text: some StringProtocol) {
        var value: UInt32 = 0
        var parts = 0
        for part in text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false) {
            guard let byte = Self.decimalByte(part) else { return nil }
            parts += 1
            guard parts <= 4 else { return nil }
            value = value << 8 | UInt32(byte)
        }
        guard parts == 4 else { return nil }
        rawValue = value
    }

    private static func decimalByte(_ digits: some Collection<UInt8>) -> UInt8? {
        guard (1...3).contains(digits.count) else { return nil }
        if digits.count > 1, digits.first == 0x30 { return nil }
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return UInt8(exactly: value)
    }

    /// The unspecified address, 0.0.0.0.
    public static let any = IPv4Address(rawValue: 0)
    /// The loopback address, 127.0.0.1.
    public static let loopback = IPv4Address(127, 0, 0, 1)

    /// True for 224.0.0.0/4.
    public var isMulticast: Bool { rawValue >> 28 == 0xE }

    /// The four bytes, first byte first.
    public var octets: (UInt8, UInt8, UInt8, UInt8) {
        (
            UInt8(truncatingIfNeeded: rawValue >> 24), UInt8(truncatingIfNeeded: rawValue >> 16),
            UInt8(truncatingIfNeeded: rawValue >> 8), UInt8(truncatingIfNeeded: rawValue)
        )
    }
}

extension IPv4Address: Comparable, CustomStringConvertible {
    /// Compares as unsigned numbers in network order (RFC 9568 §6.4.3).
    public static func < (left: IPv4Address, right: IPv4Address) -> Bool {
        left.rawValue < right.rawValue
    }

    /// Dotted decimal.
    public var description: String {
        let (a, b, c, d) = octets
        return "\(a).\(b).\(c).\(d)"
    }
}

/// An IPv6 address.
public struct IPv6Address: Hashable, Sendable {
    /// The first eight bytes as a number in host byte order.
    public var high: UInt64
    /// The last eight bytes as a number in host byte order.
    public var low: UInt64

    /// Makes an address from its two halves.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The unspecified address, `::`.
    public static let any = IPv6Address(high: 0, low: 0)
    /// The loopback address, `::1`.
    public static let loopback = IPv6Address(high: 0, low: 1)

    /// Parses RFC 4291 text without zone or embedded IPv4; `nil` when it is anything else.
    public init?(_ text: some StringProtocol) {
        let halves = String(text).splitOnDoubleColon()
        guard let head = Self.groups(halves.0) else { return nil }
        guard let tailText = halves.1 else {
            guard head.count == 8 else { return nil }
            self.init(groups: head)
            return
        }
        guard let tail = Self.groups(tailText), head.count + tail.count < 8 else { return nil }
        let zeros = [UInt16](repeating: 0, count: 8 - head.count - tail.count)
        self.init(groups: head + zeros + tail)
    }

    private init(groups: [UInt16]) {
        high = groups[0..<4].reduce(0) { $0 << 16 | UInt64($1) }
        low = groups[4..<8].reduce(0) { $0 << 16 | UInt64($1) }
    }

    private static func groups(_ text: String) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        for part in text.split(separator: ":", omittingEmptySubsequences: false) {
            guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(Self.isHexDigit),
                let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups.count <= 8 ? groups : nil
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }

    fileprivate var groups: [UInt16] {
        (0..<8).map { index in
            let half = index < 4 ? high : low
            return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index % 4)))
        }
    }
}

extension String {
    /// The text before the first `::` and, when there is one, the text after it.
    fileprivate func splitOnDoubleColon() -> (String, String?) {
        var index = startIndex
        while index != endIndex {
            let next = self.index(after: index)
            if self[index] == ":", next != endIndex, self[next] == ":" {
                return (String(self[..<index]), String(self[self.index(after: next)...]))
            }
            index = next
        }
        return (self, nil)
    }
}

extension IPv6Address: CustomStringConvertible {
    /// RFC 5952 text: lower case, the longest run of two or more zero groups shortened.
    public var description: String {
        let groups = groups
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > best.count, end - start > 1 { best = start..<end }
            start = max(end, start + 1)
        }
        let text = { (range: Range<Int>) in
            range.map { String(groups[$0], radix: 16) }.joined(separator: ":")
        }
        if best.isEmpty { return text(0..<8) }
        return text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }
}

extension IPv6Address: Comparable {
    /// Compares as unsigned numbers in network order (RFC 9568 §6.4.3).
    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// True for ff00::/8 (RFC 4291 §2.7).
    public var isMulticast: Bool { high >> 56 == 0xFF }

    /// True for fe80::/10 (RFC 4291 §2.5.6).
    public var isLinkLocal: Bool { high >> 54 == 0xFE80 >> 6 }

    /// ff02::1:ffXX:XXXX, where neighbours ask for this address (RFC 4291 §2.7.1).
    public var solicitedNodeGroup: IPv6Address {
        IPv6Address(high: 0xFF02 << 48, low: 0x1_FF00_0000 | low & 0xFF_FFFF)
    }

    /// The sixteen bytes in network order.
    public var octets: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        bytes.appendBigEndian(high)
        bytes.appendBigEndian(low)
        return bytes
    }
}

/// An address of either family.
public enum IPAddress: Hashable, Sendable {
    /// An IPv4 address.
    case v4(IPv4Address)
    /// An IPv6 address.
    case v6(IPv6Address)

    /// Parses either family's text form; IPv6 without brackets.
    public init?(_ text: some StringProtocol) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// Makes an IPv4 address from its four numbers.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        self = .v4(IPv4Address(a, b, c, d))
    }

    /// True for 0.0.0.0 and `::`.
    public var isAny: Bool { self == .v4(.any) || self == .v6(.any) }

    /// Which family the address belongs to.
    public var family: AddressFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }

    /// The IPv4 address; `nil` for IPv6.
    public var ipv4: IPv4Address? {
        guard case .v4(let address) = self else { return nil }
        return address
    }

    /// The IPv6 address; `nil` for IPv4.
    public var ipv6: IPv6Address? {
        guard case .v6(let address) = self else { return nil }
        return address
    }

    /// True for 224.0.0.0/4 and ff00::/8.
    public var isMulticast: Bool {
        switch self {
        case .v4(let address): address.isMulticast
        case .v6(let address): address.isMulticast
        }
    }
}

/// The two versions of IP; the raw value serves in logs, metrics and JSON.
public enum AddressFamily: String, Hashable, Sendable, CaseIterable {
    /// IP version 4.
    case ipv4
    /// IP version 6.
    case ipv6

    /// Bytes of an address: 4 or 16.
    public var addressByteCount: Int { self == .ipv4 ? 4 : 16 }
}

extension IPAddress: Comparable {
    /// Compares as unsigned numbers in network order; IPv4 comes before IPv6.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left < right
        case (.v6(let left), .v6(let right)): left < right
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

extension IPAddress: CustomStringConvertible {
    /// The address in its family's text form.
    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }
}

/// An address and a port: where to bind or connect.
public struct Endpoint: Hashable, Sendable {
    /// The address.
    public var address: IPAddress
    /// The TCP or UDP port in host byte order.
    public var port: UInt16

    /// Makes an endpoint.
    @inlinable
    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Parses `10.0.0.1:80` or `[::1]:80`; `nil` when a part is missing or malformed.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits)
        else { return nil }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard let address = IPv6Address(host) else { return nil }
            self.init(address: .v6(address), port: port)
        } else {
            guard let address = IPv4Address(host) else { return nil }
            self.init(address: .v4(address), port: port)
        }
    }
}

extension Endpoint: CustomStringConvertible {
    /// `10.0.0.1:80` or `[::1]:80`.
    public var description: String {
        switch address {
        case .v4(let address): "\(address):\(port)"
        case .v6(let address): "[\(address)]:\(port)"
        }
    }
}
