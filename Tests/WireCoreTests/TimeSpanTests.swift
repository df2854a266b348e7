// SPDX-License-Identifier: Apache-2.0
//
// Lengths of time and instants: arithmetic that saturates, text that keeps the span whole.

import Testing
import WireCore

@Suite struct TimeSpanTests {
    @Test(arguments: [
        (TimeSpan.zero, "0ns"),
        (.nanoseconds(1), "1ns"),
        (.nanoseconds(1_001), "1001ns"),
        (.microseconds(1_500), "1500us"),
        (.milliseconds(10), "10ms"),
        (.milliseconds(1_000), "1s"),
        (.seconds(90), "90s"),
    ])
    func descriptionUsesTheLargestUnitThatKeepsItWhole(span: TimeSpan, text: String) {
        #expect(span.description == text)
    }

    @Test func constructorsSaturate() {
        let longest = TimeSpan(nanoseconds: .max)
        #expect(TimeSpan.microseconds(.max) == longest)
        #expect(TimeSpan.milliseconds(.max) == longest)
        #expect(TimeSpan.seconds(.max) == longest)
        #expect(TimeSpan.nanoseconds(.max) == longest)
        // 18,446,744,073 s is the last whole second that fits.
        #expect(TimeSpan.seconds(18_446_744_073) < longest)
        #expect(TimeSpan.seconds(18_446_744_074) == longest)
    }

    @Test func sumsAndDifferencesSaturate() {
        let longest = TimeSpan(nanoseconds: .max)
        #expect(longest + .nanoseconds(1) == longest)
        #expect(.seconds(1) + .milliseconds(500) == TimeSpan.milliseconds(1_500))
        #expect(.seconds(1) - .seconds(2) == TimeSpan.zero)
        #expect(.seconds(2) - .milliseconds(1) == TimeSpan.milliseconds(1_999))
    }

    @Test func multiplicationSaturatesAndDivisionNeverTraps() {
        #expect(TimeSpan.seconds(3).multiplied(by: 2) == .seconds(6))
        #expect(TimeSpan.seconds(3).multiplied(by: 0) == .zero)
        #expect(TimeSpan.seconds(3).multiplied(by: .max).nanoseconds == .max)
        #expect(TimeSpan.nanoseconds(7).divided(by: 2) == .nanoseconds(3))
        #expect(TimeSpan.seconds(3).divided(by: 0) == .seconds(3))
    }

    @Test func conversionsRoundDown() {
        let span = TimeSpan.nanoseconds(1_999_999)
        #expect(span.milliseconds == 1)
        #expect(span.microseconds == 1_999)
        #expect(TimeSpan.milliseconds(1_500).secondsAsDouble == 1.5)
    }

    @Test func spansCompareByLength() {
        #expect(TimeSpan.milliseconds(999) < .seconds(1))
        #expect(!(TimeSpan.seconds(1) < .milliseconds(1_000)))
    }
}

@Suite struct InstantTests {
    @Test func laterInstantsSaturateAtNever() {
        #expect(Instant(nanoseconds: 5) + .nanoseconds(6) == Instant(nanoseconds: 11))
        #expect(Instant(nanoseconds: .max - 1) + .seconds(1) == .distantFuture)
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
    }

    @Test func timeBetweenInstantsIsNeverNegative() {
        let early = Instant(nanoseconds: 100)
        let late = Instant(nanoseconds: 350)
        #expect(late - early == .nanoseconds(250))
        #expect(early - late == .zero)
        #expect(early < late)
    }
}
