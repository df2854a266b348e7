// SPDX-License-Identifier: Apache-2.0
//
// Names of backends on a running node: what they stand for becomes the pools that serve, and what
// is known of them is shown.

internal import AdminService
internal import BalancerCore
internal import ConfigurationCore
internal import ConfigurationService
internal import EventLoop
internal import HealthService
internal import LinuxIO
internal import NameService
internal import ProxyService
internal import ReplicationService
internal import Telemetry
internal import WireCore

extension Node {
    /// Time until answers that could not be put in force are tried again.
    private static let learnAgainDelay = TimeSpan.seconds(1)

    /// Begins to ask for the names of backends; waits for nothing.
    func startNames() {
        let names = NameService(on: loop, logger: logger.named("name"), seed: RandomBytes.seed()) {
            [unowned self] _ in namesChanged()
        }
        addMetricSource(names.metrics)
        self.names = names
        names.resolve(loaded.configuration.upstreamNames, loaded.configuration.resolver)
    }

    /// Serves from other backends; nothing but pools differs, so no listener can fail.
    private func namesChanged() {
        let previous = roster
        roster.learn(names?.answers ?? ResolvedNames())
        guard !putBackendsInForce() else { return }
        roster = previous
        guard !isLearningAgain else { return }
        isLearningAgain = true
        loop.schedule(after: Self.learnAgainDelay) { [unowned self] in
            isLearningAgain = false
            namesChanged()
        }
    }

    // MARK: What is shown

    /// Registers the commands about names.
    func registerNameCommands() {
        registry.add("show names", help: "names of backends: what they stand for, how fresh") {
            [unowned self] _ in
            let text = namesText()
            return text.isEmpty ? "no backend has a name\n" : String(text.dropFirst())
        }
        registry.add("refresh names", help: "ask for every name of a backend now") {
            [unowned self] _ in
            names?.refresh()
            return "asking for \(names?.snapshot().count ?? 0) names\n"
        }
    }

    /// One line a name; empty when no backend has one.
    func namesText() -> String {
        let rows = names?.snapshot() ?? []
        guard !rows.isEmpty else { return "" }
        let now = Clock.now()
        return rows.reduce("\nnames\n") { $0 + "  " + Self.line($1, at: now) + "\n" }
    }

    private static func line(_ status: NameStatus, at now: Instant) -> String {
        var text = "\(status.name): \(status.state.rawValue), "
        text += status.targets.count == 1 ? "1 backend" : "\(status.targets.count) backends"
        if let answeredAt = status.answeredAt {
            text += ", answered \((now - answeredAt).milliseconds / 1_000) s ago"
        }
        if let trouble = status.trouble {
            text += ", \(trouble.token) since \(status.failures) "
            text += status.failures == 1 ? "question" : "questions"
        }
        return text
    }

    /// Every name with its answer.
    func namesJSON() -> JSONValue {
        let now = Clock.now()
        return .array((names?.snapshot() ?? []).map { Self.json($0, at: now) })
    }

    private static func json(_ status: NameStatus, at now: Instant) -> JSONValue {
        .object([
            ("name", .string(status.name.description)),
            ("state", .string(status.state.rawValue)),
            ("targets", .array(status.targets.map { .string($0.description) })),
            ("age_ms", status.answeredAt.map { .unsigned((now - $0).milliseconds) } ?? .null),
            ("ttl_ms", status.ttl.map { .unsigned($0.milliseconds) } ?? .null),
            ("changes", .unsigned(status.changeCount)),
            ("failures", .integer(Int64(status.failures))),
            ("trouble", status.trouble.map { .string("\($0.token)") } ?? .null),
        ])
    }
}
