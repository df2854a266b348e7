// SPDX-License-Identifier: Apache-2.0
//
// When an Active whose trackers fail gives its addresses to the better peer. Only advises: the
// handing over itself, and whether the peer takes part, is the driver's.

public import WireCore

/// Tells a degraded Active when to hand over.
///
/// RFC 9568 lets a Backup of higher priority take over by preemption, which is off by default and
/// interrupts. Here the Active itself begins a planned switchover, and only on the peer's fresh
/// word that it is better. The pauses bound how often two ailing nodes can pass the addresses to
/// and fro: at most once per ``pause`` in either direction.
public struct HandoverAdvice: Sendable {
    /// At most one piece of advice in this time, and none so soon after becoming Active.
    public static let pause = TimeSpan.seconds(10)
    /// The link must have been up for so long: a peer that just started may still be settling.
    public static let linkUpMin = TimeSpan.seconds(2)
    /// The peer's word is fresh for so many heartbeat intervals.
    public static let freshIntervals: UInt64 = 3

    /// This node for one virtual router or group of them.
    public struct Own: Hashable, Sendable {
        /// Whether it is Active.
        public var isActive: Bool
        /// Its priority now, penalties taken off.
        public var priority: UInt8
        /// The penalties.
        public var penaltyPoints: Int

        /// Describes this node.
        public init(isActive: Bool, priority: UInt8, penaltyPoints: Int) {
            self.isActive = isActive
            self.priority = priority
            self.penaltyPoints = penaltyPoints
        }
    }

    /// The peer for the same routers, as its last heartbeat said.
    public struct Peer: Hashable, Sendable {
        /// Whether it stands ready as Backup.
        public var isBackup: Bool
        /// Its priority now; `nil` when its version does not say.
        public var priority: UInt8?
        /// Whether a fault keeps it from serving.
        public var isFaulty: Bool
        /// Whether it may not claim.
        public var isHeld: Bool
        /// When it said so.
        public var heardAt: Instant

        /// Describes the peer.
        public init(
            isBackup: Bool, priority: UInt8?, isFaulty: Bool, isHeld: Bool, heardAt: Instant
        ) {
            self.isBackup = isBackup
            self.priority = priority
            self.isFaulty = isFaulty
            self.isHeld = isHeld
            self.heardAt = heardAt
        }
    }

    private let freshness: TimeSpan
    private var linkUpSince: Instant?
    private var activeSince: Instant?
    private var advisedAt: Instant?

    /// Starts as Backup without a link.
    ///
    /// - Parameter heartbeatInterval: how often the peer speaks at least.
    public init(heartbeatInterval: TimeSpan) {
        freshness = heartbeatInterval.multiplied(by: Self.freshIntervals)
    }

    /// Heartbeats arrive.
    public mutating func linkCameUp(now: Instant) {
        linkUpSince = linkUpSince ?? now
    }

    /// Heartbeats do not arrive.
    public mutating func linkWentDown() {
        linkUpSince = nil
    }

    /// This node became Active.
    public mutating func becameActive(now: Instant) {
        activeSince = now
    }

    /// Whether to hand over now; a yes counts as advice given.
    public mutating func wantsHandover(own: Own, peer: Peer, now: Instant) -> Bool {
        guard own.isActive, own.penaltyPoints > 0, isPeerBetter(peer, than: own, now: now),
            let linkUpSince, now - linkUpSince >= Self.linkUpMin
        else { return false }
        for earlier in [activeSince, advisedAt].compactMap(\.self)
        where now - earlier < Self.pause {
            return false
        }
        advisedAt = now
        return true
    }

    private func isPeerBetter(_ peer: Peer, than own: Own, now: Instant) -> Bool {
        guard peer.isBackup, !peer.isFaulty, !peer.isHeld, let priority = peer.priority else {
            return false
        }
        return priority > own.priority && now - peer.heardAt <= freshness
    }
}
