// SPDX-License-Identifier: Apache-2.0
//
// Goal: scripts that read HAProxy's tables read ours. Method: rows with known cells, read back by
// position as HAProxy 2.6.12 writes them, and by name.

import AdminService
import Telemetry
import Testing

@Suite struct StatTableTests {
    private func row() -> StatRow {
        var row = StatRow(.server, proxy: "web", service: "be1", numbers: (2, 1))
        row.set(.sessions, 7)
        row.set(.status, "UP")
        row.set(.weight, 3)
        row.set(.checkStatus, "L7OK")
        row.set(.latency99, 12)
        row.set(.lastCheck, "said \"no\", twice")
        return row
    }

    /// The lines of a table without quoted commas, cut into cells.
    private func cells(_ line: Substring) -> [Substring] {
        line.split(separator: ",", omittingEmptySubsequences: false)
    }

    @Test func columnsStandWhereHAProxyHasThem() throws {
        var plain = row()
        plain[.lastCheck] = nil
        let lines = StatTable.csv([plain]).split(separator: "\n")
        let header = cells(try #require(lines.first))
        let values = cells(try #require(lines.last))
        #expect(header.count == values.count)
        // Positions that HAProxy 2.6.12 prints with `show stat json`.
        let positions = [
            (0, "# pxname", "web"), (1, "svname", "be1"), (4, "scur", "7"), (17, "status", "UP"),
            (18, "weight", "3"), (26, "pid", "1"), (27, "iid", "2"), (28, "sid", "1"),
            (32, "type", "2"), (36, "check_status", "L7OK"), (73, "addr", ""),
            (99, "uweight", ""), (102, "agg_check_status", ""), (103, "-", "-"),
        ]
        for (position, name, value) in positions {
            #expect(header[position] == name)
            #expect(values[position] == value)
        }
        #expect(values[try #require(header.firstIndex(of: "p99_us"))] == "12")
    }

    @Test func aCellWithACommaIsQuoted() {
        #expect(StatTable.csv([row()]).contains(",\"said \"\"no\"\", twice\","))
    }

    @Test func everyFieldHasItsColumn() {
        for field in StatField.allCases {
            #expect(StatField.columns.filter { $0 == field.rawValue }.count == 1, "\(field)")
        }
    }

    @Test func jsonNamesPositionAndType() {
        let text = StatTable.json([row()]).rendered()
        #expect(
            text.contains(
                "{\"objType\":\"Server\",\"proxyId\":2,\"id\":1,\"field\":{\"pos\":4,"
                    + "\"name\":\"scur\"},\"processNum\":1,\"value\":{\"type\":\"u64\","
                    + "\"value\":7}}"))
        #expect(!text.contains("\"smax\""))
    }

    @Test func serverStatesAreWrittenAsHAProxyReadsThem() {
        let text = ServerStateTable.text([
            ServerStateRow(
                poolNumber: 3, pool: "app", number: 1, name: "a", address: "127.0.0.1", port: 18998,
                operationalState: 0, administrativeState: 0, weight: 3, initialWeight: 3,
                secondsSinceChange: 3, checkResult: 2, checkHealth: 0, checkState: 6,
                hostName: nil)
        ])
        let lines = text.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[0] == "1")
        // HAProxy 2.6.12's own line for such a server.
        #expect(
            lines[2] == "3 app 1 a 127.0.0.1 0 0 3 3 3 8 2 0 6 0 0 0 - 18998 - 0 0 - - 0")
    }
}
