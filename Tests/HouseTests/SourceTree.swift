// SPDX-License-Identifier: Apache-2.0
//
// The project's own files, read from disk. The tree is found through the place of this file.

import Glibc

/// One text file of the project.
struct SourceFile: Sendable {
    /// Path below the top of the tree: `Sources/WireCore/Instant.swift`.
    let path: String
    let text: String
    /// Lines without their ends; line 1 is at index 0.
    let lines: [String]
    /// The text with comments and literals blanked out, for rules that count code.
    let code: String

    init(path: String, text: String) {
        self.path = path
        self.text = text
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        code = path.hasSuffix(".swift") ? CodeText.blanked(text) : text
    }

    /// The file's own name.
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    /// The target it belongs to; `nil` outside Sources and Tests, and for programs and data beside
    /// the tests (`Tests/Fuzz` is a package of its own).
    var target: String? {
        let parts = path.split(separator: "/")
        guard parts.count > 2 else { return nil }
        let isTarget =
            parts[0] == "Sources" || TargetKind(target: String(parts[1])) == .tests
        return isTarget ? String(parts[1]) : nil
    }
    var isTest: Bool { path.hasPrefix("Tests/") }
    var isSwift: Bool { path.hasSuffix(".swift") }
    /// The blanked code by lines.
    var codeLines: [Substring] { code.split(separator: "\n", omittingEmptySubsequences: false) }
}

/// All files that people of the project write.
struct SourceTree: Sendable {
    /// Directories that hold written files.
    private static let directories = [
        "Sources", "Tests", "docs", "netns", "systemd", "runbook", "examples", ".ci",
    ]
    private static let depthMax = 8
    private static let fileByteCountMax = 4 << 20

    let root: String
    let files: [SourceFile]

    var swiftFiles: [SourceFile] { files.filter(\.isSwift) }
    var manifest: SourceFile? { files.first { $0.path == "Package.swift" } }

    /// The tree this test was built from; read once.
    static let project = SourceTree(root: rootOfThisFile())

    private init(root: String) {
        self.root = root
        var paths = Self.entries(of: root).filter { entry in
            entry.hasSuffix(".swift") || entry.hasSuffix(".md")
        }
        for directory in Self.directories {
            Self.collect(root, directory, depth: 0, into: &paths)
        }
        files = paths.sorted().compactMap { path in
            Self.read(root + "/" + path).map { SourceFile(path: path, text: $0) }
        }
    }

    private static func rootOfThisFile(_ path: String = #filePath) -> String {
        // Tests/HouseTests/SourceTree.swift
        path.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
            .joined(separator: "/")
    }

    private static func collect(
        _ root: String, _ directory: String, depth: Int, into paths: inout [String]
    ) {
        guard depth < depthMax else { return }
        for name in entries(of: root + "/" + directory) where !name.hasPrefix(".build") {
            let path = directory + "/" + name
            if isDirectory(root + "/" + path) {
                collect(root, path, depth: depth + 1, into: &paths)
            } else {
                paths.append(path)
            }
        }
    }

    private static func entries(of path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func isDirectory(_ path: String) -> Bool {
        var information = stat()
        return lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// The file's text; `nil` for what is not text.
    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < fileByteCountMax {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }
}
