// SPDX-License-Identifier: Apache-2.0
//
// A broken rule with its place, and the list of exceptions that may only shrink.

import Testing

/// One broken rule.
struct Violation: Hashable, Comparable, CustomStringConvertible {
    /// The rule's short name, as exceptions use it.
    let rule: String
    let path: String
    let line: Int
    let text: String

    var description: String { "\(path):\(line): \(text) [\(rule)]" }

    static func < (left: Violation, right: Violation) -> Bool {
        (left.path, left.line, left.text) < (right.path, right.line, right.text)
    }
}

/// A file that may break a rule, with the reason.
struct HouseException: Hashable, Sendable {
    let rule: String
    let path: String
    let reason: String

    /// The exceptions; **this list may only shrink**.
    ///
    /// An entry that is no longer needed fails the test, and so does a list longer than
    /// `countMax`. Lower the number with every entry removed.
    static let all = [
        HouseException(
            rule: "names", path: "Sources/LinuxIO/ServiceManager.swift",
            reason: "the service manager is what systemd calls itself")
    ]
    static let countMax = 1
}

extension [Violation] {
    /// Records every violation of `rule` that no exception covers, each as
    /// `file:line: text [rule]`, and every exception to it that covers nothing.
    func report(_ rule: String) {
        for violation in sorted() where !violation.isExcepted {
            Issue.record(Comment(rawValue: violation.description))
        }
        for exception in HouseException.all where exception.rule == rule {
            guard !contains(where: { $0.path == exception.path }) else { continue }
            Issue.record("\(exception.path): no longer breaks \(rule); remove its exception")
        }
    }
}

extension Violation {
    fileprivate var isExcepted: Bool {
        HouseException.all.contains { $0.rule == rule && $0.path == path }
    }
}
