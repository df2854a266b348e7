// SPDX-License-Identifier: Apache-2.0
//
// Two JSON reports side by side. Pure.

internal import Telemetry
internal import WireCore

/// The numbers of a JSON report that are worth comparing.
struct DrillComparison {
    /// A report cannot be read; the text says why.
    struct Unreadable: Error, Hashable {
        let reason: String
    }

    private let labels: [String]
    private let documents: [JSONValue]

    /// Reads two reports.
    init(_ reports: [(name: String, content: [UInt8])]) throws(Unreadable) {
        var documents: [JSONValue] = []
        for report in reports {
            let values = try? JSONReader.readAll(report.content)
            guard let document = values?.first, document["schema"]?.text == "tandem-drill/1" else {
                throw Unreadable(reason: "\(report.name) is no report of tandem drill")
            }
            documents.append(document)
        }
        self.documents = documents
        labels = documents.map { $0["label"]?.text ?? "?" }
    }

    /// The table: one column a report, and how many times more the second one needed.
    func render() -> String {
        var rows = [[""] + ["A", "B", "B / A"]]
        for statistic in ["min", "median", "p99", "max"] {
            let values = documents.map { $0["summary"]?["gap_ns"]?[statistic]?.natural }
            rows.append(
                ["gap \(statistic), ms"] + values.map(Self.milliseconds) + [Self.ratio(values)])
        }
        rows.append(["probes failed, a run"] + perRun { Self.failed($0["probes"]) })
        rows.append(["probes slow, a run"] + perRun { $0["probes"]?["slow"]?.natural })
        rows.append(
            ["keep-alive clients kept, a run"] + perRun { $0["keep_alive"]?["kept"]?.natural })
        rows.append(["runs"] + documents.map { String($0["runs"]?.elements.count ?? 0) })
        let legend = zip(["A", "B"], labels).map { "\($0)  \($1)\n" }.joined(separator: "")
        return legend + "\n" + TextReport.table(rows)
    }

    private func perRun(_ count: (JSONValue) -> UInt64?) -> [String] {
        documents.map { document in
            let runs = document["runs"]?.elements.count ?? 0
            guard let count = count(document), runs > 0 else { return "-" }
            return DurationText.decimal(Double(count) / Double(runs), places: 1)
        }
    }

    private static func failed(_ probes: JSONValue?) -> UInt64? {
        guard let probes else { return nil }
        return ProbeOutcome.allCases.filter { $0 != .answered }
            .reduce(0) { $0 &+ (probes[$1.name]?.natural ?? 0) }
    }

    private static func milliseconds(_ nanoseconds: UInt64?) -> String {
        nanoseconds.map { DurationText.milliseconds(TimeSpan(nanoseconds: $0)) } ?? "-"
    }

    private static func ratio(_ values: [UInt64?]) -> String {
        guard values.count == 2, let first = values[0], let second = values[1], first > 0 else {
            return "-"
        }
        return DurationText.decimal(Double(second) / Double(first), places: 1)
    }
}
