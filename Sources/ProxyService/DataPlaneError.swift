// SPDX-License-Identifier: Apache-2.0
//
// Why the data plane cannot do what it was asked, in words for the operator.

/// Everything that keeps a configuration from being served, found in one go.
public struct DataPlaneError: Error, Equatable, CustomStringConvertible {
    /// One sentence for each problem; never empty.
    public let problems: [String]

    /// Makes an error from its problems.
    public init(problems: [String]) {
        precondition(!problems.isEmpty, "an error has a reason")
        self.problems = problems
    }

    /// The problems, one a line.
    public var description: String { problems.joined(separator: "\n") }
}
