// SPDX-License-Identifier: Apache-2.0
//
// Which ARP packets and neighbour messages concern our addresses, as programs for packet sockets.
// Offsets count from the Ethernet header; everything else is checked by the codec.

internal import LinuxIO
internal import WireCore

/// Filters for frames about some addresses.
enum NeighborFilter {
    /// What kind of message.
    enum Kind {
        /// "Who has one of the addresses?"
        case questions
        /// "I have one of the addresses."
        case claims
    }

    /// Frames of one kind about one of `addresses`, all of one family.
    static func frames(_ kind: Kind, about addresses: [IPAddress]) -> SocketFilter {
        let v4 = addresses.compactMap(\.ipv4?.rawValue)
        let v6 = addresses.compactMap(\.ipv6?.words)
        if !v4.isEmpty { return arp(kind, v4) }
        if !v6.isEmpty { return neighborMessages(kind, v6) }
        return .nothing
    }

    /// RFC 826: operation at 20, sender address at 28, target address at 38.
    private static func arp(_ kind: Kind, _ addresses: [UInt32]) -> SocketFilter {
        var filter = SocketFilter()
        switch kind {
        case .questions:
            filter.require(.half(20), isOneOf: [1])
            filter.require(.word(38), isOneOf: addresses)
        case .claims:
            // A gratuitous request claims its sender address as well as a reply does.
            filter.require(.word(28), isOneOf: addresses)
        }
        return filter
    }

    /// RFC 8200 §3 and RFC 4861 §4.3, §4.4: next header at 20, hop limit at 21, and, without
    /// extension headers, type at 54, target at 62.
    private static func neighborMessages(_ kind: Kind, _ targets: [[UInt32]]) -> SocketFilter {
        var filter = SocketFilter()
        filter.require(.half(20), isOneOf: [58 << 8 | 255])
        filter.require(.byte(54), isOneOf: [kind == .questions ? 135 : 136])
        filter.require(62, isOneOf: targets)
        return filter
    }
}
