// SPDX-License-Identifier: Apache-2.0
//
// When each step of a takeover happened, for people, metrics and the drill.

internal import LinuxIO
public import WireCore

/// A moment on both clocks.
public struct Moment: Hashable, Sendable {
    /// On the monotonic clock, which all namespaces of one kernel share.
    public var instant: Instant
    /// Nanoseconds since 1970.
    public var wallNanoseconds: UInt64

    /// Makes a moment.
    public init(instant: Instant, wallNanoseconds: UInt64) {
        self.instant = instant
        self.wallNanoseconds = wallNanoseconds
    }

    /// The present.
    public static func now() -> Moment {
        Moment(instant: Clock.now(), wallNanoseconds: Clock.wallNanoseconds())
    }

    /// The moment at which the monotonic clock shows `instant`, counted from this one.
    func at(_ other: Instant) -> Moment {
        let wall = TimeSpan(nanoseconds: wallNanoseconds)
        let moved = other < instant ? wall - (instant - other) : wall + (other - instant)
        return Moment(instant: other, wallNanoseconds: moved.nanoseconds)
    }
}

/// One takeover of this node, step by step.
public struct FailoverRecord: Hashable, Sendable {
    /// What told this node to take over; the raw value serves in logs and metrics.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The Active fell silent for an Active_Down_Interval.
        case activeDownTimer = "active_down_timer"
        /// The Active gave up with a priority-0 advert.
        case priorityZero = "priority_zero"
        /// The pair link proved that the Active's process is gone.
        case peerProcessDead = "peer_process_dead"
        /// The peer said on the pair link that it leaves.
        case peerLeft = "peer_left"
        /// This node is the owner and started.
        case startup
        /// An operator moved the addresses here.
        case switchover
    }

    /// The virtual router.
    public var instance: VirtualRouterInstance
    /// What told this node.
    public var detectedBecause: Reason
    /// The last advert of the router that was Active before; `nil` when none was heard.
    public var lastHeardFromActiveAt: Moment?
    /// The decision.
    public var detectedAt: Moment
    /// The last virtual address was added.
    public var claimedAt: Moment
    /// The first advert was handed to the network.
    public var advertisedAt: Moment
    /// The first gratuitous ARP of every address was handed to the network.
    public var announcedAt: Moment

    /// From the decision to the addresses.
    public var claimDuration: TimeSpan { claimedAt.instant - detectedAt.instant }
    /// From the decision to the announcement: T_claim.
    public var announceDuration: TimeSpan { announcedAt.instant - detectedAt.instant }
    /// From the Active's last advert to the decision.
    public var silence: TimeSpan? {
        lastHeardFromActiveAt.map { detectedAt.instant - $0.instant }
    }
}
