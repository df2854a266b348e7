// SPDX-License-Identifier: Apache-2.0
//
// IPv4 packets around VRRP messages, with a place to go wrong for each receive check.

import VRRPCore
import WireCore

/// An IPv4 packet as a raw socket delivers it; every field may be spoilt.
struct PacketBuilder {
    var versionNibble: UInt8 = 4
    /// In 32-bit words; `nil` follows from the options.
    var headerWords: UInt8?
    /// `nil` follows from the parts.
    var totalByteCount: UInt16?
    var timeToLive: UInt8 = 255
    var protocolNumber: UInt8 = 112
    var source = IPAddress(10, 77, 0, 11)
    var destination = Advertisement.multicastGroup
    var options: [UInt8] = []
    var message: [UInt8]
    /// What the Ethernet card adds after the packet.
    var padding: [UInt8] = []

    /// Around the sample advertisement in a checksum form.
    init(
        _ advertisement: Advertisement = .sample, checksum form: ChecksumForm = .rfc9568
    ) {
        message = advertisement.encoded(
            checksum: form, source: source, destination: destination)
    }

    /// The packet's bytes; the IP header checksum is the kernel's business and left out.
    var bytes: [UInt8] {
        let headerByteCount = 20 + options.count
        var bytes: [UInt8] = []
        bytes.append(versionNibble << 4 | (headerWords ?? UInt8(headerByteCount / 4)))
        bytes.append(0xC0)
        bytes.appendBigEndian(totalByteCount ?? UInt16(headerByteCount + message.count))
        bytes.appendBigEndian(UInt32(0x1234_0000))
        bytes.append(timeToLive)
        bytes.append(protocolNumber)
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(source.ipv4?.rawValue ?? 0)
        bytes.appendBigEndian(destination.ipv4?.rawValue ?? 0)
        return bytes + options + message + padding
    }

    /// Sets one byte of the message and makes the RFC 9568 checksum right again.
    mutating func setMessageByte(_ index: Int, to value: UInt8) {
        message[index] = value
        fixChecksum()
    }

    /// Makes the RFC 9568 checksum right.
    mutating func fixChecksum() {
        message[6] = 0
        message[7] = 0
        var sum = InternetChecksum()
        for byte in message { sum.add(byte: byte) }
        message[6] = UInt8(sum.value >> 8)
        message[7] = UInt8(sum.value & 0xFF)
    }

    /// The decoded packet, for a node that has VRID 51 configured.
    func decoded() throws(AdvertisementError) -> ReceivedAdvertisement {
        try decode(bytes)
    }
}

/// Decodes a packet for a node that has VRID 51 configured.
func decode(_ packet: [UInt8]) throws(AdvertisementError) -> ReceivedAdvertisement {
    try ReceivedAdvertisement.decode(packet.span.bytes, virtualRouterIDs: [51])
}

extension Advertisement {
    /// What node 10.77.0.11 of the lab sends.
    static let sample = Advertisement(
        virtualRouterID: 51, priority: 200, intervalCentiseconds: 1,
        addresses: [IPAddress(10, 77, 0, 100)])
}

/// Bytes from hexadecimal text; blanks and line ends do not count.
func hex(_ text: String) -> [UInt8] {
    text.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0, radix: 16) }
}
