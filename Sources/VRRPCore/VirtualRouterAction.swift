// SPDX-License-Identifier: Apache-2.0
//
// What a virtual router asks its driver to do, as values.

/// The states of RFC 9568 §6.4.
public enum VirtualRouterState: String, Hashable, Sendable, CaseIterable {
    /// Waiting for startup, or out of service (RFC 9568 §6.4.1).
    case initialize
    /// Watching the Active (RFC 9568 §6.4.2).
    case backup
    /// Answering for the addresses (RFC 9568 §6.4.3).
    case active
}

/// One thing to do now.
///
/// A list is performed in order, each item before the next event.
///
/// Becoming Active: claim, advertise, announce, record. The addresses come first because the
/// announcement must not leave before they are configured (RFC 9568 §8.1.2). Giving up: release,
/// then the advert, so that a peer that reacts at once never answers beside us.
public enum VirtualRouterAction: Hashable, Sendable {
    /// Add the virtual addresses and start to renew their lease.
    ///
    /// They may be there already, lingering or prepared for a hand-over: then answer for them.
    case claimAddresses
    /// Cancel announcements still planned and remove the virtual addresses, or let them linger.
    ///
    /// Lingering addresses stay and their lease is renewed, so that old connections can end; but
    /// nothing answers ARP or neighbour solicitations for them. Not lingering, they go now.
    case releaseAddresses(lingering: Bool)
    /// Send an advertisement: `settings.advertisement(priority:)`.
    case sendAdvertisement(priority: UInt8)
    /// Announce the addresses with gratuitous ARP now, and start the driver's series of repeats.
    case announceAddresses
    /// The state changed: last but for reports, so that logging delays nothing.
    case recordTransition(VirtualRouterTransition)
    /// Send a heartbeat on the pair link now: this router ran late and asks whether it was replaced
    /// (`VirtualRouterStateMachine.isDoubtful`).
    case askPeer
    /// For the `SyncGroup`: this router would become Active for this reason.
    case readyToClaim(VirtualRouterTransition.Cause)
    /// For the `SyncGroup`: it would not any more.
    case noLongerReady
    /// A split brain began, spread or ended: log it.
    case reportSplit(SplitReport)
    /// Something odd was seen: log it. `suppressedCount` of the same kind were not reported.
    case report(VirtualRouterNotice, suppressedCount: UInt64)
}

/// One change of state and why.
public struct VirtualRouterTransition: Hashable, Sendable {
    /// The state before.
    public var from: VirtualRouterState
    /// The state after.
    public var to: VirtualRouterState
    /// The event that caused it.
    public var cause: Cause

    /// What changed the state; the raw value serves in logs and metrics.
    public enum Cause: String, Hashable, Sendable, CaseIterable {
        /// The driver started the router (I1, I2), or a local fault is over.
        case startup
        /// The driver stopped the router (B1, A1).
        case shutdown
        /// The Active fell silent (B2).
        case activeDownTimerFired = "active_down_timer"
        /// The Active gave up with priority 0 and Skew_Time is over (B3, then B2).
        case activeGaveUp = "active_gave_up"
        /// A better Active was heard (A4).
        case higherPriorityHeard = "higher_priority"
        /// The pair link proved that the Active's process is gone (not in the RFC).
        case peerDeathProven = "peer_death_proven"
        /// The peer said on the pair link that it released the addresses (not in the RFC).
        case peerHandedOver = "peer_handed_over"
        /// An operator asked for the other node (not in the RFC).
        case switchoverRequested = "switchover"
        /// This node ran too late to still be sure that it is the Active (not in the RFC).
        case overslept = "overslept"
        /// This node cannot serve, for example its data plane stalled (not in the RFC).
        case localFault = "local_fault"
        /// Another router of the group left Active (not in the RFC).
        case groupYielded = "group"
        /// The other node said on the pair link that it is the better Active (not in the RFC).
        case splitOnLink = "split_on_link"
    }

    /// Makes a transition.
    public init(from: VirtualRouterState, to: VirtualRouterState, cause: Cause) {
        self.from = from
        self.to = to
        self.cause = cause
    }
}
