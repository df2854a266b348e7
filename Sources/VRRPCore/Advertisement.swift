// SPDX-License-Identifier: Apache-2.0
//
// The VRRP version 3 ADVERTISEMENT for IPv4 as a value, and its bytes on the way out.
// Owns no receive check: see ReceivedAdvertisement.

public import WireCore

/// Which bytes the checksum of a version 3 advertisement over IPv4 covers.
///
/// RFC 9568 §5.2.8 took the pseudo-header out; stock keepalived and FRR still send and demand it.
public enum ChecksumForm: String, Hashable, Sendable, CaseIterable {
    /// The VRRP message alone (RFC 9568 §5.2.8); the default.
    case rfc9568
    /// The VRRP message after an IPv4 pseudo-header (RFC 5798 §5.2.8).
    case rfc5798
}

/// One VRRP version 3 ADVERTISEMENT for IPv4 (RFC 9568 §5.1).
///
/// ```
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+---------------+---------------+
/// |Version| Type  | Virtual Rtr ID|   Priority    |IPvX Addr Count|
/// +-------+-------+---------------+---------------+---------------+
/// |Reserve| Max Advertise Interval|          Checksum             |
/// +-------+-----------------------+-------------------------------+
/// |                       IPv4 addresses ...                      |
/// ```
public struct Advertisement: Hashable, Sendable {
    /// VRID, 1-255 (RFC 9568 §5.2.3).
    public var virtualRouterID: UInt8
    /// 255 owner, 1-254 backups, 0 when the Active gives up (RFC 9568 §5.2.4).
    public var priority: UInt8
    /// Max Advertise Interval, 1-4095 (RFC 9568 §5.2.7, erratum 8301).
    public var intervalCentiseconds: UInt16
    /// The virtual addresses, 1-255 of them (RFC 9568 §5.2.9).
    public var addresses: [IPAddress]

    /// The IP protocol number of VRRP (RFC 9568 §5.1.1.4).
    public static let protocolNumber: UInt8 = 112
    /// Where adverts go unless they are unicast (RFC 9568 §5.1.1.2).
    public static let multicastGroup = IPAddress(224, 0, 0, 18)
    /// The only time to live sent and accepted (RFC 9568 §5.1.1.3).
    public static let timeToLive: UInt8 = 255
    /// The only protocol version spoken (RFC 9568 §5.2.1).
    public static let version: UInt8 = 3
    /// The only message type there is (RFC 9568 §5.2.2).
    public static let type: UInt8 = 1
    /// Bytes before the first address.
    public static let headerByteCount = 8
    /// What the twelve bits of Max Advertise Interval may hold (erratum 8301).
    public static let intervalCentisecondsRange: ClosedRange<UInt16> = 1...4095

    /// Makes an advertisement.
    public init(
        virtualRouterID: UInt8, priority: UInt8, intervalCentiseconds: UInt16,
        addresses: [IPAddress]
    ) {
        self.virtualRouterID = virtualRouterID
        self.priority = priority
        self.intervalCentiseconds = intervalCentiseconds
        self.addresses = addresses
    }

    /// Max Advertise Interval as a time.
    public var interval: TimeSpan {
        .milliseconds(UInt64(intervalCentiseconds) * 10)
    }

    /// The message as a raw socket takes it: without IP header, checksum filled in.
    ///
    /// `source` and `destination` are those of the IP header; only the RFC 5798 form uses them.
    public func encoded(
        checksum form: ChecksumForm, source: IPAddress, destination: IPAddress
    ) -> [UInt8] {
        precondition(Self.intervalCentisecondsRange.contains(intervalCentiseconds))
        precondition((1...255).contains(addresses.count))
        var bytes: [UInt8] = []
        let addressByteCount = addresses[0].family.addressByteCount
        bytes.reserveCapacity(Self.headerByteCount + addressByteCount * addresses.count)
        bytes.append(Self.version << 4 | Self.type)
        bytes.append(virtualRouterID)
        bytes.append(priority)
        bytes.append(UInt8(addresses.count))
        // RFC 9568 §5.2.6: the reserve bits are zero when sent.
        bytes.appendBigEndian(intervalCentiseconds)
        bytes.appendBigEndian(UInt16(0))
        for address in addresses {
            switch address {
            case .v4(let address): bytes.appendBigEndian(address.rawValue)
            case .v6(let address): bytes.append(contentsOf: address.octets)
            }
        }

        let sum = unsafe Self.checksum(
            of: bytes.span.bytes, form: form, source: source, destination: destination)
        bytes[6] = UInt8(truncatingIfNeeded: sum >> 8)
        bytes[7] = UInt8(truncatingIfNeeded: sum)
        assert(bytes.count == Self.headerByteCount + addressByteCount * addresses.count)
        return bytes
    }

    /// The checksum of `message` in one form; 0 when the message already carries the right one.
    static func checksum(
        of message: RawSpan, form: ChecksumForm, source: IPAddress, destination: IPAddress
    ) -> UInt16 {
        var sum = InternetChecksum()
        switch form {
        case .rfc9568: break
        case .rfc5798:
            // RFC 793 pseudo-header: addresses, zero, protocol, length of the message.
            sum.add(address: source)
            sum.add(address: destination)
            sum.add(word: UInt16(protocolNumber))
            sum.add(word: UInt16(truncatingIfNeeded: message.byteCount))
        }
        sum.add(message)
        return sum.value
    }
}

extension InternetChecksum {
    fileprivate mutating func add(address: IPAddress) {
        switch address {
        case .v4(let address):
            add(word: UInt16(truncatingIfNeeded: address.rawValue >> 16))
            add(word: UInt16(truncatingIfNeeded: address.rawValue))
        case .v6(let address):
            for byte in address.octets { add(byte: byte) }
        }
    }
}
