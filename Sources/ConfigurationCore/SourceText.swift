// SPDX-License-Identifier: Apache-2.0
//
// The text of a configuration file cut into lines the way YAML counts them, for quoting in
// diagnostics. No parsing.

/// The lines of a file.
public struct SourceText: Sendable {
    /// Each line as Unicode scalars, without its line break.
    let lines: [[Unicode.Scalar]]

    /// Cuts `text` at YAML 1.1 line breaks: LF, CR, CR LF, NEL, LS and PS.
    public init(_ text: String) {
        var lines: [[Unicode.Scalar]] = []
        var line: [Unicode.Scalar] = []
        var afterCarriageReturn = false
        for scalar in text.unicodeScalars {
            defer { afterCarriageReturn = scalar == "\r" }
            switch scalar {
            case "\n" where afterCarriageReturn:
                continue
            case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}":
                lines.append(line)
                line = []
            default:
                line.append(scalar)
            }
        }
        lines.append(line)
        self.lines = lines
    }

    /// How many lines there are; an empty file has one.
    public var lineCount: Int { lines.count }

    /// True when `position` lies in the file, the place after a line's last character included.
    public func contains(_ position: SourcePosition) -> Bool {
        guard lines.indices.contains(position.line - 1) else { return false }
        return (1...lines[position.line - 1].count + 1).contains(position.column)
    }

    /// The nearest place to `position` that lies in the file.
    public func nearest(to position: SourcePosition) -> SourcePosition {
        let line = min(max(position.line, 1), lines.count)
        let last = lines[line - 1].count + 1
        if position.line > lines.count { return SourcePosition(line: line, column: last) }
        return SourcePosition(line: line, column: min(max(position.column, 1), last))
    }

    /// The nearest place that has text at or before it: the blank end of a file steps back to the
    /// end of its last line with text.
    public func lastText(upTo position: SourcePosition) -> SourcePosition {
        var place = nearest(to: position)
        let isBlank = { (line: Int) in
            lines[line - 1].allSatisfy { $0 == " " || $0 == "\t" }
        }
        guard (place.line...lines.count).allSatisfy(isBlank) else { return place }
        while place.line > 1, isBlank(place.line) {
            place.line -= 1
            place.column = lines[place.line - 1].count + 1
        }
        return place
    }
}
