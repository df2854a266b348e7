// SPDX-License-Identifier: Apache-2.0
//
// What is learned about a backend's idle timeout, in virtual time.

import Testing
import WireCore

@testable import ProxyService

struct IdleEstimateTests {
    private let longest = TimeSpan.seconds(50)

    @Test func twoEndsAtTheSameAgeAreATimeout() {
        var estimate = IdleEstimate()
        #expect(estimate.span(longest: longest) == longest)
        estimate.ended(after: .milliseconds(5_010), now: Instant(nanoseconds: 10_000_000_000))
        #expect(estimate.span(longest: longest) == longest)
        estimate.ended(after: .milliseconds(5_000), now: Instant(nanoseconds: 18_000_000_000))
        #expect(estimate.span(longest: longest) == .seconds(4))
    }

    @Test func restartIsNotATimeout() {
        var estimate = IdleEstimate()
        let now = Instant(nanoseconds: 10_000_000_000)
        for age in [3_000, 3_001, 3_100, 9_000] as [UInt64] {
            estimate.ended(after: .milliseconds(age), now: now)
        }
        #expect(estimate.timeout == nil)
        // Nor is what ends long before it could have idled.
        estimate.ended(after: .milliseconds(10), now: now + .seconds(1))
        estimate.ended(after: .milliseconds(10), now: now + .seconds(2))
        #expect(estimate.timeout == nil)
    }

    @Test func shorterTimeoutReplacesALongerOneAndIsForgottenSlowly() {
        var estimate = IdleEstimate()
        estimate.advertised(.seconds(20))
        #expect(estimate.span(longest: longest) == .seconds(16))
        let now = Instant(nanoseconds: 100_000_000_000)
        estimate.ended(after: .seconds(5), now: now)
        estimate.ended(after: .seconds(5), now: now + .seconds(6))
        #expect(estimate.span(longest: longest) == .seconds(4))
        var turns = 0
        var last = estimate.span(longest: longest)
        while estimate.timeout != nil, turns < 1_000 {
            estimate.outlived(longest: longest)
            let next = estimate.span(longest: longest)
            #expect(next >= last)
            #expect(next <= last + last.divided(by: 15))
            last = next
            turns += 1
        }
        #expect(turns > 30)
        #expect(turns < 100)
        #expect(estimate.span(longest: longest) == longest)
    }

    @Test(
        arguments: [
            ("timeout=5, max=100", 5), ("max=100, timeout=15", 15), ("Timeout=0", 0),
            ("timeout=99999999999999999999", 1_000_000), ("timeout=", nil), ("max=3", nil),
            ("", nil),
            ("timeout", nil), ("timeout=x", nil),
        ] as [(String, UInt64?)])
    func keepAliveFieldIsRead(text: String, seconds: UInt64?) {
        let bytes = Array(text.utf8)
        let found = bytes.withUnsafeBytes { IdleEstimate.advertisedSeconds($0) }
        if let seconds { #expect((found ?? 0) >= seconds) } else { #expect(found == nil) }
        if seconds ?? 0 < 1_000_000 { #expect(found == seconds) }
    }
}
