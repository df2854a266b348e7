// SPDX-License-Identifier: Apache-2.0
//
// Swift text without its comments and literals, so that rules about code do not trip over words.
// It knows the language's lexical forms that this project uses, not its grammar.

/// Blanks out what is not code.
enum CodeText {
    /// The text with comments and string literals replaced by spaces; line ends stay.
    ///
    /// Code inside an interpolation is blanked with its literal.
    static func blanked(_ text: String) -> String {
        var scanner = Scanner(Array(text.utf8))
        scanner.run()
        return String(decoding: scanner.output, as: UTF8.self)
    }

    private struct Scanner {
        let input: [UInt8]
        var output: [UInt8] = []
        var at = 0

        init(_ input: [UInt8]) {
            self.input = input
            output.reserveCapacity(input.count)
        }

        mutating func run() {
            while at < input.count {
                if starts("//") {
                    blank { !$0.starts("\n") }
                } else if starts("/*") {
                    blankBlockComment()
                } else if let literal = literalOpening() {
                    blankLiteral(literal)
                } else {
                    output.append(input[at])
                    at += 1
                }
            }
        }

        private struct Literal {
            var pounds: Int
            var isMultiline: Bool
        }

        private func starts(_ text: StaticString, at offset: Int = 0) -> Bool {
            let begin = at + offset
            guard begin + text.utf8CodeUnitCount <= input.count else { return false }
            return (0..<text.utf8CodeUnitCount).allSatisfy { index in
                input[begin + index] == text.utf8Start[index]
            }
        }

        private mutating func take(_ count: Int) {
            for _ in 0..<count where at < input.count {
                output.append(input[at] == 0x0A ? 0x0A : 0x20)
                at += 1
            }
        }

        private mutating func blank(while condition: (Scanner) -> Bool) {
            while at < input.count, condition(self) { take(1) }
        }

        private mutating func blankBlockComment() {
            var depth = 0
            repeat {
                if starts("/*") {
                    depth += 1
                    take(2)
                } else if starts("*/") {
                    depth -= 1
                    take(2)
                } else {
                    take(1)
                }
            } while depth > 0 && at < input.count
        }

        private func literalOpening() -> Literal? {
            var pounds = 0
            while at + pounds < input.count, input[at + pounds] == 0x23 { pounds += 1 }
            guard starts("\"", at: pounds) else { return nil }
            return Literal(pounds: pounds, isMultiline: starts("\"\"\"", at: pounds))
        }

        private mutating func blankLiteral(_ literal: Literal) {
            let quotes = literal.isMultiline ? 3 : 1
            take(literal.pounds + quotes)
            while at < input.count {
                if closes(literal) {
                    take(quotes + literal.pounds)
                    return
                }
                // A broken literal must not swallow the rest of the file.
                if !literal.isMultiline, starts("\n") { return }
                guard isEscape(literal) else {
                    take(1)
                    continue
                }
                take(1 + literal.pounds)
                if starts("(") { blankInterpolation() } else { take(1) }
            }
        }

        private func closes(_ literal: Literal) -> Bool {
            let quotes = literal.isMultiline ? 3 : 1
            guard literal.isMultiline ? starts("\"\"\"") : starts("\"") else { return false }
            return (0..<literal.pounds).allSatisfy { starts("#", at: quotes + $0) }
        }

        private func isEscape(_ literal: Literal) -> Bool {
            starts("\\") && (0..<literal.pounds).allSatisfy { starts("#", at: 1 + $0) }
        }

        private mutating func blankInterpolation() {
            var depth = 0
            repeat {
                if let literal = literalOpening() {
                    blankLiteral(literal)
                    continue
                }
                if starts("(") { depth += 1 }
                if starts(")") { depth -= 1 }
                take(1)
            } while depth > 0 && at < input.count
        }
    }
}
