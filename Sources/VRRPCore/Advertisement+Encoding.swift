// SPDX-License-Identifier: Apache-2.0
//
// The bytes of an advertisement on the way out, for both versions and both families.

public import WireCore

extension Advertisement {
    /// The message as a raw socket takes it: without IP header, checksum filled in.
    ///
    /// - Parameters:
    ///   - form: what the checksum of version 3 over IPv4 covers.
    ///   - source: the source of the IP header.
    ///   - destination: the destination of the IP header.
    ///   - linkLocal: over IPv6, what goes before addresses of which none is link-local; `nil`
    ///     takes the source.
    /// - Returns: the message's bytes.
    public func encoded(
        checksum form: ChecksumForm, source: IPAddress, destination: IPAddress,
        linkLocal: IPv6Address? = nil
    ) -> [UInt8] {
        var bytes = unsealed(source: source, linkLocal: linkLocal)
        seal(&bytes, form, PseudoHeader(source: source, destination: destination))
        return bytes
    }

    /// The message with an authentication trailer, otherwise as `encoded` without one.
    ///
    /// Every call takes the signer's next sequence number: encode anew for every packet.
    public func encoded(
        checksum form: ChecksumForm, source: IPAddress, destination: IPAddress,
        linkLocal: IPv6Address? = nil, signer: inout AdvertisementSigner
    ) -> [UInt8] {
        let carrier = PseudoHeader(source: source, destination: destination)
        var bytes = unsealed(source: source, linkLocal: linkLocal)
        signer.sign(&bytes, carrier)
        // The trailer is part of the IP payload; whoever checks sums over all of it is satisfied.
        seal(&bytes, form, carrier)
        return bytes
    }

    /// The message with a checksum of zero.
    private func unsealed(source: IPAddress, linkLocal: IPv6Address?) -> [UInt8] {
        let listed = addressesOnTheWire(linkLocal: linkLocal ?? source.ipv6)
        let family = listed.first?.family ?? .ipv4
        precondition((1...Self.addressCountMax).contains(listed.count))
        precondition(listed.allSatisfy { $0.family == family } && source.family == family)
        precondition(version == .version3 || family == .ipv4)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCountMax(of: family))
        bytes.append(version.rawValue << 4 | Self.type)
        bytes.append(virtualRouterID)
        bytes.append(priority)
        bytes.append(UInt8(listed.count))
        bytes.appendBigEndian(intervalField)
        bytes.appendBigEndian(UInt16(0))
        for address in listed { bytes.append(address) }
        if version == .version2 {
            bytes += [UInt8](repeating: 0, count: Self.version2AuthenticationByteCount)
        }
        return bytes
    }

    /// Bytes 4 and 5.
    private var intervalField: UInt16 {
        switch version {
        case .version2:
            // RFC 3768 §5.3.6 and §5.3.7: no authentication (type 0), then whole seconds.
            return min(max(intervalCentiseconds / 100, 1), 255)
        case .version3:
            // RFC 9568 §5.2.6: the reserve bits are zero when sent.
            precondition(Self.intervalCentisecondsRange.contains(intervalCentiseconds))
            return intervalCentiseconds
        }
    }

    /// RFC 9568 §5.2.9: over IPv6 the first address must be link-local.
    private func addressesOnTheWire(linkLocal: IPv6Address?) -> [IPAddress] {
        guard family == .ipv6 else { return addresses }
        if let index = addresses.firstIndex(where: { $0.ipv6?.isLinkLocal ?? false }) {
            var listed = addresses
            listed.insert(listed.remove(at: index), at: 0)
            return listed
        }
        guard let linkLocal, linkLocal.isLinkLocal else { return addresses }
        return [.v6(linkLocal)] + addresses
    }

    private func seal(_ bytes: inout [UInt8], _ form: ChecksumForm, _ carrier: PseudoHeader) {
        let header = Self.coversCarrier(version, family, form) ? carrier : nil
        let sum = unsafe Self.checksum(of: bytes.span.bytes, after: header)
        bytes[6] = UInt8(truncatingIfNeeded: sum >> 8)
        bytes[7] = UInt8(truncatingIfNeeded: sum)
    }

    /// Whether the checksum covers a pseudo-header.
    ///
    /// RFC 9568 §5.2.8: over IPv6 it does, over IPv4 it does not; RFC 3768 §5.3.8: it does not.
    static func coversCarrier(
        _ version: AdvertisementVersion, _ family: AddressFamily, _ form: ChecksumForm
    ) -> Bool {
        switch (family, version) {
        case (.ipv6, _): true
        case (.ipv4, .version2): false
        case (.ipv4, .version3): form == .rfc5798
        }
    }

    /// The checksum to store; 0 when the message already carries the right one.
    static func checksum(of message: RawSpan, after header: PseudoHeader?) -> UInt16 {
        var sum = InternetChecksum()
        if let header {
            sum.add(header, protocolNumber: protocolNumber, byteCount: message.byteCount)
        }
        sum.add(message)
        return sum.value
    }
}
