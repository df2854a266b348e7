// SPDX-License-Identifier: Apache-2.0
//
// The search over pieces against the plain one over the whole, for every way to cut.

import Testing
import WireCore

@testable import HealthService

@Suite struct ByteMatcherTests {
    private static func finds(_ pattern: [UInt8], in pieces: [ArraySlice<UInt8>]) -> Bool {
        var matcher = ByteMatcher(pattern)
        for piece in pieces { piece.withUnsafeBytes { matcher.look(at: $0) } }
        return matcher.isFound
    }

    private static func contains(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        guard text.count >= pattern.count else { return false }
        return (0...(text.count - pattern.count)).contains { start in
            Array(text[start..<(start + pattern.count)]) == pattern
        }
    }

    @Test func everyShortTextAndPatternAgreesWithThePlainSearch() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            // Two letters: overlaps and false starts are frequent.
            let text = (0..<Int(generator.next() % 12)).map { _ in UInt8(generator.next() & 1) }
            let pattern = (0..<Int(generator.next() % 5)).map { _ in UInt8(generator.next() & 1) }
            let cut = text.isEmpty ? 0 : Int(generator.next() % UInt64(text.count + 1))
            let found = Self.finds(pattern, in: [text[..<cut], text[cut...]])
            #expect(found == Self.contains(pattern, text), "\(pattern) in \(text) cut at \(cut)")
        }
    }

    @Test func theEmptyPatternIsAlwaysThere() {
        #expect(Self.finds([], in: []))
    }

    @Test func onceFoundItStaysFound() {
        #expect(Self.finds([1, 2], in: [[1], [2], [3, 3, 3]]))
    }
}
