// SPDX-License-Identifier: Apache-2.0
//
// Files made to cost time or memory: each ends with a bounded number of lines.

import ConfigurationService
import Testing

@Suite struct HostileFileTests {
    /// A message takes at most seven lines: its place, the quoted line, a caret, and a note.
    private static let lineCountMax = 201 * 7

    private static func repeated(_ count: Int, _ line: (Int) -> String) -> String {
        (0..<count).map(line).joined()
    }

    static let files: [(name: String, text: String)] = [
        ("unknown keys", repeated(40_000) { "key\($0): 1\n" }),
        ("one key again", repeated(40_000) { _ in "pools: 1\n" }),
        ("one long line", "pools: {" + repeated(30_000) { "k\($0): 1, " } + "}"),
        (
            "routes to nowhere",
            "pools: {" + repeated(5_000) { "pool\($0): { balance: random },\n" } + "}\n"
                + "listeners:\n  web:\n    bind: 0.0.0.0:80\n    routes:\n"
                + repeated(10_000) { "      - pool: wool\($0)\n" }
        ),
        (
            "routes that overlap",
            "listeners:\n  web:\n    bind: 0.0.0.0:80\n    routes:\n"
                + repeated(8_000) { "      - { match: { path_prefix: /\($0) }, pool: web }\n" }
        ),
        (
            "routes of many listeners",
            "listeners:\n"
                + repeated(8) { listener in
                    "  l\(listener):\n    bind: 0.0.0.0:80\n    routes:\n"
                        + repeated(1_000) { "      - { match: { path: /\($0) }, pool: w }\n" }
                }
        ),
        (
            "conditions that overlap",
            "listeners:\n  web:\n    bind: 0.0.0.0:80\n    routes:\n"
                + repeated(1_000) { route in
                    "      - { pool: w, match: { headers: {"
                        + repeated(16) { "h\($0): '\(route)', " } + "} } }\n"
                }
        ),
        (
            "networks",
            "listeners:\n  web:\n    bind: 0.0.0.0:80\n    trusted_proxies:\n"
                + repeated(40_000) { "      - 10.\($0 >> 8 & 255).\($0 & 255).0/24\n" }
        ),
        (
            "edits",
            "listeners:\n  web:\n    bind: 0.0.0.0:80\n    request_headers: { set: {"
                + repeated(40_000) { "X-\($0): a, " } + "} }\n"
        ),
        ("a long size", "limits: { body_size: \(String(repeating: "1", count: 1_000_000))KiB }"),
        (
            "a long body",
            "listeners: { web: { routes: [{ respond: { body: \"" + repeated(900_000) { _ in "a" }
                + "\" } }] } }"
        ),
        ("a long word", "pools: " + String(repeating: "x", count: 1_000_000)),
        ("brackets", "pools: " + String(repeating: "[", count: 1_000_000)),
        ("question marks", String(repeating: "? ", count: 500_000)),
        ("dashes", String(repeating: "- ", count: 500_000)),
        ("empty lines", String(repeating: "\n", count: 1_000_000)),
        ("quotes", "pools: \"" + String(repeating: "\\n", count: 400_000)),
    ]

    @Test(arguments: files.map(\.name))
    func endsWithABoundedNumberOfLines(name: String) throws {
        let file = try #require(Self.files.first { $0.name == name })
        let result = ConfigurationLoader.check(Array(file.text.utf8), name: "f")
        #expect(result.exitCode == 1)
        #expect(result.text.utf8.count { $0 == 0x0A } <= Self.lineCountMax)
        #expect(result.text.utf8.count <= Self.lineCountMax * 400)
    }
}
