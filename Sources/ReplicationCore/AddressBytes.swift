// SPDX-License-Identifier: Apache-2.0
//
// Addresses as the frames between two nodes carry them: their bytes in network order; the family is
// told elsewhere.

import WireCore

extension ByteReader {
    /// The next bytes as an address.
    mutating func readAddress(_ family: AddressFamily) -> IPAddress? {
        switch family {
        case .ipv4: return readUInt32().map { .v4(IPv4Address(rawValue: $0)) }
        case .ipv6:
            guard let high = readUInt64(), let low = readUInt64() else { return nil }
            return .v6(IPv6Address(high: high, low: low))
        }
    }
}

extension [UInt8] {
    /// Appends an address in network order.
    mutating func append(address: IPAddress) {
        switch address {
        case .v4(let address): appendBigEndian(address.rawValue)
        case .v6(let address):
            appendBigEndian(address.high)
            appendBigEndian(address.low)
        }
    }
}
