// SPDX-License-Identifier: Apache-2.0
//
// Why a received packet is not an advertisement for us.

/// A packet that failed a receive check (RFC 9568 §7.1): drop, count by `reason`, log at a limit.
public struct AdvertisementError: Error, Hashable, Sendable {
    /// The check that failed.
    public var reason: Reason
    /// What the packet says.
    public var got: Int
    /// What the check asks for; a minimum where the reason says so.
    public var wanted: Int

    /// The receive checks, one counter each; the raw value serves as a metric label.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// Fewer bytes than an IPv4 header (`wanted` is the minimum).
        case packetTruncated = "packet_truncated"
        /// The IP header is not version 4 (RFC 9568 §5.2.9: the family follows the carrier).
        case ipVersion = "ip_version"
        /// IHL claims fewer than 20 bytes or more than the packet has (`wanted` is the bound).
        case ipHeaderLength = "ip_header_length"
        /// IP total length claims more than was received or less than its own header.
        case ipTotalLength = "ip_total_length"
        /// The IP protocol is not 112 (RFC 9568 §5.1.1.4).
        case ipProtocol = "ip_protocol"
        /// The time to live is not 255 (RFC 9568 §5.1.1.3, §7.1).
        case timeToLive = "time_to_live"
        /// Fewer than 8 bytes of VRRP (RFC 9568 §7.1; `wanted` is the minimum).
        case messageTruncated = "message_truncated"
        /// The VRRP version is not 3 (RFC 9568 §7.1).
        case version = "version"
        /// The VRRP type is not ADVERTISEMENT (RFC 9568 §5.2.2).
        case type = "type"
        /// The VRID is not configured here (RFC 9568 §7.1; `wanted` is the lowest configured).
        case virtualRouterID = "virtual_router_id"
        /// No address at all (RFC 9568 §7.1, erratum 8299).
        case addressCount = "address_count"
        /// The message is not exactly 8 + 4 x count bytes long (RFC 9568 §7.1).
        case messageLength = "message_length"
        /// Max Advertise Interval is zero (RFC 9568 §7.1, erratum 8301).
        case interval = "interval"
        /// The checksum fits neither form (`wanted` is that of RFC 9568).
        case checksum = "checksum"
    }

    /// Makes an error.
    public init(_ reason: Reason, got: Int, wanted: Int) {
        self.reason = reason
        self.got = got
        self.wanted = wanted
    }
}

extension AdvertisementError: CustomStringConvertible {
    /// `time_to_live: got 64, wanted 255`.
    public var description: String {
        "\(reason.rawValue): got \(got), wanted \(wanted)"
    }
}
