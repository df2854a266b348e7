// SPDX-License-Identifier: Apache-2.0
//
// Files with an input and the output it must give, kept beside the tests.

import LinuxIO

/// One file: the input, a line of four dashes, the output.
///
/// A first line `# node: NAME` makes it a start as that node instead of a check.
struct GoldenFile: CustomStringConvertible, Sendable {
    /// A secret file that goldens may name.
    static let secretPath = "/tmp/tandem-golden.key"

    let name: String
    let input: String
    let output: String

    var description: String { name }

    /// The folder of this source file.
    static var folder: String {
        #filePath.split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" }
    }

    init(name: String) throws {
        self.name = name
        let path = Self.path(name)
        let bytes = try FileSystem.read(path: path, byteCountMax: 1 << 20)
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let dashes = lines.firstIndex(of: "----") ?? lines.endIndex
        input = lines[..<dashes].map { "\($0)\n" }.joined()
        output = lines[dashes...].dropFirst().joined(separator: "\n")
    }

    /// The node of the first line, if it names one.
    var node: String? {
        let mark = "# node: "
        guard input.hasPrefix(mark) else { return nil }
        return input.dropFirst(mark.count).split(separator: "\n").first.map(String.init)
    }

    /// Writes the file again with another output.
    func replace(output: String) throws {
        let text = "\(input)----\n\(output)"
        try FileSystem.write(Array(text.utf8), path: Self.path(name))
    }

    /// True once the secret file that goldens name exists; made once, tests run in parallel.
    static let hasSecretFile: Bool = {
        let secret = Array("0123456789abcdef0123456789abcdef\n".utf8)
        return (try? FileSystem.write(secret, path: secretPath, mode: 0o600)) != nil
    }()

    private static func path(_ name: String) -> String { "\(folder)/Golden/\(name).golden" }
}
