// SPDX-License-Identifier: Apache-2.0
//
// How long functions are, by counting braces in blanked code.

/// A function, initialiser or accessor block and the lines it takes.
struct FunctionExtent: Hashable {
    let name: String
    let line: Int
    let lineCount: Int
}

/// Finds functions in Swift text.
enum FunctionLengths {
    private static let keywords: Set<String> = ["func", "init", "deinit", "subscript"]
    /// Words that begin another declaration: the one before had no body.
    private static let enders: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "enum", "class",
        "protocol", "extension", "associatedtype", "typealias",
    ]

    /// Every function of the file with a body, outer ones before those inside them.
    static func extents(of file: SourceFile) -> [FunctionExtent] {
        let tokens = tokens(of: file.code)
        var extents: [FunctionExtent] = []
        for (index, token) in tokens.enumerated() where isDeclaration(index, tokens) {
            guard let open = bodyStart(after: index, tokens),
                let close = matchingClose(of: open, tokens)
            else { continue }
            let following = index + 1 < tokens.count ? tokens[index + 1].text : ""
            extents.append(
                FunctionExtent(
                    name: token.text == "func" ? following : token.text, line: token.line,
                    lineCount: tokens[close].line - token.line + 1))
        }
        return extents
    }

    private struct Token {
        let text: String
        let line: Int
    }

    /// Words and single punctuation characters.
    private static func tokens(of code: String) -> [Token] {
        var tokens: [Token] = []
        var word = ""
        var line = 1
        for character in code {
            if character.isLetter || character.isNumber || character == "_" || character == "`" {
                word.append(character)
                continue
            }
            if !word.isEmpty { tokens.append(Token(text: word, line: line)) }
            word = ""
            if character == "\n" {
                line += 1
            } else if character != " " {
                tokens.append(Token(text: String(character), line: line))
            }
        }
        if !word.isEmpty { tokens.append(Token(text: word, line: line)) }
        return tokens
    }

    private static func isDeclaration(_ index: Int, _ tokens: [Token]) -> Bool {
        guard keywords.contains(tokens[index].text) else { return false }
        // `.init(...)` and `self.init(...)` are calls.
        return index == 0 || tokens[index - 1].text != "."
    }

    private static func bodyStart(after index: Int, _ tokens: [Token]) -> Int? {
        var depth = 0
        for at in (index + 1)..<max(index + 1, tokens.count) {
            switch tokens[at].text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return at
            case "}" where depth == 0: return nil
            case let word where depth == 0 && enders.contains(word): return nil
            default: break
            }
        }
        return nil
    }

    private static func matchingClose(of open: Int, _ tokens: [Token]) -> Int? {
        var depth = 0
        for at in open..<tokens.count {
            if tokens[at].text == "{" { depth += 1 }
            if tokens[at].text == "}" { depth -= 1 }
            if depth == 0 { return at }
        }
        return nil
    }
}
