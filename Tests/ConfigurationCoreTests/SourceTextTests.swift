// SPDX-License-Identifier: Apache-2.0
//
// Lines of the source text, counted as the YAML reader counts them.

import Testing

@testable import ConfigurationCore

@Suite struct SourceTextTests {
    @Test(arguments: [
        ("", 1), ("a", 1), ("a\n", 2), ("a\r\nb", 2), ("a\rb", 2), ("a\n\rb", 3), ("a\u{2028}b", 2),
        ("a\u{85}b", 2),
    ])
    func countsLinesAsYAMLDoes(text: String, count: Int) {
        #expect(SourceText(text).lineCount == count)
    }

    @Test func aPlaceMayStandAfterTheLastCharacterAndNoFurther() {
        let source = SourceText("ab\nc")
        #expect(source.contains(SourcePosition(line: 1, column: 3)))
        #expect(!source.contains(SourcePosition(line: 1, column: 4)))
        #expect(!source.contains(SourcePosition(line: 3, column: 1)))
        #expect(!source.contains(SourcePosition(line: 0, column: 1)))
        #expect(!source.contains(SourcePosition(line: 1, column: 0)))
    }

    @Test func placesOutsideAreMovedIn() {
        let source = SourceText("ab\nc")
        #expect(
            source.nearest(to: SourcePosition(line: 9, column: 9))
                == SourcePosition(line: 2, column: 2))
        #expect(
            source.nearest(to: SourcePosition(line: -1, column: -1))
                == SourcePosition(line: 1, column: 1))
    }

    @Test func theBlankEndOfAFileStepsBackToTheLastText() {
        let source = SourceText("ab\n  \n\n")
        let end = SourcePosition(line: 1, column: 3)
        #expect(source.lastText(upTo: SourcePosition(line: 4, column: 1)) == end)
        #expect(source.lastText(upTo: SourcePosition(line: 2, column: 2)) == end)
        let middle = SourceText("a\n\nb")
        let blank = SourcePosition(line: 2, column: 1)
        #expect(middle.lastText(upTo: blank) == blank)
    }
}
