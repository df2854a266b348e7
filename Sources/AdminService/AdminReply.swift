// SPDX-License-Identifier: Apache-2.0
//
// What a command answers: words for people and scripts, and whether it did what was asked.

/// The answer to a command.
public struct AdminReply: Hashable, Sendable {
    /// What is printed; empty when there is nothing to say.
    public var text: String
    /// True when the command did not do what was asked.
    public var isFailure: Bool

    /// Makes an answer.
    public init(_ text: String, isFailure: Bool = false) {
        self.text = text
        self.isFailure = isFailure
    }
}
