// SPDX-License-Identifier: Apache-2.0
//
// Where a virtual router meets a LAN: what its ports to the wire are made from.

public import ConfigurationCore
public import NetlinkIO
public import WireCore

/// One virtual router of one family on one interface, as its ports see it.
public struct AttachmentPoint: Hashable, Sendable {
    /// The interface.
    public var link: NetworkLink
    /// VRID, 1-255.
    public var virtualRouterID: UInt8
    /// Which of the two virtual routers with this VRID.
    public var family: AddressFamily
    /// Its virtual addresses, all of `family`.
    public var addresses: [IPAddress]
    /// How adverts travel.
    public var transport: AdvertisementTransport
    /// Where adverts come from; `nil` while the interface has no such address yet.
    public var ownAddress: IPAddress?
    /// The other node's address; `nil` when it is only known from its adverts.
    public var peerAddress: IPAddress?
    /// VRIDs of this family on this interface that have channels of their own.
    public var otherVirtualRouterIDs: [UInt8]
    /// Whether the virtual router has its own MAC address (RFC 9568 §7.3).
    public var hasVirtualMAC: Bool

    /// Describes a point.
    public init(
        link: NetworkLink, virtualRouterID: UInt8, family: AddressFamily, addresses: [IPAddress],
        transport: AdvertisementTransport, ownAddress: IPAddress?, peerAddress: IPAddress?,
        otherVirtualRouterIDs: [UInt8] = [], hasVirtualMAC: Bool = false
    ) {
        self.link = link
        self.virtualRouterID = virtualRouterID
        self.family = family
        self.addresses = addresses
        self.transport = transport
        self.ownAddress = ownAddress
        self.peerAddress = peerAddress
        self.otherVirtualRouterIDs = otherVirtualRouterIDs
        self.hasVirtualMAC = hasVirtualMAC
    }
}
