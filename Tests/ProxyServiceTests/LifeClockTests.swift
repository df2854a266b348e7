// SPDX-License-Identifier: Apache-2.0
//
// Goal: a worker asks for a sign of life when the last one is too old, and only for one after it
// woke up. Method: a table.

import Testing
import WireCore

@testable import ProxyService

struct LifeClockTests {
    private static func at(_ milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: milliseconds * 1_000_000)
    }

    @Test(
        arguments: [
            // Shown at, looked at, stale; in milliseconds, 0 for never shown.
            (0, 1, false), (0, 1_000_000, false), (100, 100, false), (100, 110, false),
            (100, 130, false), (100, 131, true), (100, 5_000, true),
            // A look that began before the sign.
            (100, 99, false), (100, 1, false),
        ] as [(UInt64, UInt64, Bool)])
    func aSignGrowsOld(shown: UInt64, now: UInt64, isStale: Bool) {
        let clock = LifeClock()
        if shown > 0 { clock.show(at: Self.at(shown)) }
        #expect(clock.isStale(at: Self.at(now)) == isStale)
    }

    @Test(
        arguments: [
            (100, 99, true), (100, 100, true), (100, 101, false), (100, 200, false),
        ] as [(UInt64, UInt64, Bool)])
    func onlyASignAfterwardsCounts(shown: UInt64, wokeUp: UInt64, isShown: Bool) {
        let clock = LifeClock()
        #expect(!clock.isShown(since: Self.at(wokeUp)))
        clock.show(at: Self.at(shown))
        #expect(clock.isShown(since: Self.at(wokeUp)) == isShown)
    }

    @Test func theNewestSignCounts() {
        let clock = LifeClock()
        for milliseconds in [100, 200, 300] as [UInt64] { clock.show(at: Self.at(milliseconds)) }
        #expect(!clock.isStale(at: Self.at(330)))
        #expect(clock.isStale(at: Self.at(331)))
    }
}
