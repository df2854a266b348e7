// SPDX-License-Identifier: Apache-2.0
//
// Which adverts a virtual router takes.

public import WireCore

/// What a packet must be to count as an advert for a virtual router.
public struct AdvertisementPolicy: Sendable {
    /// The VRIDs configured on the interface that packets come in on.
    public var virtualRouterIDs: [UInt8]
    /// The only version taken.
    public var version: AdvertisementVersion
    /// The only family taken.
    public var family: AddressFamily
    /// The checksum form that the router itself sends; both are taken.
    public var checksum: ChecksumForm
    /// With a key only adverts that it authenticates are taken, without one only plain ones.
    public var key: AdvertisementKey?
    /// The router's own address: what comes from it was reflected or is a lie.
    public var ownAddress: IPAddress?
    /// Where adverts must be sent to: the group, or the own address; `nil` takes any.
    public var destination: IPAddress?
    /// Where adverts must come from when they are unicast; `nil` takes any.
    public var peer: IPAddress?
    /// With version 2, the own Advertisement_Interval; `nil` takes any.
    ///
    /// RFC 3768 §7.1 drops adverts with another one; RFC 9568 keeps them.
    public var version2IntervalCentiseconds: UInt16?

    /// Makes a policy; by default that of a plain version 3 router over IPv4.
    public init(
        virtualRouterIDs: [UInt8], version: AdvertisementVersion = .version3,
        family: AddressFamily = .ipv4, checksum: ChecksumForm = .rfc9568,
        key: AdvertisementKey? = nil, ownAddress: IPAddress? = nil,
        destination: IPAddress? = nil, peer: IPAddress? = nil,
        version2IntervalCentiseconds: UInt16? = nil
    ) {
        self.virtualRouterIDs = virtualRouterIDs
        self.version = version
        self.family = family
        self.checksum = checksum
        self.key = key
        self.ownAddress = ownAddress
        self.destination = destination
        self.peer = peer
        self.version2IntervalCentiseconds = version2IntervalCentiseconds
    }

    /// The checks on the addresses of the IP header.
    func checkCarrier(_ carrier: PseudoHeader) throws(AdvertisementError) {
        let source = carrier.source
        // Nobody's primary address (RFC 9568 §5.1.1.1, §5.1.2.1), and never the smaller one.
        guard !source.isAny, !source.isMulticast else {
            throw AdvertisementError(.sourceAddress, got: source)
        }
        guard source != ownAddress else { throw AdvertisementError(.ownSource, got: source) }
        // RFC 9568 §5.1.1.2, §5.1.2.2: the group, unless unicast is configured.
        if let destination, carrier.destination != destination {
            throw AdvertisementError(
                .foreignDestination, got: carrier.destination, wanted: destination)
        }
        if let peer, source != peer {
            throw AdvertisementError(.foreignSource, got: source, wanted: peer)
        }
    }
}
