// SPDX-License-Identifier: Apache-2.0
//
// The backends one request was already sent to, so that a retry goes elsewhere.

/// A short list of backend indexes that lives inside its request: no allocation.
public struct AttemptedBackends: Hashable, Sendable {
    /// How many attempts a request may remember, and so the most it may make.
    @inlinable public static var capacity: Int { 4 }

    @usableFromInline var indexes = SIMD4<Int32>(repeating: -1)
    /// How many backends are listed.
    public internal(set) var count = 0

    /// Starts with no attempt.
    public init() {}

    /// True before the first attempt.
    @inlinable public var isEmpty: Bool { count == 0 }

    /// True when no further attempt can be listed; such a request must not be retried.
    @inlinable public var isFull: Bool { count == Self.capacity }

    /// Lists a backend; false when the list is full or the index cannot be one.
    @discardableResult
    public mutating func insert(_ index: Int) -> Bool {
        guard !isFull, index >= 0, let narrow = Int32(exactly: index) else { return false }
        if contains(index) { return true }
        indexes[count] = narrow
        count += 1
        return true
    }

    /// True when the backend was tried before.
    @inlinable
    public func contains(_ index: Int) -> Bool {
        for slot in 0..<count where Int(indexes[slot]) == index { return true }
        return false
    }
}
