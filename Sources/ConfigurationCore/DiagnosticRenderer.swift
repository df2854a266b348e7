// SPDX-License-Identifier: Apache-2.0
//
// Diagnostics as text for a person: position, message, the line, a caret and the suggestion.

/// Renders diagnostics about one file.
///
/// ```
/// tandem.yaml:12:14: error: unknown key "adress" in backend "be1"
///    12 |       be1: { adress: 10.77.0.21:8080 }
///       |              ^~~~~~ did you mean "address"?
/// ```
public struct DiagnosticRenderer: Sendable {
    /// The most columns of a source line that are quoted; longer lines are cut around the caret.
    static let columnCountMax = 120
    /// Columns of context kept to the left of the caret in a line that is cut.
    static let columnsBeforeCaretMax = 60

    private let fileName: String
    private let source: SourceText

    /// Makes a renderer; `fileName` is printed in front of every position.
    public init(fileName: String, source: SourceText) {
        self.fileName = fileName
        self.source = source
    }

    /// All diagnostics, each ending in a line break.
    public func render(_ diagnostics: [Diagnostic]) -> String {
        diagnostics.map(render).joined()
    }

    /// One diagnostic with its notes, ending in a line break.
    public func render(_ diagnostic: Diagnostic) -> String {
        let kind = diagnostic.severity == .error ? "error" : "warning"
        var text = entry(
            kind, diagnostic.range, diagnostic.message, suggestion: diagnostic.suggestion)
        for note in diagnostic.notes {
            text += entry("note", note.range, note.message, suggestion: nil)
        }
        return text
    }

    /// A count of errors and warnings, such as `2 errors, 1 warning`.
    public static func summary(of diagnostics: [Diagnostic]) -> String {
        let errorCount = diagnostics.count { $0.severity == .error }
        let warningCount = diagnostics.count - errorCount
        var parts: [String] = []
        if errorCount > 0 { parts.append(Plural.text(errorCount, "error")) }
        if warningCount > 0 { parts.append(Plural.text(warningCount, "warning")) }
        return parts.joined(separator: ", ")
    }

    private func entry(
        _ kind: String, _ range: SourceRange?, _ message: String, suggestion: String?
    ) -> String {
        guard let range else {
            let hint = suggestion.map { "\n      = \($0)" } ?? ""
            return "\(fileName): \(kind): \(message)\(hint)\n"
        }
        let start = source.nearest(to: range.start)
        var text = "\(fileName):\(start.line):\(start.column): \(kind): \(message)\n"
        text += quote(start, upTo: range.end, suggestion: suggestion)
        return text
    }

    private func quote(
        _ start: SourcePosition, upTo end: SourcePosition, suggestion: String?
    ) -> String {
        let line = source.lines[start.line - 1]
        let caret = start.column - 1
        // A range over several lines is underlined to the end of its first line.
        let stop = end.line == start.line ? min(end.column - 1, line.count) : line.count
        let window = Self.window(around: caret, count: line.count)
        let number = String(start.line)
        let gutter = String(repeating: " ", count: max(0, 5 - number.count))

        let head = window.lowerBound > 0 ? "..." : ""
        let tail = window.upperBound < line.count ? "..." : ""
        let shown = line[window].map(Self.printable).joined()
        let padding = line[window.lowerBound..<caret].map { $0 == "\t" ? "\t" : " " }.joined()
        let underlineCount = max(min(stop, window.upperBound) - caret - 1, 0)
        let underline = String(repeating: "~", count: underlineCount)
        let hint = suggestion.map { " \($0)" } ?? ""
        let indent = String(repeating: " ", count: head.count)
        let quoted = "\(gutter)\(number) | \(head)\(shown)\(tail)"
        let marker = "\(gutter)\(String(repeating: " ", count: number.count)) | "
        return "\(quoted)\n\(marker)\(indent)\(padding)^\(underline)\(hint)\n"
    }

    private static func window(around caret: Int, count: Int) -> Range<Int> {
        guard count > columnCountMax else { return 0..<count }
        let low = max(0, min(caret - columnsBeforeCaretMax, count - columnCountMax))
        return low..<min(count, low + columnCountMax)
    }

    /// Control characters would let a file write to the operator's terminal.
    private static func printable(_ scalar: Unicode.Scalar) -> String {
        let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
        return isControl && scalar != "\t" ? "?" : String(scalar)
    }
}

/// Counts in words.
enum Plural {
    /// `1 pool`, `2 pools`.
    static func text(_ count: Int, _ noun: String) -> String {
        if count == 1 { return "1 \(noun)" }
        // "address", "match": the only nouns here that need an e.
        let suffix = noun.hasSuffix("s") || noun.hasSuffix("ch") ? "es" : "s"
        return "\(count) \(noun)\(suffix)"
    }
}
