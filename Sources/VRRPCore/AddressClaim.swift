// SPDX-License-Identifier: Apache-2.0
//
// What every ARP packet and neighbour advertisement says, whatever it was sent for.

public import WireCore

/// Somebody says where an address lives.
public struct AddressClaim: Hashable, Sendable {
    /// The address.
    public var address: IPAddress
    /// The station that claims it.
    public var mac: HardwareAddress

    /// Makes a claim.
    public init(address: IPAddress, mac: HardwareAddress) {
        self.address = address
        self.mac = mac
    }
}
