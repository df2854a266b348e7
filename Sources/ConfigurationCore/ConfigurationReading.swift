// SPDX-License-Identifier: Apache-2.0
//
// What reading a document gives, and which node the reading process wants to be.

/// Which entry of `pair.nodes` the process is.
public enum LocalNodeChoice: Hashable, Sendable {
    /// Named on the command line with `--node`.
    case named(String)
    /// The host's own name; its first label counts too, so `lb1.example.org` finds `lb1`.
    case hostName(String)
    /// None: the file is only checked.
    case unchecked
}

/// A document that was read: the configuration or the reasons why there is none.
public struct ConfigurationReading: Sendable {
    /// The configuration; `nil` when there is an error.
    public var configuration: Configuration?
    /// The entry of `pair.nodes` that the process is; `nil` without a pair or when unchecked.
    public var localNode: NodeConfiguration?
    /// Errors and warnings in file order.
    public var diagnostics: [Diagnostic]
    /// The value of `pair.link.secret_file`, also when there are errors elsewhere, for what only
    /// a look at the file tells.
    public var secretFile: String?
    /// Where that value stands.
    public var secretFileRange: SourceRange?
}

/// A value and the place it was read from.
struct Located<Value: Sendable>: Sendable {
    var value: Value
    var range: SourceRange
}

extension Located: Equatable where Value: Equatable {}
