// SPDX-License-Identifier: Apache-2.0
//
// What one virtual router is told once and for all; checked here, never changed by the network.

public import WireCore

/// The settings of one virtual router on one node (RFC 9568 §6.1).
public struct VirtualRouterSettings: Hashable, Sendable {
    /// VRID, 1-255.
    public let virtualRouterID: UInt8
    /// Base priority, 1-254, or 255 for the owner of the addresses; penalties lower it.
    public let priority: UInt8
    /// The node's own address on the interface; breaks ties between equal priorities.
    public internal(set) var primaryAddress: IPAddress
    /// The virtual addresses in configured order.
    public let addresses: [IPAddress]
    /// Advertisement_Interval in centiseconds, 1-4095.
    public let advertisementIntervalCentiseconds: UInt16
    /// Preempt_Mode: whether a Backup replaces an Active of lower priority.
    public let preempts: Bool
    /// How long after startup Preempt_Mode counts as false; not in the RFC, counted from startup.
    public let preemptDelay: TimeSpan
    /// How long a Backup that has just started believes no silence, if nobody is heard.
    ///
    /// Not in the RFC: the network of a host that boots, or of a cable that was just plugged in,
    /// may carry nothing yet.
    public let startupSilence: TimeSpan
    /// The checksum form that is sent; a peer that uses the other one is reported.
    public let checksumForm: ChecksumForm
    /// The highest priority among the other nodes: with it a late node knows when it was replaced.
    ///
    /// Too low: a node that overslept may answer beside its successor for a fraction of an advert
    /// interval. Too high costs at most the same fraction of patience.
    public let peerPriorityMax: UInt8
    /// How long a frozen peer's kernel may go on answering for the addresses.
    ///
    /// After a takeover that silence caused they are announced once more when it is over.
    public let addressLease: TimeSpan
    /// How often an Active announces its addresses for no reason.
    ///
    /// A node that was Active in a split and left unheard is still in the caches of the LAN; this
    /// bounds how long. keepalived leaves it off and its users meet black holes of minutes.
    public let announcementInterval: TimeSpan
    /// What silence is enough to take over.
    public let silenceRule: SilenceRule
    /// The protocol version that is spoken.
    public let version: AdvertisementVersion
    /// Whether a `SyncGroup` decides when this router becomes Active.
    public let isGrouped: Bool
    /// Whether this router is the one of its group that settles ties and what the link says.
    ///
    /// The others wait for it for one Active_Down_Interval. It must be the same one on both nodes.
    public let decidesForGroup: Bool

    /// The own addresses in numeric order, to compare lists whatever their order.
    let sortedAddresses: [IPAddress]

    /// How many addresses an advertisement holds at most here.
    public static let addressCountMax = 255
    /// Advertisement_Interval may be 10 ms to 40.95 s in steps of 10 ms (RFC 9568 §6.1).
    public static let advertisementIntervalRange =
        TimeSpan.milliseconds(
            10)...TimeSpan.milliseconds(40_950)

    /// The shortest `announcementInterval`; a shorter one counts as this.
    public static let announcementIntervalMin = TimeSpan.seconds(1)

    /// Why settings are refused.
    public enum Problem: Error, Hashable, Sendable {
        /// VRID 0 (RFC 9568 §5.2.3).
        case virtualRouterIDIsZero
        /// Priority 0 is reserved for an Active that gives up (RFC 9568 §5.2.4).
        case priorityIsZero
        /// None, or more than `addressCountMax`.
        case addressCount(got: Int)
        /// Outside `advertisementIntervalRange`, not a multiple of 10 ms, or with version 2 not of
        /// whole seconds (RFC 3768 §5.3.7).
        case advertisementInterval(got: TimeSpan)
        /// IPv4 and IPv6 routers are separate, even with one VRID (RFC 9568 §5.2.3).
        case mixedFamilies
        /// The primary address is of another family than the virtual ones.
        case primaryAddressFamily
        /// Version 2 has no IPv6 (RFC 3768 §1).
        case versionNeedsIPv4
    }

    /// Checks and keeps the settings.
    public init(
        virtualRouterID: UInt8, priority: UInt8, primaryAddress: IPAddress,
        addresses: [IPAddress], advertisementInterval: TimeSpan = .seconds(1),
        preempts: Bool = true, preemptDelay: TimeSpan = .zero,
        startupSilence: TimeSpan = .zero,
        checksumForm: ChecksumForm = .rfc9568, peerPriorityMax: UInt8 = 254,
        addressLease: TimeSpan = .seconds(2), announcementInterval: TimeSpan = .seconds(10),
        silenceRule: SilenceRule = .advertsAndLink, version: AdvertisementVersion = .version3,
        isGrouped: Bool = false, decidesForGroup: Bool = true
    ) throws(Problem) {
        guard virtualRouterID != 0 else { throw .virtualRouterIDIsZero }
        guard priority != 0 else { throw .priorityIsZero }
        guard (1...Self.addressCountMax).contains(addresses.count) else {
            throw .addressCount(got: addresses.count)
        }
        let centisecond: UInt64 = 10_000_000
        let step = version == .version2 ? 100 * centisecond : centisecond
        guard Self.advertisementIntervalRange.contains(advertisementInterval),
            advertisementInterval.nanoseconds % step == 0
        else { throw .advertisementInterval(got: advertisementInterval) }
        let family = addresses[0].family
        guard addresses.allSatisfy({ $0.family == family }) else { throw .mixedFamilies }
        guard primaryAddress.family == family else { throw .primaryAddressFamily }
        guard version == .version3 || family == .ipv4 else { throw .versionNeedsIPv4 }
        self.virtualRouterID = virtualRouterID
        self.priority = priority
        self.primaryAddress = primaryAddress
        self.addresses = addresses
        self.advertisementIntervalCentiseconds = UInt16(
            advertisementInterval.nanoseconds / centisecond)
        self.preempts = preempts
        self.preemptDelay = preemptDelay
        self.startupSilence = startupSilence
        self.checksumForm = checksumForm
        self.peerPriorityMax = max(peerPriorityMax, 1)
        self.addressLease = addressLease
        self.announcementInterval = max(announcementInterval, Self.announcementIntervalMin)
        self.silenceRule = silenceRule
        self.version = version
        self.isGrouped = isGrouped
        self.decidesForGroup = decidesForGroup || !isGrouped
        self.sortedAddresses = addresses.sorted()
    }

    /// The family of the addresses: IPv4 and IPv6 routers are separate (RFC 9568 §5.2.3).
    public var family: AddressFamily { primaryAddress.family }

    /// Advertisement_Interval as a time.
    public var advertisementInterval: TimeSpan {
        .milliseconds(UInt64(advertisementIntervalCentiseconds) * 10)
    }

    /// True for the router whose own addresses the virtual ones are (RFC 9568 §6.1).
    public var isOwner: Bool { priority == 255 }

    /// The message to send at `priority`: the own one, or 0 to give up.
    public func advertisement(priority: UInt8) -> Advertisement {
        Advertisement(
            virtualRouterID: virtualRouterID, priority: priority,
            intervalCentiseconds: advertisementIntervalCentiseconds, addresses: addresses,
            version: version)
    }

    /// How long an Active may stay silent before a peer has certainly replaced it.
    ///
    /// It is the Active_Down_Interval of the best peer, counted from our last advert as the peer
    /// counts it, so it errs towards giving up early by no more than the delay of the network.
    public var silenceMax: TimeSpan {
        AdvertisementTimers.activeDownInterval(
            priority: peerPriorityMax, interval: advertisementInterval, version: version)
    }
}
