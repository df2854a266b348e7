// SPDX-License-Identifier: Apache-2.0
//
// What a YAML parser says about a file, as values. Knows no parser.

/// One step of a parsed document in file order.
public struct ConfigurationEvent: Hashable, Sendable {
    /// What the step is.
    public enum Kind: Hashable, Sendable {
        /// A single value or key; plain when it was written without quotes.
        case scalar(String, isPlain: Bool)
        /// A value that was already reported as unusable; readers pass over it in silence.
        case unusable
        /// A list begins.
        case sequenceStart
        /// The innermost list ends.
        case sequenceEnd
        /// A mapping begins; keys and values alternate.
        case mappingStart
        /// The innermost mapping ends.
        case mappingEnd
    }

    /// What the step is.
    public var kind: Kind
    /// Where it stands.
    public var range: SourceRange

    /// Makes an event.
    public init(_ kind: Kind, _ range: SourceRange) {
        self.kind = kind
        self.range = range
    }
}
