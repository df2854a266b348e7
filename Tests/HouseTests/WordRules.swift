// SPDX-License-Identifier: Apache-2.0
//
// Small judgements about lines of text that several rules share.

/// Words in code.
enum WordRule {
    /// True when `word` occurs and is not the tail of a longer name.
    static func contains(_ word: String, in line: Substring) -> Bool {
        var rest = line
        while let first = word.first, let start = rest.firstIndex(of: first) {
            if rest[start...].hasPrefix(word) {
                guard start > line.startIndex else { return true }
                let before = line[line.index(before: start)]
                if !before.isLetter, !before.isNumber, before != "_" { return true }
            }
            rest = rest[rest.index(after: start)...]
        }
        return false
    }

    /// The name of the type that a line declares.
    static func declaredName(in line: Substring) -> Substring? {
        let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "@") }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "actor", "typealias"]
        guard let kind = words.firstIndex(where: { kinds.contains($0) }), kind + 1 < words.count
        else { return nil }
        return words[kind + 1]
    }
}

/// The opening lines of a file.
enum HeaderRule {
    static let licence = "// SPDX-License-Identifier: Apache-2.0"

    /// What is wrong with the first three lines of a file; `nil` when they are as they should.
    static func fault(_ lines: [String]) -> String? {
        guard lines.first == licence else { return "line 1 must be \(licence)" }
        guard lines.count > 2, lines[1] == "//", lines[2].hasPrefix("// "),
            lines[2].split(separator: " ").count > 3
        else { return "after the licence a comment says what the file owns" }
        return nil
    }
}
