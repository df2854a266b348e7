// SPDX-License-Identifier: Apache-2.0
//
// How long the host slept, told from how long a core was lost between two readings.

import Testing
import WireCore

@testable import LinuxIO

@Suite struct SuspensionTests {
    /// A clock pair on which time passes only while `delays` last, one per reading.
    private func span(delays: [TimeSpan], suspended: TimeSpan) -> TimeSpan {
        var now = Instant(nanoseconds: 1_000_000_000)
        var waiting = delays[...]
        func read() -> Instant {
            defer { now = now + (waiting.popFirst() ?? .nanoseconds(20)) }
            return now
        }
        return Clock.suspendedSpan(monotonic: read, boot: { read() + suspended })
    }

    @Test func aCoreLostBetweenTheReadingsIsNoSuspension() {
        let found = span(delays: [.milliseconds(40)], suspended: .zero)
        #expect(found < .milliseconds(1))
    }

    @Test func aSuspensionIsFoundBehindALostCore() {
        let found = span(delays: [.milliseconds(40)], suspended: .seconds(3))
        #expect(found >= .seconds(3))
        #expect(found < .milliseconds(3_001))
    }

    @Test func readingsThatAreAllDelayedStillEnd() {
        let delays = [TimeSpan](repeating: .milliseconds(40), count: 64)
        #expect(span(delays: delays, suspended: .seconds(3)) >= .seconds(3))
    }
}
