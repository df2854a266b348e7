// SPDX-License-Identifier: Apache-2.0
//
// When a socket's packets are too many, as a pure value: first the kernel is asked to drop what is
// not the peer's, then wake-ups are put off. Touches no socket.

internal import WireCore

/// Bounds the work that packets of one socket can cause.
///
/// Until a flood everything is let through, so that each bad packet is counted by its reason. A
/// flood raises the shield for a while: a filter in the kernel that only the peer's adverts pass.
/// What passes even that (somebody sends in the peer's name) is heard at a bounded rate.
struct FloodGuard {
    /// Packets per second that never count as a flood: adverts every 10 ms from five routers.
    static let packetsPerSecond: UInt64 = 500
    /// Packets that may come at once.
    static let burstCount: UInt64 = 500
    /// How long the shield stays up; a flood that lasts raises it again.
    static let shieldDuration = TimeSpan.seconds(10)
    /// How long wake-ups are put off when the shield does not help: at most 50 a second.
    static let pauseDuration = TimeSpan.milliseconds(20)

    /// What must happen after a packet.
    enum Verdict: Hashable {
        /// Nothing.
        case calm
        /// Put the filter on.
        case raiseShield
        /// Do not wake up for packets for `pauseDuration`.
        case pause
    }

    /// Whether the filter is on.
    private(set) var isShielded = false
    private var pacer = PacketPacer(packetsPerSecond: packetsPerSecond, burstCount: burstCount)

    /// Counts one packet.
    mutating func packetArrived(now: Instant) -> Verdict {
        guard !pacer.admit(now: now) else { return .calm }
        if isShielded { return .pause }
        isShielded = true
        // What the filter lets pass is judged anew.
        pacer.forget()
        return .raiseShield
    }

    /// The shield's time is over.
    mutating func shieldLowered() {
        isShielded = false
    }
}
