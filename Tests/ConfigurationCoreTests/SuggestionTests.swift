// SPDX-License-Identifier: Apache-2.0
//
// Which known word a misspelt one is taken for.

import Testing

@testable import ConfigurationCore

@Suite struct SuggestionTests {
    @Test(arguments: [
        ("adress", "address"), ("Address", "address"), ("health-check", "health_check"),
        ("prempt", "preempt"), ("wieght", "weight"), ("rules", nil), ("x", nil), ("", nil),
    ])
    func findsSlipsAndNothingElse(word: String, meant: String?) {
        let candidates = ["address", "weight", "health_check", "preempt", "interval"]
        #expect(Suggestion.nearest(to: word, in: candidates) == meant)
    }

    @Test(arguments: [
        ("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "axc", 1),
        ("kitten", "sitting", 3), ("", "abc", 3),
    ])
    func distanceCountsEditsAndSwaps(left: String, right: String, distance: Int) {
        #expect(Suggestion.distance(Array(left.utf8), Array(right.utf8), limit: 9) == distance)
        #expect(Suggestion.distance(Array(right.utf8), Array(left.utf8), limit: 9) == distance)
    }

    @Test func wordsBeyondTheLimitAreNotCompared() {
        let long = String(repeating: "a", count: Suggestion.lengthMax + 1)
        #expect(Suggestion.nearest(to: long, in: [long]) == nil)
        #expect(Suggestion.nearest(to: "aaaa", in: [long]) == nil)
    }

    @Test func theNearestOfSeveralWins() {
        #expect(
            Suggestion.nearest(to: "least_tim", in: ["least_team", "least_time"]) == "least_time")
    }
}
