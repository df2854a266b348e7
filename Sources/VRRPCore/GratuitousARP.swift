// SPDX-License-Identifier: Apache-2.0
//
// The frame that tells a LAN where a virtual address lives now. Says nothing about when to send.

public import WireCore

/// Gratuitous ARP for a virtual address (RFC 9568 §6.4.1 and §6.4.2, errata 7947 and 7949).
public enum GratuitousARP {
    /// EtherType of ARP, for the AF_PACKET socket that sends the frame.
    public static let etherType: UInt16 = 0x0806
    /// How long every frame is, before the padding that the device adds.
    public static let frameByteCount = 42

    /// A broadcast Ethernet frame: an ARP request whose sender and target are both `address`.
    ///
    /// The request form updates the caches of hosts that ignore unsolicited replies; keepalived
    /// and FRR send it as well. The target hardware address is the announced one, as the errata
    /// ask; receivers ignore it in requests.
    public static func frame(mac: HardwareAddress, address: IPv4Address) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(frameByteCount)
        bytes += HardwareAddress.broadcast.bytes
        bytes += mac.bytes
        bytes.appendBigEndian(etherType)
        // RFC 826: Ethernet, IPv4, address sizes 6 and 4, operation request.
        bytes.appendBigEndian(UInt16(1))
        bytes.appendBigEndian(UInt16(0x0800))
        bytes.append(6)
        bytes.append(4)
        bytes.appendBigEndian(UInt16(1))
        bytes += mac.bytes
        bytes.appendBigEndian(address.rawValue)
        bytes += mac.bytes
        bytes.appendBigEndian(address.rawValue)
        assert(bytes.count == frameByteCount)
        return bytes
    }
}
