// SPDX-License-Identifier: Apache-2.0
//
// The frame that tells a LAN where a virtual IPv4 address lives now. Says nothing about when to
// send.

public import WireCore

/// Gratuitous ARP for a virtual address (RFC 9568 §6.4.1 and §6.4.2, errata 7947 and 7949).
public enum GratuitousARP {
    /// EtherType of ARP, for the AF_PACKET socket that sends the frame.
    public static let etherType = ARPPacket.etherType
    /// How long every frame is, before the padding that the device adds.
    public static let frameByteCount = ARPPacket.frameByteCount

    /// A broadcast Ethernet frame: an ARP request whose sender and target are both `address`.
    ///
    /// The request form updates the caches of hosts that ignore unsolicited replies; keepalived
    /// and FRR send it as well. The target hardware address is the announced one, as the errata
    /// ask; receivers ignore it in requests.
    public static func frame(mac: HardwareAddress, address: IPv4Address) -> [UInt8] {
        ARPPacket(
            .request, senderMAC: mac, senderAddress: address, targetMAC: mac,
            targetAddress: address
        ).frame(to: .broadcast)
    }
}
