// SPDX-License-Identifier: Apache-2.0
//
// What the reader noticed with its place in the file, for rules that span several keys.

import WireCore

/// Values and places; a value that could not be read is simply absent.
struct ConfigurationFacts: Sendable {
    /// An address and port somebody wants to listen on.
    struct Socket: Sendable {
        /// Who, in words: `listener "web"`.
        var owner: String
        var endpoint: Endpoint
        var range: SourceRange
    }

    /// A node's readable parts.
    struct Node: Sendable {
        var name: Located<String>
        var address: Located<IPv4Address>?
        var ipv6Address: Located<IPv6Address>?
        var priority: Located<UInt8>?
        var zone: String?
    }

    /// A virtual router's readable parts.
    struct VirtualRouter: Sendable {
        /// What messages call it: `virtual router 51`.
        var title: String
        /// The whole entry.
        var range: SourceRange
        var id: Located<UInt8>?
        var addresses: [Located<IPAddress>]
        /// True when some address could not be read, so that families prove nothing.
        var hasUnreadableAddresses: Bool
        /// As far as it could be read, defaults filled in; `id` is 0 when it could not.
        var settings: VirtualRouterConfiguration
        /// Where the keys stand that are written.
        var keys: [String: SourceRange]
        /// Where the values stand of keys that are written.
        var values: [String: SourceRange]
        /// False when the key `announce` is there and cannot be read.
        var hasReadableAnnounce: Bool
        var nodes: [Node]
    }

    /// A penalty that is in force when its tracker fails.
    struct Penalty: Sendable {
        /// The tracker in words: `interface eth1`.
        var tracker: String
        var penalty: TrackingPenalty
        /// The value, or the tracker's key when it is a default.
        var range: SourceRange
    }

    /// The readable parts of `pair.track`.
    struct Tracking: Sendable {
        var interfaces: [Located<String>] = []
        var gateway: Located<IPAddress>?
        /// The key `gateway`.
        var gatewayKey: SourceRange?
        /// How long the witness must be silent to count as gone.
        var gatewaySilence = TimeSpan.zero
        var pools: [Located<String>] = []
        /// The trackers' penalties, in file order; a gateway without one has none.
        var penalties: [Penalty] = []
        /// Where `backends` and `gateway` say fault.
        var sharedFaults: [Penalty] = []
        /// The value of `on_different_configuration` when it is hold.
        var hold: SourceRange?
    }

    /// A listener that is to carry connections over.
    struct CarriedListener: Sendable {
        /// Which one, in words: `listener "web"`.
        var listener: String
        var bind: Endpoint?
        /// The value of `carry_over`.
        var range: SourceRange
        var level = CarryOver.off
        /// Pools it sends requests to.
        var pools: Set<String> = []
    }

    /// A pool's `tunnel_source`.
    struct TunnelSource: Sendable {
        var pool: String
        var address: Located<IPAddress>
        /// Addresses of its backends, where no name stands for them.
        var backends: [IPAddress]
    }

    /// A route's readable parts.
    struct Route: Sendable {
        var listener: String
        /// The listener's port, when it is readable.
        var port: UInt16?
        var match: RouteMatch
        /// The route's first key.
        var range: SourceRange
        /// Where the route sends its clients.
        var redirect: Redirect?
    }

    /// A redirect.
    struct Redirect: Sendable {
        var target: RedirectConfiguration
        /// Key `rewrite.path_prefix` of the route.
        var pathPrefix: String?
        /// The key `redirect`.
        var range: SourceRange
    }

    /// A backend's readable parts.
    struct Backend: Sendable {
        var name: String
        var pool: String
        var address: Located<BackendAddress>
    }

    /// What a pool wants to see of a request, where connections pass unread.
    struct RequestNeed: Sendable {
        var pool: String
        /// What it looks at, in words.
        var what: String
        var range: SourceRange
    }

    /// The pair link's key, or the pair's when the link is not written; `nil` without a pair.
    var link: SourceRange?
    /// The key `link`, when it is written.
    var linkKey: SourceRange?
    var pairInterface: Located<String>?
    var tracking = Tracking()
    var linkPort: Located<UInt16>?
    var secretFile: Located<String>?
    var nodes: [Node] = []
    /// The key `nodes`.
    var nodesRange: SourceRange?
    var virtualRouters: [VirtualRouter] = []
    /// Listeners first, then admin.
    var sockets: [Socket] = []
    /// Those whose `carry_over` is not off.
    var carryOvers: [CarriedListener] = []
    var tunnelSources: [TunnelSource] = []
    /// Routes in file order, listener by listener.
    var routes: [Route] = []
    /// `nil` when the key `pools` is missing or no mapping: nothing can be said about names then.
    var pools: [Located<String>]?
    var poolReferences: [Located<String>] = []
    /// True when some route could not be read, so that an unused pool proves nothing.
    var hasUnreadableRoutes = false
    var backends: [Backend] = []
    /// Pools of listeners with protocol tcp.
    var tcpPools: [Located<String>] = []
    var requestNeeds: [RequestNeed] = []
    /// Zones of nodes and of the top level.
    var nodeZones: [Located<String>] = []
    var backendZones: [Located<String>] = []
}
