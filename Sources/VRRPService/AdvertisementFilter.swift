// SPDX-License-Identifier: Apache-2.0
//
// Which packets of protocol 112 the kernel need not queue, as programs for the sockets of one
// virtual router. What they let pass is judged by the codec.

internal import LinuxIO
internal import VRRPCore
internal import WireCore

/// Filters of the VRRP socket of one virtual router.
struct AdvertisementFilter {
    /// The virtual router's family: raw IPv4 packets begin with their header, IPv6 ones behind it.
    var family: AddressFamily
    /// The virtual router's VRID.
    var virtualRouterID: UInt8
    /// VRIDs that have sockets of their own.
    var otherVirtualRouterIDs: [UInt8]

    private var virtualRouterIDField: SocketFilter.Field {
        family == .ipv4 ? .byte(1, from: .ipv4Payload) : .byte(1)
    }

    /// In ordinary times: everything but adverts that another socket of ours gets as well.
    var open: SocketFilter {
        var filter = SocketFilter()
        filter.require(virtualRouterIDField, isNoneOf: otherVirtualRouterIDs.map(UInt32.init))
        return filter
    }

    /// During a flood: adverts of this virtual router, one hop away, from `sources` alone.
    ///
    /// Without known sources, from anybody.
    func shield(sources: [IPAddress]) -> SocketFilter {
        var filter = SocketFilter()
        // RFC 9568 §7.1: MUST verify that the TTL or hop limit is 255.
        let hopLimit = UInt32(Advertisement.timeToLive)
        switch family {
        case .ipv4:
            filter.require(.byte(8), isOneOf: [hopLimit])
            let known = sources.compactMap { $0.ipv4?.rawValue }
            if !known.isEmpty { filter.require(.word(12), isOneOf: known) }
        case .ipv6:
            filter.require(.byte(7, from: .networkHeader), isOneOf: [hopLimit])
            let known = sources.compactMap(\.ipv6?.words)
            if !known.isEmpty { filter.require(8, from: .networkHeader, isOneOf: known) }
        }
        filter.require(virtualRouterIDField, isOneOf: [UInt32(virtualRouterID)])
        return filter
    }
}

extension IPv6Address {
    /// The four words of the address, first one first.
    var words: [UInt32] {
        [high, low].flatMap {
            [UInt32(truncatingIfNeeded: $0 >> 32), UInt32(truncatingIfNeeded: $0)]
        }
    }
}
