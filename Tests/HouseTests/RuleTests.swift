// SPDX-License-Identifier: Apache-2.0
//
// The rules on made-up input: each must object to what it is there for and to nothing else.

import Testing

@Suite struct RuleTests {
    private static func file(_ text: String) -> SourceFile {
        SourceFile(path: "Sources/X/X.swift", text: text)
    }

    @Test(arguments: [
        (#"let a = "b // c" // d"#, #"let a =             "#),
        (#"f("\(g("x" + h(")")))", y)"#, #"f(                    , y)"#),
        ("a /* b /* c */ d */ e", "a                   e"),
        (
            "let t = \"\"\"\n  func {\n  \"\"\"\nlet u = 1",
            "let t =    \n        \n     \nlet u = 1"
        ),
        (##"let r = #"a"b\("# + c"##, ##"let r =           + c"##),
        (#"let q = "\"" + d"#, #"let q =      + d"#),
    ])
    func commentsAndLiteralsAreBlanked(text: String, expected: String) {
        let blanked = CodeText.blanked(text)
        #expect(blanked.trimmedAtEnd == expected.trimmedAtEnd)
        #expect(blanked.utf8.count == text.utf8.count)
    }

    @Test func functionsAreMeasured() {
        let text = """
            protocol P {
                func withoutBody(_ x: Int) -> Int
                var y: Int { get }
            }
            struct S {
                init(
                    a: Int = { 1 }()
                ) {
                    self.init(b: a)
                }
                func long() {
                    let text = "}"
                    // }
                    if true {
                        print(text)
                    }
                }
                deinit { print("{") }
            }
            """
        let extents = FunctionLengths.extents(of: Self.file(text))
        #expect(extents.map(\.name) == ["init", "long", "deinit"])
        #expect(extents.map(\.lineCount) == [5, 7, 1])
        #expect(extents.map(\.line) == [6, 11, 18])
    }

    @Test(arguments: [
        ("usleep(5)", "sleep(", false), ("sleep(5)", "sleep(", true),
        ("  Task.sleep(for: x)", "sleep(", true), ("noSleep(5)", "sleep(", false),
        ("oversleep(5); sleep(1)", "sleep(", true),
    ])
    func wordsAreFoundWhole(line: String, word: String, isFound: Bool) {
        #expect(WordRule.contains(word, in: line[...]) == isFound)
    }

    @Test(arguments: [
        ("public final class SessionManager {", "SessionManager"),
        ("    enum Errors: Error {", "Errors"),
        ("let manager = 1", nil),
    ])
    func declaredNamesAreFound(line: String, name: String?) {
        #expect(WordRule.declaredName(in: line[...]).map(String.init) == name)
    }

    @Test(arguments: [
        (["// SPDX-License-Identifier: Apache-2.0", "//", "// What this file owns."], true),
        (["// SPDX-License-Identifier: MIT", "//", "// What this file owns."], false),
        (["// SPDX-License-Identifier: Apache-2.0", "import Testing", ""], false),
        (["// SPDX-License-Identifier: Apache-2.0", "//", "// Stuff."], false),
        (["// SPDX-License-Identifier: Apache-2.0"], false),
        ([], false),
    ])
    func headersAreJudged(lines: [String], isRight: Bool) {
        #expect((HeaderRule.fault(lines) == nil) == isRight)
    }
}

extension String {
    fileprivate var trimmedAtEnd: Substring {
        var rest = self[...]
        while rest.last == " " { rest.removeLast() }
        return rest
    }
}
