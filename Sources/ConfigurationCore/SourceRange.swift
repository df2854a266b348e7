// SPDX-License-Identifier: Apache-2.0
//
// Places in the text of a configuration file. Not the text itself (SourceText.swift).

/// A place between characters of a file: line and column, both counted from 1.
public struct SourcePosition: Hashable, Comparable, Sendable {
    /// The line, the first is 1.
    public var line: Int
    /// The column in Unicode scalars, the first is 1.
    public var column: Int

    /// Makes a position.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// The first character of a file.
    public static let start = SourcePosition(line: 1, column: 1)

    /// Compares reading order.
    public static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// A stretch of a file from `start` up to, not including, `end`.
public struct SourceRange: Hashable, Sendable {
    /// The first character.
    public var start: SourcePosition
    /// The place after the last character.
    public var end: SourcePosition

    /// Makes a range.
    public init(start: SourcePosition, end: SourcePosition) {
        self.start = start
        self.end = end
    }

    /// The one character at `position`.
    public init(at position: SourcePosition) {
        start = position
        end = SourcePosition(line: position.line, column: position.column &+ 1)
    }
}
