// SPDX-License-Identifier: Apache-2.0
//
// How an error looks: place, source line, caret, suggestion.

import Testing

@testable import ConfigurationCore

@Suite struct DiagnosticRendererTests {
    private func render(_ text: String, _ diagnostic: Diagnostic) -> String {
        DiagnosticRenderer(fileName: "f", source: SourceText(text)).render(diagnostic)
    }

    private func range(_ line: Int, _ columns: Range<Int>) -> SourceRange {
        SourceRange(
            start: SourcePosition(line: line, column: columns.lowerBound),
            end: SourcePosition(line: line, column: columns.upperBound))
    }

    @Test func underlinesTheRangeUnderTheLine() {
        let text = render("a\nbcd: x", Diagnostic(.error, range(2, 1..<4), "no", suggestion: "yes"))
        #expect(text == "f:2:1: error: no\n    2 | bcd: x\n      | ^~~ yes\n")
    }

    @Test func tabsInFrontKeepTheCaretAligned() {
        let text = render("\t\tbc", Diagnostic(.warning, range(1, 3..<5), "no"))
        #expect(text == "f:1:3: warning: no\n    1 | \t\tbc\n      | \t\t^~\n")
    }

    @Test func aRangeOverSeveralLinesIsUnderlinedToTheEndOfTheFirst() {
        let range = SourceRange(
            start: SourcePosition(line: 1, column: 2), end: SourcePosition(line: 2, column: 9))
        #expect(
            render("abc\ndefghijkl", Diagnostic(.error, range, "no"))
                == "f:1:2: error: no\n    1 | abc\n      |  ^~\n")
    }

    @Test func longLinesAreCutAroundTheCaret() {
        let line = String(repeating: "x", count: 500) + "HERE" + String(repeating: "y", count: 500)
        let text = render(line, Diagnostic(.error, range(1, 501..<505), "no"))
        let lines = text.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0.count <= DiagnosticRenderer.columnCountMax + 20 })
        let caret = lines[2].firstIndex(of: "^").map {
            lines[2].distance(from: lines[2].startIndex, to: $0)
        }
        let here = lines[1].firstIndex(of: "H").map {
            lines[1].distance(from: lines[1].startIndex, to: $0)
        }
        #expect(caret != nil && caret == here)
        #expect(lines[2].hasSuffix("^~~~"))
    }

    @Test func controlCharactersNeverReachTheTerminal() {
        let text = render("a\u{1B}[31mb", Diagnostic(.error, range(1, 1..<2), "no"))
        #expect(text.contains("a?[31mb"))
    }

    @Test func aFileAsAWholeHasNoPlace() {
        let diagnostic = Diagnostic(.error, nil, "no such file")
        #expect(render("", diagnostic) == "f: error: no such file\n")
    }

    @Test func aRangeOutsideTheFileIsMovedIn() {
        #expect(render("a", Diagnostic(.error, range(7, 7..<9), "no")).hasPrefix("f:1:2: error"))
    }

    @Test func diagnosticsAreBoundedAndTheRestIsCounted() {
        var list = DiagnosticList()
        for line in 1...DiagnosticList.countMax + 5 {
            list.add(
                Diagnostic(.error, SourceRange(at: SourcePosition(line: line, column: 1)), "x"))
        }
        #expect(list.sorted.count == DiagnosticList.countMax + 1)
        #expect(list.sorted.last?.message == "and 5 more, not shown")
    }

    @Test func summaryCountsBothKinds() {
        let error = Diagnostic(.error, nil, "")
        let warning = Diagnostic(.warning, nil, "")
        #expect(DiagnosticRenderer.summary(of: [error, warning, warning]) == "1 error, 2 warnings")
        #expect(DiagnosticRenderer.summary(of: [error, error]) == "2 errors")
        #expect(DiagnosticRenderer.summary(of: []) == "")
    }
}
