// SPDX-License-Identifier: Apache-2.0
//
// What the YAML parser found, as values that outlive it.

/// A place in the text: line and column (in Unicode scalars), both counted from 1.
public struct YAMLMark: Hashable, Sendable {
    /// The line, the first is 1.
    public var line: Int
    /// The column, the first is 1.
    public var column: Int

    /// Makes a mark.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// One step of a document in file order.
public struct YAMLEvent: Hashable, Sendable {
    /// What the step is.
    public enum Kind: Hashable, Sendable {
        /// A key or a single value; plain when it was written without quotes.
        case scalar(String, isPlain: Bool)
        /// A value that a problem speaks of: an alias, or a value with a tag.
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
    /// Where it begins.
    public var start: YAMLMark
    /// Where it ends, exclusive.
    public var end: YAMLMark
}

/// Something the parser refuses.
public struct YAMLProblem: Hashable, Sendable {
    /// What kind of refusal it is.
    public enum Reason: Hashable, Sendable {
        /// The text is no YAML; libyaml's words for it.
        case syntax(String)
        /// The bytes from here on are not UTF-8.
        case notUTF8
        /// A character that YAML does not allow.
        case character(UInt32)
        /// More bytes than `YAMLLimits.byteCountMax`.
        case tooLarge(byteCountMax: Int)
        /// Nested deeper than `YAMLLimits.depthMax`.
        case tooDeep(depthMax: Int)
        /// More values than `YAMLLimits.nodeCountMax`.
        case tooManyNodes(nodeCountMax: Int)
        /// `*name`, which repeats another value.
        case alias
        /// `&name`, which marks a value to be repeated.
        case anchor
        /// `!name`, which states a type.
        case tag
        /// A second document after `---`.
        case secondDocument
        /// No memory for the parser.
        case outOfMemory
    }

    /// Why.
    public var reason: Reason
    /// Where it begins.
    public var start: YAMLMark
    /// Where it ends, exclusive; equal to `start` when only a place is known.
    public var end: YAMLMark
    /// What was being read and where that began, for syntax problems.
    public var context: Context?

    /// What the parser was reading when it gave up.
    public struct Context: Hashable, Sendable {
        /// libyaml's words, such as `while parsing a flow mapping`.
        public var text: String
        /// Where it began.
        public var start: YAMLMark
    }
}

/// A parsed text.
public struct YAMLDocument: Hashable, Sendable {
    /// The events of the document; what came before the problem that ended the parse.
    public var events: [YAMLEvent]
    /// What was refused; the text is usable only when there is none.
    public var problems: [YAMLProblem]
    /// False when the parse stopped before the end of the text.
    public var isComplete: Bool
}

/// Bounds on what a text may ask of the parser.
public struct YAMLLimits: Hashable, Sendable {
    /// The largest text in bytes.
    public var byteCountMax: Int
    /// The deepest nesting of lists and mappings.
    public var depthMax: Int
    /// The most scalars, lists and mappings together.
    public var nodeCountMax: Int
    /// The most problems kept.
    public var problemCountMax: Int

    /// Makes limits; the defaults are far beyond any valid configuration.
    public init(
        byteCountMax: Int = 4 << 20, depthMax: Int = 32, nodeCountMax: Int = 400_000,
        problemCountMax: Int = 100
    ) {
        self.byteCountMax = byteCountMax
        self.depthMax = depthMax
        self.nodeCountMax = nodeCountMax
        self.problemCountMax = problemCountMax
    }
}
