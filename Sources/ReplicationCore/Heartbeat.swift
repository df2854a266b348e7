// SPDX-License-Identifier: Apache-2.0
//
// What a node tells its peer with every heartbeat, as a value and as the payload of a sealed frame.
//
//     sent at (8) | configuration hash (8) | flags (1) | lateness in microseconds (4)
//     | count of VRIDs (1) | count x { VRID (1), role (1) } | later versions' fields
//
// The first later field is a block of details, one entry for each virtual router of each family on
// each interface:
//
//     kind 1 (1) | length of the entries (2) | length of one entry (1)
//     | entries { VRID (1), family 4 or 6 (1), role (1), priority (1), flags (1), claim mark (4) }
//
// The first versions' entries end before the mark. Then, from a node that signs its adverts, what
// they name as its life, and which heartbeat of the other node was acted on last:
//
//     kind 2 (1) | 8 (2) | nonce (8)
//     kind 3 (1) | 8 (2) | its sent at (8)
//
// A version without details skips the block, for it skips all that follows the list; a later one
// may make entries longer, or put blocks of other kinds behind. The list before stays for older
// versions: one entry for each VRID, its first virtual router's.

public import WireCore

/// What a node is for one virtual router (RFC 9568 §6.4).
public enum VirtualRouterRole: UInt8, Hashable, Sendable, CaseIterable {
    /// Not taking part yet, or any more.
    case initialize = 0
    /// Waiting for the active node to fall silent.
    case backup = 1
    /// Holding the virtual addresses.
    case active = 2
}

/// What a node is for one virtual router.
public struct VirtualRouterReport: Hashable, Sendable {
    /// VRID, 1-255.
    public var id: UInt8
    /// The family: virtual routers of one VRID and two families are two (RFC 9568 §5.2.3).
    public var family: AddressFamily
    /// What the node is for it.
    public var role: VirtualRouterRole
    /// The priority now, penalties taken off; `nil` when the sender's version does not say.
    public var priority: UInt8?
    /// A fault keeps the node from serving.
    public var isFaulty: Bool
    /// The node may not claim the addresses.
    public var isHeld: Bool
    /// The node gave the addresses up but keeps them, silently, while connections end.
    public var isLingering: Bool
    /// The node ran late and asks whether it is still active, which it says it is.
    public var isDoubtful: Bool
    /// Another number after each time the node became active, in this and other lives of its
    /// process; `nil` when the sender's version does not say.
    public var claimMark: UInt32?

    /// Makes a report.
    public init(
        id: UInt8, family: AddressFamily = .ipv4, role: VirtualRouterRole, priority: UInt8? = nil,
        isFaulty: Bool = false, isHeld: Bool = false, isLingering: Bool = false,
        isDoubtful: Bool = false, claimMark: UInt32? = nil
    ) {
        self.id = id
        self.family = family
        self.role = role
        self.priority = priority
        self.isFaulty = isFaulty
        self.isHeld = isHeld
        self.isLingering = isLingering
        self.isDoubtful = isDoubtful
        self.claimMark = claimMark
    }
}

/// One heartbeat.
public struct Heartbeat: Hashable, Sendable {
    /// When it was sent, on the sender's monotonic clock; only differences mean something.
    public var sentAt: Instant
    /// Hash of the sender's configuration file.
    public var configurationHash: UInt64
    /// Whether the sender's workers make progress.
    public var isDataPlaneHealthy: Bool
    /// How late the sender's own timers fired at worst since its previous heartbeat.
    public var timerLateness: TimeSpan
    /// What the sender is for each of its virtual routers, in its order.
    ///
    /// One VRID and family may come more than once: on several interfaces.
    public var routers: [VirtualRouterReport]
    /// What the sender's signed adverts name as its life; `nil` from one that signs none.
    public var bootNonce: UInt64?
    /// `sentAt` of the last heartbeat of the receiver that the sender acted on, by the receiver's
    /// clock; `nil` before there was one.
    public var answeredAt: Instant?

    /// Makes a heartbeat.
    public init(
        sentAt: Instant, configurationHash: UInt64, isDataPlaneHealthy: Bool,
        timerLateness: TimeSpan, routers: [VirtualRouterReport], bootNonce: UInt64? = nil,
        answeredAt: Instant? = nil
    ) {
        self.answeredAt = answeredAt
        self.bootNonce = bootNonce
        self.sentAt = sentAt
        self.configurationHash = configurationHash
        self.isDataPlaneHealthy = isDataPlaneHealthy
        self.timerLateness = timerLateness
        self.routers = routers
    }
}

/// Why an authenticated payload is no heartbeat.
public enum HeartbeatFault: Error, Hashable, Sendable {
    /// The payload ends too early.
    case truncated
    /// VRID 0 does not exist (RFC 9568 §5.2.3).
    case zeroRouterID
    /// One VRID reported twice.
    case duplicateRouterID(UInt8)
    /// A role number that no version defined.
    case unknownRole(UInt8)
    /// A family number that no version defined.
    case unknownFamily(UInt8)
    /// Entries that are too short, or do not fill their block.
    case badEntrySize(UInt8)
}
