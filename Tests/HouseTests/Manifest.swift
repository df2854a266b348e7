// SPDX-License-Identifier: Apache-2.0
//
// The targets of Package.swift and what they depend on, read from its text.

/// One target of the manifest.
struct ManifestTarget: Hashable {
    let name: String
    let dependencies: [String]
    let line: Int
}

/// The manifest's targets, as its helper functions and the package library's declare them.
enum Manifest {
    private static let declarations: [(prefix: String, defaults: [String])] = [
        ("core(", ["WireCore"]), ("target(", []), ("tests(", []), (".target(", []),
        (".executableTarget(", []), (".systemLibrary(", []), (".testTarget(", []),
    ]

    static func targets(in file: SourceFile) -> [ManifestTarget] {
        var targets: [ManifestTarget] = []
        var isInside = false
        var depth = 0
        var pending: (line: Int, text: String, defaults: [String])?
        for (index, line) in file.lines.enumerated() {
            if line.hasPrefix("let package = ") { isInside = true }
            guard isInside else { continue }
            let code = line.split(separator: "//", maxSplits: 1).first.map(String.init) ?? ""
            let trimmed = String(code.drop { $0 == " " })
            if pending == nil {
                guard let start = declarations.first(where: { trimmed.hasPrefix($0.prefix) })
                else { continue }
                pending = (index + 1, "", start.defaults)
                depth = 0
            }
            pending?.text += trimmed + " "
            depth += code.count { $0 == "(" } - code.count { $0 == ")" }
            if depth <= 0, let complete = pending {
                pending = nil
                if let target = target(complete.text, complete.defaults, line: complete.line) {
                    targets.append(target)
                }
            }
        }
        return targets
    }

    private static func target(
        _ text: String, _ defaults: [String], line: Int
    ) -> ManifestTarget? {
        guard let name = strings(in: text).first else { return nil }
        var rest = Substring(text)
        if text.hasPrefix(".") {
            // Only a list that is named so holds dependencies.
            guard let label = range(of: "dependencies:", in: rest) else {
                return ManifestTarget(name: name, dependencies: [], line: line)
            }
            rest = rest[label.upperBound...]
        }
        guard let open = rest.firstIndex(of: "["), let close = rest[open...].firstIndex(of: "]")
        else { return ManifestTarget(name: name, dependencies: defaults, line: line) }
        let listed = strings(in: String(rest[open..<close]))
        return ManifestTarget(name: name, dependencies: listed, line: line)
    }

    /// The contents of the string literals, in order.
    private static func strings(in text: String) -> [String] {
        let parts = text.split(separator: "\"", omittingEmptySubsequences: false)
        return parts.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    private static func range(of word: String, in text: Substring) -> Range<Substring.Index>? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index...].hasPrefix(word) {
                return index..<text.index(index, offsetBy: word.count)
            }
            index = text.index(after: index)
        }
        return nil
    }
}
