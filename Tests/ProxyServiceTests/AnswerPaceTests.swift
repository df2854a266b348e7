// SPDX-License-Identifier: Apache-2.0
//
// Goal: waiting for others pays exactly when they come quickly. Method: answers at chosen times.

import Testing
import WireCore

@testable import ProxyService

struct AnswerPaceTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test func nothingIsExpectedBeforeAnythingCame() {
        var pace = AnswerPace()
        pace.note(count: 1_000, now: start)
        #expect(!pace.isExpected(2, within: .milliseconds(1)))
    }

    @Test func answersOneByOneAndTogetherAreTheSamePace() {
        var (single, together) = (AnswerPace(), AnswerPace())
        for step in 0..<200 as Range<UInt64> {
            single.note(count: 1, now: start + .microseconds(50 * step))
            together.note(count: 10, now: start + .microseconds(500 * step))
        }
        for pace in [single, together] {
            #expect(pace.isExpected(19, within: .milliseconds(1)))
            #expect(!pace.isExpected(21, within: .milliseconds(1)))
        }
    }

    @Test func onePauseIsNoEndAndSeveralAre() {
        var pace = AnswerPace()
        for step in 0..<200 as Range<UInt64> {
            pace.note(count: 1, now: start + .microseconds(50 * step))
        }
        pace.note(count: 1, now: start + .seconds(3_600))
        #expect(pace.isExpected(4, within: .milliseconds(1)))
        for second in 3_601...3_602 as ClosedRange<UInt64> {
            pace.note(count: 1, now: start + .seconds(second))
        }
        #expect(!pace.isExpected(4, within: .milliseconds(1)))
    }

    @Test func noAnswersAndTimesThatGoBackDoNoHarm() {
        var pace = AnswerPace()
        pace.note(count: 0, now: start)
        pace.note(count: 1, now: start)
        pace.note(count: 1, now: Instant(nanoseconds: 0))
        #expect(!pace.isExpected(.max, within: .milliseconds(1)))
    }
}
