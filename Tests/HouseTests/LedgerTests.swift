// SPDX-License-Identifier: Apache-2.0
//
// Goal: the ledger of RFC 9568 in docs/vrrp.md says what is true: ids in order, tests that exist.

import Testing

/// One row of the ledger.
private struct LedgerRow {
    var line: Int
    var id: String
    var requirement: String
    var positiveTests: [String]
    var negativeTests: [String]
    var state: String

    static let prefix = "RFC9568-"

    /// A row of the table; `nil` for any other line.
    init?(_ text: String, line: Int) {
        guard text.hasPrefix("| \(Self.prefix)") else { return nil }
        let cells = text.split(separator: "|", omittingEmptySubsequences: false).map { cell in
            String(cell).trimmed
        }
        guard cells.count == 7 else { return nil }
        self.line = line
        id = cells[1]
        requirement = cells[2]
        positiveTests = Self.names(cells[3])
        negativeTests = Self.names(cells[4])
        state = cells[5]
    }

    private static func names(_ cell: String) -> [String] {
        cell.split(separator: " ").map { name in name.filter { $0 != "`" } }
    }

    /// The section and the number in it, to compare: 7.1-02 is [7, 1, 2].
    var order: [Int]? {
        let numbers = id.dropFirst(Self.prefix.count).split { $0 == "." || $0 == "-" }
        let order = numbers.compactMap { Int($0) }
        return order.count == numbers.count && order.count > 1 ? order : nil
    }

    /// The section alone.
    var section: [Int]? { order.map { Array($0.dropLast()) } }

    /// Whether it belongs before another row: by section, then by number.
    func precedes(_ other: LedgerRow) -> Bool {
        guard let section, let next = other.section, let order, let behind = other.order else {
            return false
        }
        if section == next { return order.lexicographicallyPrecedes(behind) }
        return section.lexicographicallyPrecedes(next)
    }

    var isMet: Bool { state == "met" || state == "met with `virtual_mac`" }

    var hasKnownState: Bool {
        isMet || ["deviates: ", "gap: ", "not ours: "].contains { state.hasPrefix($0) }
    }
}

extension String {
    /// Without spaces around it.
    fileprivate var trimmed: String {
        var text = Substring(self)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

@Suite struct LedgerTests {
    private static let path = "docs/vrrp.md"
    private static let tree = SourceTree.project

    private static func rows() throws -> [LedgerRow] {
        let page = try #require(tree.files.first { $0.path == path })
        return page.lines.enumerated().compactMap { index, text in
            LedgerRow(text, line: index + 1)
        }
    }

    private static func report(_ rule: String, _ faults: [(LedgerRow, String)]) {
        faults.map { row, text in
            Violation(rule: rule, path: path, line: row.line, text: "\(row.id): \(text)")
        }.report(rule)
    }

    @Test func everyTableLineIsARow() throws {
        let page = try #require(Self.tree.files.first { $0.path == Self.path })
        let rows = try Self.rows()
        #expect(page.lines.count { $0.hasPrefix("| RFC9568-") } == rows.count)
        #expect(rows.count >= 100, "the RFC asks for more than \(rows.count) things")
    }

    @Test func idsAreUniqueAndInTheOrderOfTheRFC() throws {
        var faults: [(LedgerRow, String)] = []
        var former: LedgerRow?
        for row in try Self.rows() {
            guard let order = row.order else {
                faults.append((row, "not a section and a number"))
                continue
            }
            if let former, let before = former.order {
                if !former.precedes(row) {
                    faults.append((row, "comes after \(former.id)"))
                }
                let number = former.section == row.section ? (before.last ?? 0) + 1 : 1
                if order.last != number { faults.append((row, "should be number \(number)")) }
            }
            former = row
        }
        Self.report("ledger-order", faults)
    }

    @Test func everyNamedTestExists() throws {
        var faults: [(LedgerRow, String)] = []
        for row in try Self.rows() {
            for name in row.positiveTests + row.negativeTests where !Self.exists(name) {
                faults.append((row, "\(name) is no test"))
            }
        }
        Self.report("ledger-tests", faults)
    }

    @Test func whatIsMetHasBothTests() throws {
        let faults = try Self.rows().filter { row in
            row.isMet && (row.positiveTests.isEmpty || row.negativeTests.isEmpty)
        }
        Self.report("ledger-met", faults.map { ($0, "met, but a test is missing") })
    }

    @Test func everyRowHasAStateAndAReason() throws {
        let faults = try Self.rows().filter { row in
            !row.hasKnownState || row.requirement.isEmpty
        }
        Self.report("ledger-state", faults.map { ($0, "\($0.state) is no state") })
    }

    @Test func statesAreCountedAsThePageSays() throws {
        let page = try #require(Self.tree.files.first { $0.path == Self.path })
        let rows = try Self.rows()
        for state in ["met", "met with `virtual_mac`", "deviates", "gap", "not ours"] {
            let count = rows.count { $0.state == state || $0.state.hasPrefix("\(state): ") }
            let line = "| \(state) | \(count) | "
            #expect(page.lines.contains { $0.hasPrefix(line) }, "the page should say \(line)")
        }
    }

    @Test func theCheckerKnowsWhatIsNoTest() {
        #expect(Self.exists("StateTableTests.shutsDownSilently"))
        #expect(!Self.exists("StateTableTests.shutsDownLoudly"))
        #expect(!Self.exists("NoSuchTests.shutsDownSilently"))
        #expect(!Self.exists("shutsDownSilently"))
        #expect(!Self.exists("golden:no-such-file"))
        #expect(!Self.exists("RouterUnderTest.startup"), "a function that is no test")
    }

    /// Whether `file.function` is a test in a file of that name, or `golden:name` a golden file.
    private static func exists(_ name: String) -> Bool {
        if name.hasPrefix("golden:") {
            let path = "/Golden/\(name.dropFirst("golden:".count)).golden"
            return tree.files.contains { $0.isTest && $0.path.hasSuffix(path) }
        }
        let parts = name.split(separator: ".")
        guard parts.count == 2 else { return false }
        if parts[0].hasPrefix("test_") {
            return tree.files.contains { file in
                file.path == "Tests/Netns/\(parts[0]).py"
                    && file.lines.contains { $0.hasPrefix("def \(parts[1])(") }
            }
        }
        return tree.swiftFiles.contains { file in
            file.isTest && file.name == "\(parts[0]).swift" && declaresTest(parts[1], in: file)
        }
    }

    /// Whether the file has `func name(` behind `@Test`, on the same line or in the lines before.
    private static func declaresTest(_ name: Substring, in file: SourceFile) -> Bool {
        guard let index = file.lines.firstIndex(where: { $0.contains("func \(name)(") }) else {
            return false
        }
        var line = index
        while line >= 0, index - line < attributeLinesMax {
            if file.lines[line].contains("@Test") { return true }
            if line != index, file.lines[line] == "    }" { return false }
            line -= 1
        }
        return false
    }

    /// How many lines `@Test` and its arguments may take.
    private static let attributeLinesMax = 16
}
