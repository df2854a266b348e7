// SPDX-License-Identifier: Apache-2.0
//
// "Did you mean": the candidate nearest to a mistyped word.

/// Finds what a mistyped word was meant to be.
public enum Suggestion {
    /// Longer words are not compared; the cost grows with the product of the lengths.
    public static let lengthMax = 64

    /// The candidate nearest to `word`, when one is near enough to be a slip.
    public static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        guard word.utf8.count <= lengthMax else { return nil }
        let limit = max(1, word.utf8.count / 3)
        var best: (distance: Int, candidate: String)?
        for candidate in candidates where candidate.utf8.count <= lengthMax {
            let distance = distance(folded(word), folded(candidate), limit: limit)
            guard distance <= limit, distance < (best?.distance ?? .max) else { continue }
            best = (distance, candidate)
        }
        return best?.candidate
    }

    /// The one candidate that has `word` between its underscores: `type` in `content_type`.
    static func containing(_ word: String, in candidates: [String]) -> String? {
        let matches = candidates.filter { $0.split(separator: "_").contains { $0 == word } }
        return matches.count == 1 ? matches[0] : nil
    }

    /// `did you mean "x"?`, or the whole list when nothing is near.
    static func text(for word: String, in candidates: [String], listing noun: String) -> String? {
        if let nearest = nearest(to: word, in: candidates) { return "did you mean \"\(nearest)\"?" }
        guard !candidates.isEmpty else { return nil }
        return "\(noun): \(list(candidates))"
    }

    /// Names separated by commas, cut after the first twelve.
    static func list(_ names: [String]) -> String {
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? "\(shown), ..." : shown
    }

    /// Optimal string alignment distance: insert, delete, replace or swap neighbours.
    ///
    /// Any result above `limit` only says "too far".
    static func distance(_ left: [UInt8], _ right: [UInt8], limit: Int) -> Int {
        if abs(left.count - right.count) > limit { return limit + 1 }
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var beforePrevious = [Int](repeating: 0, count: right.count + 1)
        var previous = Array(0...right.count)
        for row in 1...left.count {
            var current = [row] + [Int](repeating: 0, count: right.count)
            for column in 1...right.count {
                let cost = left[row - 1] == right[column - 1] ? 0 : 1
                var value = min(
                    previous[column] + 1, current[column - 1] + 1, previous[column - 1] + cost)
                if row > 1, column > 1, left[row - 1] == right[column - 2],
                    left[row - 2] == right[column - 1]
                {
                    value = min(value, beforePrevious[column - 2] + 1)
                }
                current[column] = value
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }

    /// Lower case, `-` read as `_`: the two most frequent slips cost nothing.
    private static func folded(_ word: String) -> [UInt8] {
        word.utf8.map { byte in
            switch byte {
            case 0x41...0x5A: byte + 0x20
            case 0x2D: 0x5F
            default: byte
            }
        }
    }
}
