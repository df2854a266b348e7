// SPDX-License-Identifier: Apache-2.0
//
// The frame that asks a neighbour whether it is there.

public import WireCore

/// An ordinary ARP request (RFC 826), for a gateway that serves as a witness.
public enum ARPRequest {
    /// An Ethernet frame from the node's own address.
    ///
    /// To everybody, or to the station that answered before: RFC 1122 §2.3.2.1 polls by unicast so
    /// that a whole LAN is not woken up for one neighbour.
    public static func frame(
        mac: HardwareAddress, sender: IPv4Address, target: IPv4Address,
        to destination: HardwareAddress = .broadcast
    ) -> [UInt8] {
        ARPPacket(
            .request, senderMAC: mac, senderAddress: sender,
            targetMAC: HardwareAddress(rawValue: 0), targetAddress: target
        ).frame(to: destination)
    }
}
