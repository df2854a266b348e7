// SPDX-License-Identifier: Apache-2.0
//
// An advertisement together with what its carrier says about it.

public import WireCore

/// An advertisement that passed every receive check.
public struct ReceivedAdvertisement: Hashable, Sendable {
    /// The message.
    public var advertisement: Advertisement
    /// The sender's primary address: the source of the IP header.
    public var source: IPAddress
    /// The multicast group or the own address.
    public var destination: IPAddress
    /// Which checksum the sender uses; both are accepted.
    ///
    /// Version 2 and IPv6 have one form only; for them it is the form of the policy.
    public var checksumForm: ChecksumForm

    /// Makes a received advertisement.
    public init(
        advertisement: Advertisement, source: IPAddress, destination: IPAddress,
        checksumForm: ChecksumForm
    ) {
        self.advertisement = advertisement
        self.source = source
        self.destination = destination
        self.checksumForm = checksumForm
    }

    /// Decodes an IPv4 packet, header included, for a plain version 3 router.
    ///
    /// `virtualRouterIDs` are those configured on the interface the packet came in on.
    public static func decode(
        _ packet: RawSpan, virtualRouterIDs: [UInt8]
    ) throws(AdvertisementError) -> ReceivedAdvertisement {
        var decoder = AdvertisementDecoder(
            AdvertisementPolicy(virtualRouterIDs: virtualRouterIDs))
        return try decoder.decode(ipv4Packet: packet)
    }
}
