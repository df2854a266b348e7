// SPDX-License-Identifier: Apache-2.0
//
// What a checksum covers of the packet that carries a message.

internal import WireCore

/// The addresses of an IP header (RFC 793 §3.1, RFC 8200 §8.1).
struct PseudoHeader: Hashable, Sendable {
    var source: IPAddress
    var destination: IPAddress
}

extension InternetChecksum {
    /// Adds a pseudo-header: addresses, length and protocol.
    ///
    /// The fields of IPv4 and IPv6 differ in size and order only, which a sum does not see as long
    /// as the length fits sixteen bits.
    mutating func add(_ header: PseudoHeader, protocolNumber: UInt8, byteCount: Int) {
        add(address: header.source)
        add(address: header.destination)
        add(word: UInt16(protocolNumber))
        add(word: UInt16(truncatingIfNeeded: byteCount))
    }

    private mutating func add(address: IPAddress) {
        switch address {
        case .v4(let address):
            add(word: UInt16(truncatingIfNeeded: address.rawValue >> 16))
            add(word: UInt16(truncatingIfNeeded: address.rawValue))
        case .v6(let address):
            for byte in address.octets { add(byte: byte) }
        }
    }
}

extension [UInt8] {
    /// Appends an address, 4 or 16 bytes.
    mutating func append(_ address: IPAddress) {
        switch address {
        case .v4(let address): appendBigEndian(address.rawValue)
        case .v6(let address):
            appendBigEndian(address.high)
            appendBigEndian(address.low)
        }
    }
}
