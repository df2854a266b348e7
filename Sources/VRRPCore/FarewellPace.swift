// SPDX-License-Identifier: Apache-2.0
//
// How often somebody said with priority 0 that it gives up, to tell a farewell from an attack.

import WireCore

/// The priority-0 adverts heard lately.
struct FarewellPace {
    /// So many within `window` are answered as the RFC says; three routers may stop together.
    static let promptCountMax = 3
    /// What counts as lately.
    static let window = TimeSpan.seconds(1)
    /// The shortest wait after more of them, whatever the advert interval.
    static let waitMin = TimeSpan.milliseconds(100)

    /// The last `promptCountMax`, oldest first.
    private var heardAt: [Instant] = []
    /// Whether the last one came after `promptCountMax` others within `window`.
    private(set) var isFlood = false

    mutating func heard(now: Instant) {
        isFlood = heardAt.count == Self.promptCountMax && now - heardAt[0] < Self.window
        if heardAt.count == Self.promptCountMax { heardAt.removeFirst() }
        heardAt.append(now)
    }
}
