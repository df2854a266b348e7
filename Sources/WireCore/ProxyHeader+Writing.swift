// SPDX-License-Identifier: Apache-2.0
//
// The PROXY headers that we begin connections to backends with. Both versions carry what both
// ends are; an IPv4 end beside an IPv6 end is written as an IPv4-mapped IPv6 address.

extension ProxyHeader {
    /// The line of version 1; without a connection to speak for it says UNKNOWN.
    public static func line(for connection: Connection?) -> [UInt8] {
        guard let connection else { return Array("PROXY UNKNOWN\r\n".utf8) }
        let (source, destination) = connection.inOneFamily
        let family =
            switch source.address {
            case .v4: "TCP4"
            case .v6: "TCP6"
            }
        let ends = "\(source.address) \(destination.address) \(source.port) \(destination.port)"
        let line = Array("PROXY \(family) \(ends)\r\n".utf8)
        assert(line.count <= lineByteCountMax)
        return line
    }

    /// The header of version 2; without a connection to speak for it says LOCAL.
    public static func binary(for connection: Connection?) -> [UInt8] {
        var header: [UInt8] = []
        header.reserveCapacity(fixedByteCount + 36)
        for index in signature.indices { header.append(signature[index]) }
        guard let connection else { return header + [0x20, 0x00, 0x00, 0x00] }
        let (source, destination) = connection.inOneFamily
        header.append(0x21)
        if case .v4(let from) = source.address, case .v4(let to) = destination.address {
            header += [0x11, 0, 12]
            header.appendBigEndian(from.rawValue)
            header.appendBigEndian(to.rawValue)
        } else {
            header += [0x21, 0, 36]
            for end in [source.address.mapped, destination.address.mapped] {
                header.appendBigEndian(end.high)
                header.appendBigEndian(end.low)
            }
        }
        header.appendBigEndian(source.port)
        header.appendBigEndian(destination.port)
        return header
    }
}

extension ProxyHeader.Connection {
    /// Both ends with addresses of the same family, IPv4 where that is possible.
    fileprivate var inOneFamily: (Endpoint, Endpoint) {
        var ends = (source, destination)
        ends.0.address = source.address.unmapped
        ends.1.address = destination.address.unmapped
        guard ends.0.address.bitWidth != ends.1.address.bitWidth else { return ends }
        ends.0.address = .v6(ends.0.address.mapped)
        ends.1.address = .v6(ends.1.address.mapped)
        return ends
    }
}

extension IPAddress {
    /// The address as an IPv6 address (RFC 4291 §2.5.5.2).
    fileprivate var mapped: IPv6Address {
        switch self {
        case .v4(let address): IPv6Address(high: 0, low: 0xFFFF << 32 | UInt64(address.rawValue))
        case .v6(let address): address
        }
    }
}
