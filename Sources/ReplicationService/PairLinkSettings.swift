// SPDX-License-Identifier: Apache-2.0
//
// What the pair link is told: by configuration at start, by its owner at every heartbeat.

public import ConfigurationCore
public import LinuxIO
public import ReplicationCore
public import WireCore

/// Everything the pair link needs to know before it starts.
public struct PairLinkSettings: Sendable {
    /// This node.
    public var own: NodeConfiguration
    /// The other node.
    public var peer: NodeConfiguration
    /// TCP port of both listeners.
    public var port: UInt16
    /// Time between two heartbeats.
    public var heartbeatInterval: TimeSpan
    /// The shared secret; `nil` leaves the link unauthenticated.
    public var secret: LinkSecret?
    /// Which descriptor numbers listener and dialled link get; `nil` takes what comes, for tests.
    public var descriptors: DescriptorPlan?
    /// Seed of the jitter between dial attempts.
    public var seed: UInt64
    /// What differs between the pair link's port and the replication port.
    var traffic = LinkTraffic.pairLink

    /// Makes settings from their parts.
    public init(
        own: NodeConfiguration, peer: NodeConfiguration, port: UInt16,
        heartbeatInterval: TimeSpan, secret: LinkSecret?, descriptors: DescriptorPlan?,
        seed: UInt64
    ) {
        self.own = own
        self.peer = peer
        self.port = port
        self.heartbeatInterval = heartbeatInterval
        self.secret = secret
        self.descriptors = descriptors
        self.seed = seed
    }

    /// Makes the settings of the node called `ownName`; `nil` when the pair has no such node or no
    /// other one.
    public init?(
        pair: PairConfiguration, ownName: String, secret: LinkSecret?,
        descriptors: DescriptorPlan?, seed: UInt64
    ) {
        guard let own = pair.nodes.first(where: { $0.name == ownName }),
            let peer = pair.nodes.first(where: { $0.name != ownName })
        else { return nil }
        self.init(
            own: own, peer: peer, port: pair.link.port,
            heartbeatInterval: pair.link.heartbeatInterval, secret: secret,
            descriptors: descriptors, seed: seed)
    }

    /// The replication stream has connections and keys of its own, one port up.
    func forReplication(with cryptography: LinkCryptography) -> PairLinkSettings {
        var settings = self
        settings.port = port &+ 1
        settings.descriptors = nil
        settings.secret = secret?.derived(for: "replication", with: cryptography)
        settings.traffic = .replication
        return settings
    }

    var ownListener: Endpoint { Endpoint(address: .v4(own.address), port: port) }
    /// Dials leave from the node's own address, so that a virtual address is never the source.
    var dialSource: Endpoint { Endpoint(address: .v4(own.address), port: 0) }
    var peerListener: Endpoint { Endpoint(address: .v4(peer.address), port: port) }
}

/// Limits of the connections to one port.
struct LinkTraffic: Hashable, Sendable {
    /// The longest whole frame.
    var frameByteCountMax: Int
    /// The shortest time sent data may stay unacknowledged before the connection is given up.
    var userTimeoutMin: TimeSpan
    /// Unfinished handshakes kept at once; one more costs the oldest its place, so that somebody
    /// who holds connections open cannot keep the peer out.
    var pendingMax: Int
    /// Connections the kernel holds for us; more than the peer ever opens.
    var backlog: CInt

    /// What was lost on the pair's network is sent again after this, where the kernel can: Linux
    /// waits at least 200 ms otherwise, and what waits with it is not known after a crash.
    static let retransmissionMin = TimeSpan.milliseconds(10)

    /// One lost segment costs a retransmission time-out of 200 ms, and must not cost the link.
    static let pairLink = LinkTraffic(
        frameByteCountMax: LinkProtocol.frameByteCountMax, userTimeoutMin: .seconds(1),
        pendingMax: 8, backlog: 32)
    /// A segment that is lost four times in a row must not cost a snapshot; a peer with many
    /// workers dials all its channels at once.
    static let replication = LinkTraffic(
        frameByteCountMax: LinkProtocol.replicationFrameByteCountMax, userTimeoutMin: .seconds(4),
        pendingMax: ChannelOpening.shadowChannelCountMax + 8,
        backlog: CInt(ChannelOpening.shadowChannelCountMax) * 2)
}

/// What the owner says about this node; asked for at every heartbeat.
public struct PairLinkReport: Hashable, Sendable {
    /// The node's role for each of its virtual routers.
    public var routers: [VirtualRouterReport]
    /// Hash of the configuration file in force.
    public var configurationHash: UInt64
    /// Whether the workers make progress.
    public var isDataPlaneHealthy: Bool
    /// What the node's signed adverts name as its life; `nil` when it signs none.
    public var bootNonce: UInt64?

    /// Makes a report.
    public init(
        routers: [VirtualRouterReport], configurationHash: UInt64, isDataPlaneHealthy: Bool,
        bootNonce: UInt64? = nil
    ) {
        self.bootNonce = bootNonce
        self.routers = routers
        self.configurationHash = configurationHash
        self.isDataPlaneHealthy = isDataPlaneHealthy
    }
}

/// Owns a pair link: tells it about this node, hears from it about the other.
///
/// All calls come on the loop's thread. ``PairLink/leave()`` may be called from any of them.
public protocol PairLinkOwner: AnyObject {
    /// A heartbeat is due by its timer: last occasion to notice what this node is no longer.
    func pairLinkWillBeat()
    /// The state of this node for the heartbeat that is about to be sent.
    func pairLinkReport() -> PairLinkReport
    /// The peer's process is proven dead while its kernel lives: take over at once.
    func pairLinkPeerProcessDied(at instant: Instant)
    /// The peer gave up its addresses and left on purpose: take over at once.
    func pairLinkPeerLeft(at instant: Instant)
    /// Heartbeats arrive.
    func pairLinkCameUp()
    /// Heartbeats do not arrive; never a reason to take over.
    func pairLinkWentDown(_ reason: LinkDownReason)
    /// The peer's newest heartbeat.
    func pairLinkHeard(_ heartbeat: Heartbeat, at instant: Instant)
    /// Something the peer says about a planned switchover.
    func pairLinkReceived(_ message: HandoverMessage, at instant: Instant)
}

extension PairLinkOwner {
    /// Takes no part in switchovers.
    public func pairLinkReceived(_ message: HandoverMessage, at instant: Instant) {}
}

extension PairLinkOwner {
    /// Nothing to notice.
    public func pairLinkWillBeat() {}
}
