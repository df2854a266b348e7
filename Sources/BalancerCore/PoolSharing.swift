// SPDX-License-Identifier: Apache-2.0
//
// How the priorities and zones of a pool share its traffic: settings alone.

/// Settings of the shares of priorities and zones.
public struct PoolSharing: Hashable, Sendable {
    /// A level panics when less than this share of its weight is healthy; 0 never.
    public var panicPercent: Int
    /// A group carries its whole share while its healthy weight, times this, covers it.
    public var overprovisionPercent: Int
    /// Backends of the node's own zone are preferred.
    public var prefersLocalZone: Bool

    /// Makes the settings; numbers outside 0-100 and 100-1,000 are cut to that.
    public init(
        panicPercent: Int = 50, overprovisionPercent: Int = 140, prefersLocalZone: Bool = true
    ) {
        self.panicPercent = min(max(panicPercent, 0), 100)
        self.overprovisionPercent = min(max(overprovisionPercent, 100), 1_000)
        self.prefersLocalZone = prefersLocalZone
    }
}
