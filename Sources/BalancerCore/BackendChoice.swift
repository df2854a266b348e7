// SPDX-License-Identifier: Apache-2.0
//
// What a choice says. Two kinds of "nobody" are kept apart because they have different cures.

/// The outcome of a choice.
public enum BackendChoice: Hashable, Sendable {
    /// This backend gets the request.
    case chosen(Int)
    /// Nobody that was not tried before may be given work: waiting does not help.
    case noneAvailable
    /// Whoever may be given work and was not tried before is at its limit: waiting may help.
    case allAtLimit

    /// The chosen backend; `nil` when there is none.
    @inlinable public var index: Int? {
        if case .chosen(let index) = self { return index }
        return nil
    }
}
