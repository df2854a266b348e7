// SPDX-License-Identifier: Apache-2.0
//
// What the questions count, for any thread that asks.

import BalancerCore
internal import LinuxIO
internal import Synchronization
public import Telemetry
internal import WireCore

/// The counters of all names.
public final class NameMetrics: MetricSource {
    /// What is told of one name.
    struct Row: Sendable {
        var name: String
        var targetCount: Int
        var answeredAt: Instant?
        var isStale: Bool
        var changeCount: UInt64
    }

    struct Question: Hashable, Comparable, Sendable {
        var type: String
        var result: String

        static func < (left: Question, right: Question) -> Bool {
            (left.type, left.result) < (right.type, right.result)
        }
    }

    private struct Table {
        var rows: [Row] = []
        var questions: [Question: UInt64] = [:]
        var openCount = 0
    }

    private let table = Mutex(Table())

    init() {}

    /// Counts one question; types and results are few and fixed.
    func ended(_ type: String, _ result: StaticString) {
        let question = Question(type: type, result: "\(result)")
        table.withLock { $0.questions[question, default: 0] &+= 1 }
    }

    func replace(rows: [Row], openCount: Int) {
        table.withLock {
            $0.rows = rows
            $0.openCount = openCount
        }
    }

    /// Writes the counters of every wanted name; nothing when none ever was.
    public func collect(into text: inout MetricsText) {
        let (rows, questions, openCount) = table.withLock {
            ($0.rows, $0.questions, $0.openCount)
        }
        guard !rows.isEmpty || !questions.isEmpty else { return }
        for (question, count) in questions.sorted(by: { $0.key < $1.key }) {
            text.add(
                "tandem_dns_questions_total", .counter, help: "Questions for names by result.",
                labels: ["type": question.type, "result": question.result], Double(count))
        }
        text.add(
            "tandem_dns_lookups_open", .gauge, help: "Names that are being asked for.",
            Double(openCount))
        let now = Clock.now()
        for row in rows { add(row, now, to: &text) }
    }

    private func add(_ row: Row, _ now: Instant, to text: inout MetricsText) {
        text.add(
            "tandem_dns_targets", .gauge, help: "Backends that a name stands for.",
            labels: ["name": row.name], Double(row.targetCount))
        text.add(
            "tandem_dns_answer_stale", .gauge,
            help: "1 while a name has no fresh answer.",
            labels: ["name": row.name], row.isStale ? 1 : 0)
        if let answeredAt = row.answeredAt {
            text.add(
                "tandem_dns_answer_age_seconds", .gauge,
                help: "Time since the last good answer.",
                labels: ["name": row.name], (now - answeredAt).secondsAsDouble)
        }
        text.add(
            "tandem_dns_changes_total", .counter,
            help: "Changes of what a name stands for.",
            labels: ["name": row.name], Double(row.changeCount))
    }
}
