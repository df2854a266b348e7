// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about an interface and about an address, as values.

public import WireCore

/// An interface as the kernel described it at one moment.
public struct NetworkLink: Hashable, Sendable {
    /// The interface's number in this network namespace.
    public var index: Int
    /// The interface's name.
    public var name: String
    /// The link-layer address: 6 bytes on Ethernet, none on a TUN.
    public var hardwareAddress: [UInt8]
    /// Largest packet in bytes.
    public var mtuByteCount: Int
    /// Whether it was switched on (IFF_UP).
    public var isUp: Bool
    /// Whether the other end of the cable is there (IFF_LOWER_UP).
    public var hasCarrier: Bool

    /// Makes a description.
    public init(
        index: Int, name: String, hardwareAddress: [UInt8], mtuByteCount: Int, isUp: Bool,
        hasCarrier: Bool
    ) {
        self.index = index
        self.name = name
        self.hardwareAddress = hardwareAddress
        self.mtuByteCount = mtuByteCount
        self.isUp = isUp
        self.hasCarrier = hasCarrier
    }
}

/// An address on an interface.
public struct InterfaceAddress: Hashable, Sendable {
    /// The interface's number.
    public var interfaceIndex: Int
    /// The address.
    public var address: IPAddress
    /// How many leading bits name the network.
    public var prefixLength: Int
    /// Whether another address of the same network came first (IFA_F_SECONDARY).
    public var isSecondary: Bool
    /// Whether it may be used: its duplicate address detection is over and found none.
    public var isUsable: Bool
    /// Seconds until the kernel removes it; `nil` for never.
    public var validSeconds: UInt32?

    /// Makes an address.
    public init(
        interfaceIndex: Int, address: IPAddress, prefixLength: Int, isSecondary: Bool,
        validSeconds: UInt32?, isUsable: Bool = true
    ) {
        self.interfaceIndex = interfaceIndex
        self.address = address
        self.prefixLength = prefixLength
        self.isSecondary = isSecondary
        self.validSeconds = validSeconds
        self.isUsable = isUsable
    }
}
