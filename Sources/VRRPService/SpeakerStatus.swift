// SPDX-License-Identifier: Apache-2.0
//
// What a virtual router tells other threads about itself, as values.

public import ConfigurationCore
public import VRRPCore
public import WireCore

/// Another router that says it is the Active.
public struct HeardActive: Hashable, Sendable {
    /// Its own address.
    public var address: IPAddress
    /// Its priority.
    public var priority: UInt8
    /// Its advert interval.
    public var interval: TimeSpan
    /// When it was heard last.
    public var heardAt: Instant
}

/// Something that keeps a Backup from becoming Active by silence, and since when.
public struct HeldClaimStatus: Hashable, Sendable {
    /// What holds it.
    public var hold: ClaimHold
    /// Since when.
    public var since: Moment
}

/// Two nodes that both say they are the Active, as this one sees it.
public struct SplitBrainStatus: Hashable, Sendable {
    /// Since when.
    public var since: Moment
    /// What shows it.
    public var evidence: [SplitEvidence]
    /// Who else it is: a router's address or a station's MAC address.
    public var party: String
}

/// A virtual router as `tandem status` shows it.
public struct SpeakerStatus: Hashable, Sendable {
    /// The virtual router.
    public var instance: VirtualRouterInstance
    /// How clients find the addresses.
    public var mode: AnnounceMode
    /// The configured name of what moves together; `nil` for none.
    public var group: String?
    /// The state.
    public var state: VirtualRouterState = .initialize
    /// Since when.
    public var since: Moment
    /// What brought it there; `nil` before the start.
    public var cause: VirtualRouterTransition.Cause?
    /// The priority in force: the configured one minus penalties; 0 without election.
    public var priority: UInt8 = 0
    /// The configured priority; 0 without election.
    public var basePriority: UInt8 = 0
    /// What trackers take from the priority.
    public var penaltyPoints = 0
    /// What keeps a Backup from becoming Active by silence.
    public var holds: [HeldClaimStatus] = []
    /// A takeover is due and something holds it since this moment.
    public var takeoverHeldSince: Moment?
    /// Ready to become Active and waiting for the others of its group since this moment.
    public var readySince: Moment?
    /// The node's own advert interval; zero without election.
    public var interval = TimeSpan.zero
    /// The VRRP version that is sent.
    public var version = AdvertisementVersion.version3
    /// Whether adverts are signed.
    public var isAuthenticated = false
    /// What silence is enough to take over.
    public var takeover = TakeoverMode.safe
    /// Where this node's adverts come from; `nil` while there is no such address.
    public var ownAddress: IPAddress?
    /// The interface's link-local address, which IPv6 adverts carry.
    var linkLocal: IPAddress?
    /// The virtual addresses, held or not.
    public var addresses: [IPAddress]
    /// The virtual addresses on this node now.
    public var heldAddresses: [IPAddress] = []
    /// Whether the addresses are here quietly before a planned takeover.
    public var isPrepared = false
    /// Whether the addresses are here quietly until connections have ended.
    public var isLingering = false
    /// Why the node does not serve.
    public var faults: [LocalFault] = []
    /// The router that was heard last.
    public var heardActive: HeardActive?
    /// What the other node said last on the pair link; `nil` while the link is silent.
    public var peerSaid: PeerRouterHeard?
    /// Whether the Active is known by the pair link alone, its adverts do not come.
    public var isHeardOnLinkOnly = false
    /// Another Active beside this one; `nil` when there is none.
    public var splitBrain: SplitBrainStatus?
    /// What asking the LAN for the addresses brought; `nil` before the first answer.
    public var verification: ProbeVerdict?
    /// This node's last takeover.
    public var lastFailover: FailoverRecord?
    /// What the state machine counted; `nil` without election.
    public var counters: VirtualRouterCounters?
    /// What the socket counted.
    public var channel = ChannelCounts()

    /// VRID, 1-255.
    public var virtualRouterID: UInt8 { instance.virtualRouterID }

    /// The state in one word; without election a router is active or withdrawn.
    public var stateName: String {
        mode == .route && state != .active ? "withdrawn" : state.rawValue
    }

    /// A virtual router with an election, before its start.
    init(
        settings: VirtualRouterSettings, surroundings: SpeakerSurroundings,
        counters: VirtualRouterCounters
    ) {
        instance = surroundings.instance
        mode = .lan
        group = surroundings.group
        since = .now()
        priority = settings.priority
        basePriority = settings.priority
        interval = settings.advertisementInterval
        version = settings.version
        isAuthenticated = surroundings.authentication != nil
        takeover = surroundings.takeover
        ownAddress = settings.primaryAddress.isAny ? nil : settings.primaryAddress
        addresses = settings.addresses
        self.counters = counters
    }

    /// A virtual router without an election, before its start.
    init(route instance: VirtualRouterInstance, addresses: [IPAddress]) {
        self.instance = instance
        mode = .route
        since = .now()
        self.addresses = addresses
    }
}
