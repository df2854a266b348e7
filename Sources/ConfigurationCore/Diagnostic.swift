// SPDX-License-Identifier: Apache-2.0
//
// One thing that is wrong with a configuration file, as a value. Rendering lives in
// DiagnosticRenderer.swift.

/// An error or a warning about a place in a configuration file.
public struct Diagnostic: Hashable, Sendable {
    /// How bad it is.
    public enum Severity: Hashable, Sendable {
        /// The file is refused.
        case error
        /// The file is accepted, but probably does not do what its author wants.
        case warning
    }

    /// Another place that explains the diagnostic.
    public struct Note: Hashable, Sendable {
        /// The place.
        public var range: SourceRange
        /// What is there.
        public var message: String

        /// Makes a note.
        public init(range: SourceRange, message: String) {
            self.range = range
            self.message = message
        }
    }

    /// How bad it is.
    public var severity: Severity
    /// Where; `nil` speaks of the file as a whole, for example when it cannot be read.
    public var range: SourceRange?
    /// What is wrong, without a period.
    public var message: String
    /// What to do about it; printed beside the caret.
    public var suggestion: String?
    /// Other places to look at.
    public var notes: [Note]

    /// Makes a diagnostic.
    public init(
        _ severity: Severity, _ range: SourceRange?, _ message: String,
        suggestion: String? = nil, notes: [Note] = []
    ) {
        self.severity = severity
        self.range = range
        self.message = message
        self.suggestion = suggestion
        self.notes = notes
    }
}

extension Diagnostic {
    /// The diagnostics in reading order; those of one place keep their order.
    public static func inFileOrder(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        diagnostics.enumerated().sorted { left, right in
            let leftStart = left.element.range?.start ?? .start
            let rightStart = right.element.range?.start ?? .start
            return (leftStart, left.offset) < (rightStart, right.offset)
        }.map(\.element)
    }
}

/// Diagnostics in the order they were found, bounded.
struct DiagnosticList: Sendable {
    /// The most diagnostics kept from one file; a hostile file cannot fill memory or a log.
    static let countMax = 200

    private(set) var items: [Diagnostic] = []
    /// How many errors were found, kept or not.
    private(set) var errorCount = 0
    var hasErrors: Bool { errorCount > 0 }
    /// True when nothing more is kept; then suggestions need no search.
    var isFull: Bool { items.count >= Self.countMax }
    private var droppedCount = 0

    mutating func add(_ diagnostic: Diagnostic) {
        if diagnostic.severity == .error { errorCount += 1 }
        if items.count < Self.countMax {
            items.append(diagnostic)
        } else {
            droppedCount += 1
        }
    }

    /// Everything found, in reading order; the last one says how many were left out.
    var sorted: [Diagnostic] {
        var sorted = Diagnostic.inFileOrder(items)
        if droppedCount > 0, let last = sorted.last {
            let message = "and \(droppedCount) more, not shown"
            sorted.append(Diagnostic(hasErrors ? .error : .warning, last.range, message))
        }
        return sorted
    }
}
