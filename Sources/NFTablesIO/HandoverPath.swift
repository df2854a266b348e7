// SPDX-License-Identifier: Apache-2.0
//
// One way between the two nodes on which packets for virtual addresses are passed on: a value.

public import WireCore

/// Virtual addresses of one family on one interface, and who is at both ends.
public struct HandoverPath: Hashable, Sendable {
    /// The interface of this node on which the other one is reached.
    public let interface: String
    /// This node's own address there.
    public let ownAddress: IPAddress
    /// The other node's own address there.
    public let peerAddress: IPAddress
    /// What frames of the other node come from: six bytes, or none when it has no such address.
    public let peerHardwareAddress: [UInt8]
    /// The virtual addresses, all of one family.
    public let addresses: [IPAddress]

    /// Makes a path; `nil` when it cannot be written as rules.
    public init?(
        interface: String, ownAddress: IPAddress, peerAddress: IPAddress,
        peerHardwareAddress: [UInt8], addresses: [IPAddress]
    ) {
        let family = ownAddress.family
        // The kernel allows more in names, but a quote would end the name in the rule.
        guard !interface.isEmpty, interface.utf8.allSatisfy(Self.mayBeInName),
            peerAddress.family == family, !addresses.isEmpty,
            addresses.allSatisfy({ $0.family == family }),
            [0, 6].contains(peerHardwareAddress.count)
        else { return nil }
        self.interface = interface
        self.ownAddress = ownAddress
        self.peerAddress = peerAddress
        self.peerHardwareAddress = peerHardwareAddress
        self.addresses = addresses
    }

    private static func mayBeInName(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
}
