// SPDX-License-Identifier: Apache-2.0
//
// How many packets of one socket are too many, as a pure value (a virtual-scheduling bucket).

internal import WireCore

/// Admits packets at a bounded rate with a bounded burst.
struct PacketPacer {
    private let packetSpan: TimeSpan
    private let burstSpan: TimeSpan
    /// When the packets so far would all have come at the highest allowed rate.
    private var balancedAt = Instant(nanoseconds: 0)

    init(packetsPerSecond: UInt64, burstCount: UInt64) {
        packetSpan = TimeSpan(nanoseconds: 1_000_000_000 / packetsPerSecond)
        burstSpan = packetSpan.multiplied(by: burstCount)
    }

    /// Counts one packet; false when it is one too many.
    mutating func admit(now: Instant) -> Bool {
        let next = max(balancedAt, now) + packetSpan
        guard next <= now + burstSpan else { return false }
        balancedAt = next
        return true
    }

    /// Allows a whole burst again.
    mutating func forget() {
        balancedAt = Instant(nanoseconds: 0)
    }
}
