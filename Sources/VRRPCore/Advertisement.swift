// SPDX-License-Identifier: Apache-2.0
//
// A VRRP ADVERTISEMENT as a value, and the constants of the protocol.
// Bytes on the way out: Advertisement+Encoding. Receive checks: AdvertisementDecoder.

public import WireCore

/// One VRRP ADVERTISEMENT (RFC 9568 §5.1; version 2: RFC 3768 §5.1).
///
/// ```
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+---------------+---------------+
/// |Version| Type  | Virtual Rtr ID|   Priority    |IPvX Addr Count|
/// +-------+-------+---------------+---------------+---------------+
/// |Reserve| Max Advertise Interval|          Checksum             |
/// +-------+-----------------------+-------------------------------+
/// |                    IPv4 or IPv6 addresses ...                 |
/// ```
public struct Advertisement: Hashable, Sendable {
    /// VRID, 1-255 (RFC 9568 §5.2.3).
    public var virtualRouterID: UInt8
    /// 255 owner, 1-254 backups, 0 when the Active gives up (RFC 9568 §5.2.4).
    public var priority: UInt8
    /// Max Advertise Interval, 1-4095 (RFC 9568 §5.2.7, erratum 8301).
    ///
    /// Version 2 carries whole seconds (RFC 3768 §5.3.7): 100-25500 when received; when sent, a
    /// part of a second is left out and one second is the least.
    public var intervalCentiseconds: UInt16
    /// The virtual addresses, 1-255 of one family (RFC 9568 §5.2.9).
    public var addresses: [IPAddress]
    /// The protocol version.
    public var version: AdvertisementVersion

    /// The IP protocol number of VRRP (RFC 9568 §5.1.1.4).
    public static let protocolNumber: UInt8 = 112
    /// Where adverts over IPv4 go unless they are unicast (RFC 9568 §5.1.1.2).
    public static let multicastGroup = IPAddress(224, 0, 0, 18)
    /// Where adverts over IPv6 go unless they are unicast, ff02::12 (RFC 9568 §5.1.2.2).
    public static let multicastGroupIPv6 = IPAddress.v6(
        IPv6Address(high: 0xFF02 << 48, low: 0x12))
    /// The only time to live or hop limit sent and accepted (RFC 9568 §5.1.1.3, §5.1.2.3).
    public static let timeToLive: UInt8 = 255
    /// The only message type there is (RFC 9568 §5.2.2).
    public static let type: UInt8 = 1
    /// Bytes before the first address.
    public static let headerByteCount = 8
    /// What the twelve bits of Max Advertise Interval may hold (erratum 8301).
    public static let intervalCentisecondsRange: ClosedRange<UInt16> = 1...4095
    /// How many addresses the count field can say (RFC 9568 §5.2.5).
    public static let addressCountMax = 255
    /// Authentication Data of version 2: sent as zeros, ignored on receipt (RFC 3768 §5.3.10).
    public static let version2AuthenticationByteCount = 8

    /// Makes an advertisement.
    public init(
        virtualRouterID: UInt8, priority: UInt8, intervalCentiseconds: UInt16,
        addresses: [IPAddress], version: AdvertisementVersion = .version3
    ) {
        self.virtualRouterID = virtualRouterID
        self.priority = priority
        self.intervalCentiseconds = intervalCentiseconds
        self.addresses = addresses
        self.version = version
    }

    /// The family of the addresses and of the carrier (RFC 9568 §5.2.9).
    public var family: AddressFamily { addresses.first?.family ?? .ipv4 }

    /// Max Advertise Interval as a time.
    public var interval: TimeSpan {
        .milliseconds(UInt64(intervalCentiseconds) * 10)
    }

    /// The group that adverts of a family go to unless they are unicast.
    public static func group(of family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: multicastGroup
        case .ipv6: multicastGroupIPv6
        }
    }

    /// How many bytes a raw socket may deliver for one advert of a family.
    ///
    /// With the IP header, at its longest 60 bytes, where the socket delivers one: for IPv4.
    public static func byteCountMax(of family: AddressFamily) -> Int {
        let carrier = family == .ipv4 ? 60 : 0
        return carrier + headerByteCount + addressCountMax * family.addressByteCount
            + version2AuthenticationByteCount + AuthenticationTrailer.byteCount
    }

    /// Whether the advert names the configured addresses, given in numeric order.
    ///
    /// Order does not count; neither does the link-local address that a sender over IPv6 must put
    /// first (RFC 9568 §5.2.9) when none is configured.
    public func listsSameAddresses(as sorted: [IPAddress]) -> Bool {
        var own = addresses
        if own.count == sorted.count + 1, let first = own.first?.ipv6, first.isLinkLocal,
            !sorted.contains(.v6(first))
        {
            own.removeFirst()
        }
        return own.count == sorted.count && own.sorted() == sorted
    }
}
