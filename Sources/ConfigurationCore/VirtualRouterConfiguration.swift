// SPDX-License-Identifier: Apache-2.0
//
// The typed form of one entry of `pair.virtual_routers`.

public import WireCore

/// One entry of `pair.virtual_routers`: addresses that move together.
///
/// IPv4 and IPv6 virtual routers with one VRID are separate on the wire (RFC 9568 §5.2.3); an entry
/// with addresses of both families runs one of each, and they move together.
public struct VirtualRouterConfiguration: Hashable, Sendable {
    /// VRID, 1-255 (RFC 9568 §5.2.3).
    public var id: UInt8
    /// The virtual addresses, 1 to 20 of each family.
    public var addresses: [IPAddress]
    /// Key `interface`: where this router speaks; default the pair's interface.
    public var interface: String
    /// Key `nodes`: what differs from `pair.nodes` for this router, by node name.
    public var nodes: [String: VirtualRouterNode]
    /// Advertisement_Interval, 10 ms to 40.95 s in steps of 10 ms; default 1 s.
    ///
    /// Whole seconds with version 2.
    public var advertiseInterval: TimeSpan
    /// Preempt_Mode; default false: a returning node waits for the next fault.
    public var preempt: Bool
    /// How long a node of higher priority waits after start before it preempts; default 0 s.
    public var preemptDelay: TimeSpan
    /// How long an address outlives a process that stopped renewing it; default 2 s, 2 s to 60 s.
    public var lease: TimeSpan
    /// How adverts travel.
    public var transport: AdvertisementTransport
    /// Key `version`: the VRRP version that is sent over IPv4; default 3.
    public var version: VRRPVersion
    /// Key `checksum`: which bytes the checksum of version 3 over IPv4 covers; default rfc9568.
    public var checksum: AdvertisementChecksum
    /// Key `authentication`: default off.
    public var authentication: AdvertisementAuthentication
    /// Key `virtual_mac`: use 00-00-5E-00-01-VRID (RFC 9568 §7.3) on a macvlan; default false.
    public var virtualMAC: Bool
    /// Key `group`: routers of one group are Active on the same node; `nil` stands alone.
    public var group: String?
    /// Key `takeover`: what silence is enough to take over; default safe.
    public var takeover: TakeoverMode
    /// Key `announce`: how clients find the addresses; default lan.
    public var announce: AnnounceMode
    /// Key `announce_interval`: how often the Active announces for no reason; default 10 s, 1 s to
    /// 1 h.
    public var announceInterval: TimeSpan

    /// Makes a virtual router.
    public init(
        id: UInt8, addresses: [IPAddress], interface: String, advertiseInterval: TimeSpan,
        preempt: Bool, preemptDelay: TimeSpan, lease: TimeSpan, transport: AdvertisementTransport,
        nodes: [String: VirtualRouterNode] = [:], version: VRRPVersion = .version3,
        checksum: AdvertisementChecksum = .rfc9568,
        authentication: AdvertisementAuthentication = .off, virtualMAC: Bool = false,
        group: String? = nil, takeover: TakeoverMode = .safe, announce: AnnounceMode = .lan,
        announceInterval: TimeSpan = .seconds(10)
    ) {
        self.id = id
        self.addresses = addresses
        self.interface = interface
        self.nodes = nodes
        self.advertiseInterval = advertiseInterval
        self.preempt = preempt
        self.preemptDelay = preemptDelay
        self.lease = lease
        self.transport = transport
        self.version = version
        self.checksum = checksum
        self.authentication = authentication
        self.virtualMAC = virtualMAC
        self.group = group
        self.takeover = takeover
        self.announce = announce
        self.announceInterval = announceInterval
    }

    /// `node` as this router sees it: `pair.nodes` with what the key `nodes` changes.
    public func node(_ node: NodeConfiguration) -> NodeConfiguration {
        guard let own = nodes[node.name] else { return node }
        var node = node
        node.priority = own.priority ?? node.priority
        node.address = own.address ?? node.address
        node.ipv6Address = own.ipv6Address ?? node.ipv6Address
        return node
    }
}

/// One entry of `nodes` of a virtual router; `nil` means as in `pair.nodes`.
public struct VirtualRouterNode: Hashable, Sendable {
    /// Priority for this router, 1-255; two routers with opposite ones are active/active.
    public var priority: UInt8?
    /// The node's own address on the router's interface.
    public var address: IPv4Address?
    /// The node's own IPv6 address on the router's interface.
    public var ipv6Address: IPv6Address?

    /// Makes an entry.
    public init(
        priority: UInt8? = nil, address: IPv4Address? = nil, ipv6Address: IPv6Address? = nil
    ) {
        self.priority = priority
        self.address = address
        self.ipv6Address = ipv6Address
    }
}

/// Key `transport` of a virtual router: how adverts reach the other node.
public enum AdvertisementTransport: String, Hashable, Sendable, CaseIterable {
    /// To 224.0.0.18 or ff02::12, as RFC 9568 §5.1.1.2 and §5.1.2.2 say; the default.
    case multicast
    /// To the other node's address, for networks without multicast.
    case unicast
}

/// Key `version` of a virtual router.
public enum VRRPVersion: UInt8, Hashable, Sendable, CaseIterable {
    /// RFC 3768: IPv4 only, whole seconds, no authentication; for old peers.
    case version2 = 2
    /// RFC 9568; the default.
    case version3 = 3
}

/// Key `checksum` of a virtual router; both forms are accepted whatever is sent.
public enum AdvertisementChecksum: String, Hashable, Sendable, CaseIterable {
    /// The message alone (RFC 9568 §5.2.8); the default.
    case rfc9568
    /// After a pseudo-header (RFC 5798 §5.2.8): what stock keepalived and FRR demand.
    case rfc5798
}

/// Key `authentication` of a virtual router; both nodes need the same.
public enum AdvertisementAuthentication: String, Hashable, Sendable, CaseIterable {
    /// As RFC 9568 §9 says; the default.
    case off
    /// Each advert ends with an HMAC keyed by the pair's secret; others are ignored.
    case hmac
}

/// Key `takeover` of a virtual router.
public enum TakeoverMode: String, Hashable, Sendable, CaseIterable {
    /// Silence of the adverts is enough, as RFC 9568 says.
    case fast
    /// Adverts and pair link must be silent; the default.
    ///
    /// A heartbeat of the Active on the link counts as its advert, so a busy or half-deaf network
    /// is no death. Where the link never came up it is as `fast`.
    case safe
}

/// Key `announce` of a virtual router.
public enum AnnounceMode: String, Hashable, Sendable, CaseIterable {
    /// One node at a time holds the addresses and answers on the LAN: VRRP; the default.
    case lan
    /// Every healthy node holds the addresses on a device of its own whose routes a routing daemon
    /// exports; there is no election.
    case route
}
