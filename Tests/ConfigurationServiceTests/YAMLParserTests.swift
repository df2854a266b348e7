// SPDX-License-Identifier: Apache-2.0
//
// The events of the YAML reader, their places, and the limits on hostile input.

import Testing
import YAMLIO

@Suite struct YAMLParserTests {
    private func parse(_ text: String, _ limits: YAMLLimits = YAMLLimits()) -> YAMLDocument {
        YAMLParser.parse(Array(text.utf8), limits: limits)
    }

    private func mark(_ line: Int, _ column: Int) -> YAMLMark {
        YAMLMark(line: line, column: column)
    }

    @Test func eventsCarryKindAndPlace() {
        let document = parse("a: [1, \"b\"]\n")
        #expect(document.problems.isEmpty)
        #expect(document.isComplete)
        #expect(
            document.events.map(\.kind) == [
                .mappingStart, .scalar("a", isPlain: true), .sequenceStart,
                .scalar("1", isPlain: true), .scalar("b", isPlain: false), .sequenceEnd,
                .mappingEnd,
            ])
        #expect(document.events[4].start == mark(1, 8))
        #expect(document.events[4].end == mark(1, 11))
    }

    @Test(arguments: ["", "\u{FEFF}", "# only a comment\n", "\n\n"])
    func textWithoutADocumentHasNoEvents(text: String) {
        let document = parse(text)
        #expect(document.events.isEmpty)
        #expect(document.problems.isEmpty)
        #expect(document.isComplete)
    }

    @Test(arguments: ["\n", "\r\n", "\r"]) func everyLineBreakCountsOnce(lineBreak: String) {
        let document = parse("a: 1\(lineBreak)b: 2\(lineBreak)")
        #expect(document.events[3].start == mark(2, 1))
    }

    @Test func byteOrderMarkTakesNoColumn() {
        #expect(parse("\u{FEFF}a: 1").events[1].start == mark(1, 1))
    }

    @Test func columnsCountCharactersAndNotBytes() {
        #expect(parse("{ \u{E9}\u{1F600}: 1 }").events[2].start == mark(1, 7))
    }

    @Test(arguments: [
        ([0x61, 0x3A, 0x20, 0xFF], 4), ([0xC3], 1), ([0x61, 0xED, 0xA0, 0x80], 2),
        ([0xC0, 0x80], 1),
    ])
    func bytesThatAreNotUTF8AreRefusedWithTheirPlace(bytes: [UInt8], column: Int) {
        let document = YAMLParser.parse(bytes)
        #expect(document.problems.map(\.reason) == [.notUTF8])
        #expect(document.problems.first?.start == mark(1, column))
        #expect(!document.isComplete)
    }

    @Test func controlCharactersAreRefusedWithTheirPlace() {
        let document = parse("a: 1\nb: \u{1}")
        #expect(document.problems.map(\.reason) == [.character(1)])
        #expect(document.problems.first?.start == mark(2, 4))
    }

    @Test func sizeLimitHoldsToTheByte() {
        let limits = YAMLLimits(byteCountMax: 4)
        #expect(parse("a: 1", limits).problems.isEmpty)
        #expect(parse("a: 12", limits).problems.map(\.reason) == [.tooLarge(byteCountMax: 4)])
    }

    @Test func depthLimitHolds() {
        let limits = YAMLLimits(depthMax: 3)
        #expect(parse("[[[]]]", limits).problems.isEmpty)
        #expect(parse("[[[[]]]]", limits).problems.map(\.reason) == [.tooDeep(depthMax: 3)])
    }

    @Test func nodeLimitHolds() {
        let limits = YAMLLimits(nodeCountMax: 4)
        #expect(parse("[1, 2, 3]", limits).problems.isEmpty)
        let refused = parse("[1, 2, 3, 4]", limits)
        #expect(refused.problems.map(\.reason) == [.tooManyNodes(nodeCountMax: 4)])
        #expect(!refused.isComplete)
    }

    @Test func problemLimitHolds() {
        let limits = YAMLLimits(problemCountMax: 2)
        #expect(parse("[&a 1, &b 2, &c 3]", limits).problems.count == 2)
    }

    @Test func aliasesAnchorsAndTagsAreAllReported() {
        let document = parse("[&a 1, *a, !!str 2, !x [3]]")
        #expect(document.problems.map(\.reason) == [.anchor, .alias, .tag, .tag])
        #expect(document.isComplete)
        #expect(document.events.filter { $0.kind == .unusable }.count == 3)
    }

    @Test func aSecondDocumentEndsTheParse() {
        let document = parse("a: 1\n---\nb: 2\n")
        #expect(document.problems.map(\.reason) == [.secondDocument])
        #expect(document.problems.first?.start == mark(2, 1))
    }

    @Test func syntaxProblemsSayWhereTheConstructBegan() {
        let document = parse("a: [1, 2\n")
        #expect(document.problems.count == 1)
        #expect(document.problems.first?.context?.start == mark(1, 4))
    }
}
