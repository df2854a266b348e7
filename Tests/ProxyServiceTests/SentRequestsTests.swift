// SPDX-License-Identifier: Apache-2.0
//
// Goal: a request goes on when what was told of it has arrived, and not before, or when its channel
// is gone. Method: counts of bytes as a channel has them.

import Testing
import WireCore

@testable import ProxyService

struct SentRequestsTests {
    private let now = Instant(nanoseconds: 1_000_000_000)

    @Test func eachWaitsForItsOwnBytes() {
        var sent = SentRequests()
        sent.add([1, 2], end: 100, now: now)
        sent.add([3], end: 150, now: now + .milliseconds(1))
        #expect(sent.take(acknowledged: 99) == [])
        #expect(sent.since == now)
        #expect(sent.take(acknowledged: 149) == [1, 2])
        #expect(sent.since == now + .milliseconds(1))
        #expect(sent.count == 1)
        #expect(sent.take(acknowledged: 150) == [3])
        #expect(sent.isEmpty)
        #expect(sent.take(acknowledged: 999) == [])
    }

    @Test func countsWrapAround() {
        var sent = SentRequests()
        sent.add([1], end: .max &- 1, now: now)
        sent.add([2], end: 5, now: now)
        #expect(sent.take(acknowledged: .max &- 2) == [])
        #expect(sent.take(acknowledged: .max) == [1])
        #expect(sent.take(acknowledged: 5) == [2])
    }

    @Test func nobodyWaitsForAChannelThatIsGone() {
        var sent = SentRequests()
        sent.add([1], end: 100, now: now)
        sent.giveUp()
        // Those of the next channel, which begins at zero, still do.
        sent.add([2], end: 40, now: now)
        #expect(sent.take(acknowledged: 0) == [1])
        #expect(sent.take(acknowledged: 40) == [2])
    }

    @Test func nobodyWaitsWithoutAChannel() {
        var sent = SentRequests()
        sent.add([1], end: nil, now: now)
        #expect(sent.take(acknowledged: 0) == [1])
    }
}
