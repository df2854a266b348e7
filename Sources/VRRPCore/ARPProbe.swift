// SPDX-License-Identifier: Apache-2.0
//
// The frame that asks who holds an IPv4 address without claiming one.

public import WireCore

/// ARP probe (RFC 5227 §2.1.1).
public enum ARPProbe {
    /// A broadcast Ethernet frame: an ARP request whose sender address is 0.0.0.0.
    ///
    /// No cache changes by it, so it is safe on the node that does not hold the address as well.
    /// Every holder answers; that there is more than one is what the sender wants to know.
    public static func frame(mac: HardwareAddress, address: IPv4Address) -> [UInt8] {
        // RFC 5227 §2.1.1: sender address all zeros; target hardware address SHOULD be zeros.
        ARPPacket(
            .request, senderMAC: mac, senderAddress: .any,
            targetMAC: HardwareAddress(rawValue: 0), targetAddress: address
        ).frame(to: .broadcast)
    }
}
