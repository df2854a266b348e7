// SPDX-License-Identifier: Apache-2.0
//
// Why a received packet is not an advertisement for us.

public import WireCore

/// A packet that failed a receive check (RFC 9568 §7.1): drop, count by `reason`, log at a limit.
public struct AdvertisementError: Error, Hashable, Sendable {
    /// The check that failed.
    public var reason: Reason
    /// What the packet says.
    public var got: Int
    /// What the check asks for; a minimum where the reason says so.
    public var wanted: Int
    /// What two numbers cannot say.
    public var detail: Detail?

    /// What belongs to some reasons beside two numbers.
    public enum Detail: Hashable, Sendable {
        /// The checksum of the form that the router itself does not send; it would do as well.
        case otherChecksum(Int)
        /// The address in the packet, and the only one that would do.
        case address(got: IPAddress, wanted: IPAddress?)
    }

    /// The receive checks, one counter each; the raw value serves as a metric label.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// Fewer bytes than an IPv4 header (`wanted` is the minimum).
        case packetTruncated = "packet_truncated"
        /// The IP version is not that of the router (RFC 9568 §5.2.9: the family follows it).
        case ipVersion = "ip_version"
        /// IHL claims fewer than 20 bytes or more than the packet has (`wanted` is the bound).
        case ipHeaderLength = "ip_header_length"
        /// IP total length claims more than was received or less than its own header.
        case ipTotalLength = "ip_total_length"
        /// The IP protocol is not 112 (RFC 9568 §5.1.1.4).
        case ipProtocol = "ip_protocol"
        /// The time to live is not 255 (RFC 9568 §5.1.1.3, §7.1).
        case timeToLive = "time_to_live"
        /// The hop limit is not 255 (RFC 9568 §5.1.2.3, §7.1).
        case hopLimit = "hop_limit"
        /// The source is no node's address: unspecified or a group.
        case sourceAddress = "source_address"
        /// From our own address: reflected by the network, or somebody copied it.
        case ownSource = "own_source"
        /// Unicast, and not from the other node.
        case foreignSource = "foreign_source"
        /// Sent to another address than the transport in use says (RFC 9568 §5.1.1.2).
        case foreignDestination = "foreign_destination"
        /// Fewer than 8 bytes of VRRP (RFC 9568 §7.1; `wanted` is the minimum).
        case messageTruncated = "message_truncated"
        /// The VRRP version is not the configured one (RFC 9568 §7.1).
        case version = "version"
        /// The VRRP type is not ADVERTISEMENT (RFC 9568 §5.2.2).
        case type = "type"
        /// The VRID is not configured here (RFC 9568 §7.1; `wanted` is the lowest configured).
        case virtualRouterID = "virtual_router_id"
        /// No address at all (RFC 9568 §7.1, erratum 8299).
        case addressCount = "address_count"
        /// The message is not exactly as long as its addresses ask for (RFC 9568 §7.1).
        case messageLength = "message_length"
        /// Version 2 with authentication (RFC 3768 §5.3.6: what there was is historic).
        case authenticationType = "authentication_type"
        /// Max Advertise Interval is zero (RFC 9568 §7.1, erratum 8301).
        case interval = "interval"
        /// Version 2 with another interval than ours, in centiseconds (RFC 3768 §7.1).
        case intervalDiffers = "interval_differs"
        /// The checksum fits no form (`wanted` is that of the form we send).
        case checksum = "checksum"
        /// The first IPv6 address is not link-local (RFC 9568 §7.1, erratum 8300).
        case firstAddress = "first_address"
        /// A plain advert where only authenticated ones count (`wanted` is the trailer's length).
        case authenticationMissing = "authentication_missing"
        /// A trailer of another kind or algorithm.
        case authenticationForm = "authentication_form"
        /// Made with another key (`got` and `wanted` identify keys, and are no part of them).
        case authenticationKey = "authentication_key"
        /// The tag does not fit: made without the key, or changed under way.
        case authenticationTag = "authentication_tag"
        /// Heard before, or older than what was heard (`wanted` is the minimum).
        case authenticationReplay = "authentication_replay"
        /// More senders than are told apart (`wanted` is the maximum).
        case authenticationSenders = "authentication_senders"
    }

    /// Makes an error.
    public init(_ reason: Reason, got: Int, wanted: Int, detail: Detail? = nil) {
        self.reason = reason
        self.got = got
        self.wanted = wanted
        self.detail = detail
    }

    /// Makes an error about an address.
    init(_ reason: Reason, got: IPAddress, wanted: IPAddress? = nil) {
        self.init(reason, got: 0, wanted: 0, detail: .address(got: got, wanted: wanted))
    }
}

extension AdvertisementError: CustomStringConvertible {
    /// `time_to_live: got 64, wanted 255`.
    public var description: String {
        "\(reason.rawValue): \(text)"
    }

    private var text: String {
        switch detail {
        case .address(let got, let wanted?): return "got \(got), wanted \(wanted)"
        case .address(let got, nil): return "got \(got)"
        case .otherChecksum(let other):
            return "got \(Self.hex(got)), wanted \(Self.hex(wanted)), or \(Self.hex(other)) "
                + "in the other form"
        case nil: break
        }
        switch reason {
        case .checksum: return "got \(Self.hex(got)), wanted \(Self.hex(wanted))"
        case .authenticationTag: return "does not fit the message and our key"
        default: return "got \(got), wanted \(wanted)"
        }
    }

    private static func hex(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}
