// SPDX-License-Identifier: Apache-2.0
//
// Finds a pattern in bytes that arrive in pieces, each byte looked at once (Knuth, Morris, Pratt):
// neither an endless answer nor an unlucky cut costs more.

/// Whether bytes seen so far contain a pattern.
struct ByteMatcher: Sendable {
    private let pattern: [UInt8]
    /// For each length of a match, the longest shorter one that its end is the beginning of.
    private let fallbacks: [Int]
    private var matchedCount = 0
    /// True once the pattern was seen; at once when it is empty.
    private(set) var isFound: Bool

    init(_ pattern: [UInt8]) {
        self.pattern = pattern
        isFound = pattern.isEmpty
        var fallbacks = [Int](repeating: 0, count: pattern.count)
        var length = 0
        for index in pattern.indices.dropFirst() {
            while length > 0, pattern[index] != pattern[length] { length = fallbacks[length - 1] }
            if pattern[index] == pattern[length] { length += 1 }
            fallbacks[index] = length
        }
        self.fallbacks = fallbacks
    }

    /// Looks at the bytes that follow those seen.
    mutating func look(at bytes: UnsafeRawBufferPointer) {
        guard !isFound else { return }
        for byte in bytes {
            while matchedCount > 0, pattern[matchedCount] != byte {
                matchedCount = fallbacks[matchedCount - 1]
            }
            if pattern[matchedCount] == byte { matchedCount += 1 }
            if matchedCount == pattern.count {
                isFound = true
                return
            }
        }
    }
}
