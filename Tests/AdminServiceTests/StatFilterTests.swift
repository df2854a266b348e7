// SPDX-License-Identifier: Apache-2.0
//
// Which rows the numbers after `show stat` ask for.

import AdminService
import Testing

@Suite struct StatFilterTests {
    private static let rows = [
        StatRow(.frontend, proxy: "http", service: "FRONTEND", numbers: (1, 0)),
        StatRow(.server, proxy: "web", service: "be1", numbers: (2, 1)),
        StatRow(.server, proxy: "web", service: "be2", numbers: (2, 2)),
        StatRow(.backend, proxy: "web", service: "BACKEND", numbers: (2, 0)),
        StatRow(.server, proxy: "api", service: "be1", numbers: (3, 1)),
        StatRow(.backend, proxy: "api", service: "BACKEND", numbers: (3, 0)),
    ]

    @Test(
        arguments: [
            ("-1 -1 -1", [0, 1, 2, 3, 4, 5]), ("-1 1 -1", [0]), ("-1 2 -1", [3, 5]),
            ("-1 4 -1", [1, 2, 4]), ("-1 6 -1", [1, 2, 3, 4, 5]), ("2 -1 -1", [1, 2, 3]),
            ("2 4 2", [2]), ("2 -1 2", [2, 3]), ("3 4 2", []), ("9 -1 -1", []), ("-1 0 -1", []),
        ] as [(String, [Int])])
    func theNumbersChooseRows(words: String, wanted: [Int]) throws {
        let filter = try #require(StatFilter(words.split(separator: " ").map(String.init)))
        #expect(Self.rows.indices.filter { filter.admits(Self.rows[$0]) } == wanted)
    }

    @Test(arguments: ["", "1", "1 2", "1 2 3 4", "web 4 -1", "1 2 99999999999999999999"])
    func anythingElseIsRefused(words: String) {
        #expect(StatFilter(words.split(separator: " ").map(String.init)) == nil)
    }

    @Test func withoutNumbersEveryRowIsShown() {
        #expect(Self.rows.allSatisfy { StatFilter().admits($0) })
    }
}
