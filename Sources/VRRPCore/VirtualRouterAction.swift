// SPDX-License-Identifier: Apache-2.0
//
// What a virtual router asks its driver to do, as values.

public import WireCore

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
    case claimAddresses
    /// Remove the virtual addresses, stop renewing, cancel announcements still planned.
    case releaseAddresses
    /// Send an advertisement: `settings.advertisement(priority:)`.
    case sendAdvertisement(priority: UInt8)
    /// Announce the addresses with gratuitous ARP now, and start the driver's series of repeats.
    case announceAddresses
    /// The state changed: last in its list, so that logging delays nothing.
    case recordTransition(VirtualRouterTransition)
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
    }

    /// Makes a transition.
    public init(from: VirtualRouterState, to: VirtualRouterState, cause: Cause) {
        self.from = from
        self.to = to
        self.cause = cause
    }
}

/// Something worth a log line that changes no state.
public struct VirtualRouterNotice: Hashable, Sendable {
    /// What was seen.
    public var kind: Kind
    /// Who sent it; the own address when nobody did.
    public var source: IPAddress
    /// What was got, in the unit of the kind.
    public var got: UInt64
    /// What was wanted, in the same unit.
    public var wanted: UInt64

    /// The kinds, each reported at a limited rate; the raw value serves in logs and metrics.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// Max Advertise Interval differs, in centiseconds; kept (RFC 9568 §7.1).
        case intervalDiffers = "interval_differs"
        /// The address list differs, in number of addresses; kept (RFC 9568 §7.1).
        case addressesDiffer = "addresses_differ"
        /// We are the owner and hear an advert, its priority; kept (RFC 9568 §7.1, erratum 8298).
        case heardAsOwner = "heard_as_owner"
        /// Two routers with priority 255 (RFC 9568 §8.3.2).
        case secondOwner = "second_owner"
        /// Another router has our priority (RFC 9568 §8.3.2).
        case samePriority = "same_priority"
        /// Our own priority and address came back: a loop or a copied address (A6).
        case samePriorityAndAddress = "same_priority_and_address"
        /// The sender's checksum form is not the one we send: it may be dropping ours.
        case checksumFormDiffers = "checksum_form_differs"
        /// A worse router thinks it is the Active, its priority: a split just healed (A5).
        case lowerPriorityActive = "lower_priority_active"
        /// We ran too late, in milliseconds of silence, and gave the addresses up.
        case overslept = "overslept"
        /// An advert from a router that is proven dead, its priority: sent before it died.
        case advertOfTheDead = "advert_of_the_dead"
    }

    /// Makes a notice.
    public init(_ kind: Kind, source: IPAddress, got: UInt64, wanted: UInt64) {
        self.kind = kind
        self.source = source
        self.got = got
        self.wanted = wanted
    }
}

extension VirtualRouterNotice: CustomStringConvertible {
    /// `interval_differs: 10.0.0.2 got 100, wanted 10`.
    public var description: String {
        "\(kind.rawValue): \(source) got \(got), wanted \(wanted)"
    }
}
