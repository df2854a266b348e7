// SPDX-License-Identifier: Apache-2.0
//
// From the YAML parser's events and problems to the core's events and diagnostics.

import ConfigurationCore
import YAMLIO

extension ConfigurationEvent {
    init(_ event: YAMLEvent) {
        let kind: Kind =
            switch event.kind {
            case .scalar(let text, let isPlain): .scalar(text, isPlain: isPlain)
            case .unusable: .unusable
            case .sequenceStart: .sequenceStart
            case .sequenceEnd: .sequenceEnd
            case .mappingStart: .mappingStart
            case .mappingEnd: .mappingEnd
            }
        let start = SourcePosition(event.start)
        switch event.kind {
        case .scalar, .unusable:
            self.init(kind, SourceRange(start: start, end: SourcePosition(event.end)))
        case .sequenceStart, .sequenceEnd, .mappingStart, .mappingEnd:
            // A collection is pointed at by its first character.
            self.init(kind, SourceRange(at: start))
        }
    }
}

extension SourcePosition {
    init(_ mark: YAMLMark) {
        self.init(line: mark.line, column: mark.column)
    }
}

extension Diagnostic {
    init(_ problem: YAMLProblem, in source: SourceText) {
        // libyaml finds a missing bracket or quote only past the end of the file.
        let start = source.lastText(upTo: SourcePosition(problem.start))
        let end = SourcePosition(problem.end)
        let range = start < end ? SourceRange(start: start, end: end) : SourceRange(at: start)
        let (message, suggestion) = problem.reason.words
        var notes: [Note] = []
        // libyaml's context says where the construct began that could not be finished.
        if let context = problem.context, context.start != problem.start {
            notes.append(
                Note(
                    range: SourceRange(at: source.nearest(to: SourcePosition(context.start))),
                    message: context.text))
        }
        self.init(.error, range, message, suggestion: suggestion, notes: notes)
    }
}

extension YAMLProblem.Reason {
    /// The problem in plain words and what to do about it.
    fileprivate var words: (message: String, suggestion: String?) {
        switch self {
        case .syntax(let problem):
            return ("this is no valid YAML: \(problem)", YAMLSyntaxHint.text(for: problem))
        case .notUTF8:
            return ("the bytes from here on are not UTF-8", "save the file as UTF-8")
        case .character(let value):
            return ("the character \(Self.codePoint(value)) is not allowed", "remove it")
        case .tooLarge(let byteCountMax):
            return ("the file is larger than \(byteCountMax >> 10) KiB", nil)
        case .tooDeep(let depthMax):
            return ("nested deeper than \(depthMax) levels", nil)
        case .tooManyNodes(let nodeCountMax):
            return ("the file has more than \(nodeCountMax) values", nil)
        case .alias:
            return ("YAML aliases (*name) are not supported", "write the value out")
        case .anchor:
            return (
                "YAML anchors (&name) are not supported",
                "remove the anchor; put a text that begins with & in quotes"
            )
        case .tag:
            return (
                "YAML tags (!name) are not supported",
                "remove the tag; put a text that begins with ! in quotes"
            )
        case .secondDocument:
            return ("the file has a second document", "remove this and everything after it")
        case .outOfMemory:
            return ("not enough memory to read the file", nil)
        }
    }

    private static func codePoint(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}

/// What usually lies behind libyaml's words.
private enum YAMLSyntaxHint {
    private static let hints: [(part: String, hint: String)] = [
        (
            "mapping values are not allowed",
            "is a \":\" missing on the line above, or the indentation wrong?"
        ),
        ("did not find expected node content", "put text with brackets in quotes: \"[::]:80\""),
        (
            "cannot start any token",
            "indent with spaces, not tabs; quote values that begin with @ or `"
        ),
        ("could not find expected ':'", "is a \":\" missing after a key?"),
        ("did not find expected key", "check the indentation of this line and the line above"),
        ("did not find expected ',' or ']'", "is a \",\" or the closing \"]\" missing?"),
        ("did not find expected ',' or '}'", "is a \",\" or the closing \"}\" missing?"),
        (
            "did not find expected '-' indicator",
            "entries of a list begin in one column with \"- \""
        ),
        ("block sequence entries are not allowed", "a list begins on its own line"),
        ("unexpected end of stream", "is a closing quote missing?"),
        ("did not find expected <document start>", "check the indentation of this line"),
        ("unknown escape character", "use single quotes, where \\ means itself"),
        ("did not find expected alphabetic", "put a text that begins with * or & in quotes"),
    ]

    static func text(for problem: String) -> String? {
        hints.first { problem.contains($0.part) }?.hint
    }
}
