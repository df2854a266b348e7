// SPDX-License-Identifier: Apache-2.0
//
// The receive checks of RFC 9568 §7.1 and RFC 3768 §7.1 over one packet as a raw socket delivers
// it. Checks that keep the packet (interval, address list, second owner) are the state machine's.

public import WireCore

/// Makes every check that drops a packet; one for each virtual router.
public struct AdvertisementDecoder: Sendable {
    /// What is taken; may change at any time.
    public var policy: AdvertisementPolicy

    private var window = ReplayWindow()

    /// Makes a decoder that has heard nobody.
    public init(_ policy: AdvertisementPolicy) {
        self.policy = policy
    }

    /// Decodes an IPv4 packet, header included.
    ///
    /// Bytes after the IP total length are Ethernet padding and ignored. Bytes between the last
    /// address and the IP total length that the policy does not ask for are refused, as keepalived
    /// and FRR do: they must never be taken for addresses. The time to live is checked for unicast
    /// as well: both ends are ours, one hop apart.
    public mutating func decode(
        ipv4Packet packet: RawSpan
    ) throws(AdvertisementError) -> ReceivedAdvertisement {
        let header = try IPv4Header.decode(packet)
        // RFC 9568 §5.2.9: the family of the addresses is that of the carrier.
        guard policy.family == .ipv4 else {
            throw AdvertisementError(.ipVersion, got: 4, wanted: 6)
        }
        let message = packet.extracting(header.headerByteCount..<header.totalByteCount)
        return try decode(message, header.addresses)
    }

    /// Decodes what an IPv6 packet carries; the kernel says the rest.
    public mutating func decode(
        ipv6Message message: RawSpan, source: IPv6Address, destination: IPv6Address,
        hopLimit: UInt8
    ) throws(AdvertisementError) -> ReceivedAdvertisement {
        guard policy.family == .ipv6 else {
            throw AdvertisementError(.ipVersion, got: 6, wanted: 4)
        }
        // RFC 9568 §5.1.2.3 and §7.1: MUST verify that the Hop Limit is 255.
        try require(.hopLimit, Int(hopLimit), equals: Int(Advertisement.timeToLive))
        return try decode(
            message, PseudoHeader(source: .v6(source), destination: .v6(destination)))
    }

    /// Trusts the process of a sender, whatever was heard from its address before.
    ///
    /// A process that started with a clock behind that of the one before looks like a replay. When
    /// the authenticated pair link says which process runs there, its adverts count again.
    public mutating func expect(bootNonce: UInt64, from source: IPAddress) {
        window.expect(bootNonce: bootNonce, from: source)
    }

    private mutating func decode(
        _ message: RawSpan, _ carrier: PseudoHeader
    ) throws(AdvertisementError) -> ReceivedAdvertisement {
        try policy.checkCarrier(carrier)
        let fields = try AdvertisementFields.decode(message, policy)
        let form = try checksumForm(of: message, carrier)
        if let key = policy.key {
            try authenticate(message, fields, carrier, key)
        }
        let advertisement = Advertisement(
            virtualRouterID: fields.virtualRouterID, priority: fields.priority,
            intervalCentiseconds: fields.intervalCentiseconds,
            addresses: fields.addresses(in: message), version: policy.version)
        try checkContent(advertisement)
        return ReceivedAdvertisement(
            advertisement: advertisement, source: carrier.source,
            destination: carrier.destination, checksumForm: form)
    }

    private func checkContent(_ advertisement: Advertisement) throws(AdvertisementError) {
        // RFC 9568 §7.1 with erratum 8300: the first IPv6 address is link-local.
        if let first = advertisement.addresses.first, case .v6(let address) = first,
            !address.isLinkLocal
        {
            throw AdvertisementError(.firstAddress, got: first)
        }
        // RFC 3768 §7.1: MUST verify that the Adver Interval is the locally configured one.
        if policy.version == .version2, let own = policy.version2IntervalCentiseconds {
            try require(
                .intervalDiffers, Int(advertisement.intervalCentiseconds), equals: Int(own))
        }
    }

    /// The form whose checksum fits.
    ///
    /// RFC 9568 §7.1: MUST verify the VRRP checksum. Over IPv4 the RFC 5798 form of version 3 is
    /// accepted as well.
    private func checksumForm(
        of message: RawSpan, _ carrier: PseudoHeader
    ) throws(AdvertisementError) -> ChecksumForm {
        var forms = [policy.checksum]
        if policy.family == .ipv4, policy.version == .version3 {
            forms.append(policy.checksum == .rfc9568 ? .rfc5798 : .rfc9568)
        }
        for form in forms where residue(of: message, carrier, form) == 0 { return form }

        var reader = ByteReader(message)
        guard reader.readBytes(6) != nil, let got = reader.readUInt16() else {
            preconditionFailure("the fields were read before")
        }
        let wanted = forms.map { Int(repaired(residue(of: message, carrier, $0), got)) }
        throw AdvertisementError(
            .checksum, got: Int(got), wanted: wanted[0],
            detail: wanted.count > 1 ? .otherChecksum(wanted[1]) : nil)
    }

    private func residue(
        of message: RawSpan, _ carrier: PseudoHeader, _ form: ChecksumForm
    ) -> UInt16 {
        let covers = Advertisement.coversCarrier(policy.version, policy.family, form)
        return Advertisement.checksum(of: message, after: covers ? carrier : nil)
    }

    /// What the checksum field should hold when the sum over it as it is leaves a residue.
    private func repaired(_ residue: UInt16, _ field: UInt16) -> UInt16 {
        // RFC 1624 §3: adding the residue in one's complement makes the sum right.
        let sum = UInt32(residue) + UInt32(field)
        return UInt16(truncatingIfNeeded: (sum & 0xFFFF) + (sum >> 16))
    }

    /// The checks of an authenticated advert, the cheap ones first: a flood must not buy hashes.
    private mutating func authenticate(
        _ message: RawSpan, _ fields: AdvertisementFields, _ carrier: PseudoHeader,
        _ key: AdvertisementKey
    ) throws(AdvertisementError) {
        var reader = ByteReader(message.extracting(fields.plainByteCount..<message.byteCount))
        let trailer = try AuthenticationTrailer.decodeHead(&reader)
        try require(.authenticationKey, Int(trailer.keyID), equals: Int(key.id))
        if let objection = window.objection(
            to: trailer, from: carrier.source, virtualRouterID: fields.virtualRouterID)
        {
            throw objection
        }
        let tag = reader.readBytes(AuthenticationTrailer.tagByteCount) ?? []
        var whole = ByteReader(message)
        var covered =
            whole.readBytes(fields.plainByteCount + AuthenticationTrailer.headByteCount) ?? []
        covered[6] = 0
        covered[7] = 0
        guard areEqualTags(tag, key.tag(of: covered, carrier)) else {
            throw AdvertisementError(.authenticationTag, got: 0, wanted: 0)
        }
        window.accept(trailer, from: carrier.source, virtualRouterID: fields.virtualRouterID)
    }
}

/// The fixed fields of a message, and where its parts end.
private struct AdvertisementFields {
    var virtualRouterID: UInt8
    var priority: UInt8
    var intervalCentiseconds: UInt16
    var addressCount: Int
    var family: AddressFamily
    /// Everything but an authentication trailer.
    var plainByteCount: Int

    static func decode(
        _ message: RawSpan, _ policy: AdvertisementPolicy
    ) throws(AdvertisementError) -> AdvertisementFields {
        var reader = ByteReader(message)
        guard let versionAndType = reader.readUInt8(), let id = reader.readUInt8(),
            let priority = reader.readUInt8(), let count = reader.readUInt8(),
            let intervalField = reader.readUInt16(), reader.readUInt16() != nil
        else {
            throw AdvertisementError(
                .messageTruncated, got: message.byteCount, wanted: Advertisement.headerByteCount)
        }
        // RFC 9568 §7.1: MUST verify that the VRRP version is 3 (RFC 3768 §7.1: 2).
        try require(.version, Int(versionAndType >> 4), equals: Int(policy.version.rawValue))
        // RFC 9568 §5.2.2: a packet with unknown type MUST be discarded.
        try require(.type, Int(versionAndType & 0x0F), equals: Int(Advertisement.type))
        // RFC 9568 §7.1: MUST verify that the VRID is configured on the receiving interface.
        guard policy.virtualRouterIDs.contains(id) else {
            throw AdvertisementError(
                .virtualRouterID, got: Int(id), wanted: Int(policy.virtualRouterIDs.min() ?? 0))
        }
        // RFC 9568 §7.1 with erratum 8299: the address count is at least one.
        guard count >= 1 else { throw AdvertisementError(.addressCount, got: 0, wanted: 1) }
        let plainByteCount = Self.plainByteCount(Int(count), policy)
        try checkLength(message.byteCount, plainByteCount, isAuthenticated: policy.key != nil)
        return AdvertisementFields(
            virtualRouterID: id, priority: priority,
            intervalCentiseconds: try interval(intervalField, policy.version),
            addressCount: Int(count), family: policy.family, plainByteCount: plainByteCount)
    }

    func addresses(in message: RawSpan) -> [IPAddress] {
        var reader = ByteReader(
            message.extracting(Advertisement.headerByteCount..<message.byteCount))
        var addresses: [IPAddress] = []
        addresses.reserveCapacity(addressCount)
        while addresses.count < addressCount {
            switch family {
            case .ipv4:
                guard let raw = reader.readUInt32() else { return addresses }
                addresses.append(.v4(IPv4Address(rawValue: raw)))
            case .ipv6:
                guard let high = reader.readUInt64(), let low = reader.readUInt64() else {
                    return addresses
                }
                addresses.append(.v6(IPv6Address(high: high, low: low)))
            }
        }
        return addresses
    }

    private static func plainByteCount(_ count: Int, _ policy: AdvertisementPolicy) -> Int {
        let data =
            policy.version == .version2 ? Advertisement.version2AuthenticationByteCount : 0
        return Advertisement.headerByteCount + count * policy.family.addressByteCount + data
    }

    /// RFC 9568 §7.1: MUST verify that the received packet contains the complete message.
    ///
    /// Exact, not "at least": see `AdvertisementDecoder.decode(ipv4Packet:)`.
    private static func checkLength(
        _ got: Int, _ plain: Int, isAuthenticated: Bool
    ) throws(AdvertisementError) {
        guard isAuthenticated else {
            return try require(.messageLength, got, equals: plain)
        }
        guard got != plain else {
            throw AdvertisementError(
                .authenticationMissing, got: 0, wanted: AuthenticationTrailer.byteCount)
        }
        try require(.messageLength, got, equals: plain + AuthenticationTrailer.byteCount)
    }

    private static func interval(
        _ field: UInt16, _ version: AdvertisementVersion
    ) throws(AdvertisementError) -> UInt16 {
        let centiseconds: UInt16
        switch version {
        case .version2:
            // RFC 3768 §5.3.6: no authentication is type 0; §7.1: it MUST be the configured one.
            try require(.authenticationType, Int(field >> 8), equals: 0)
            centiseconds = (field & 0xFF) * 100
        case .version3:
            // RFC 9568 §5.2.6: the reserve bits are ignored on reception.
            centiseconds = field & 0x0FFF
        }
        // RFC 9568 §7.1 with erratum 8301: a zero interval would promote every backup at once.
        guard centiseconds != 0 else { throw AdvertisementError(.interval, got: 0, wanted: 1) }
        return centiseconds
    }
}

/// Throws unless a value is the wanted one.
func require(
    _ reason: AdvertisementError.Reason, _ got: Int, equals wanted: Int
) throws(AdvertisementError) {
    guard got == wanted else { throw AdvertisementError(reason, got: got, wanted: wanted) }
}
