// SPDX-License-Identifier: Apache-2.0
//
// Keeps the kernel from acknowledging requests while this process is stopped, and the process from
// answering before it knows how long that was: puts the rules in force, and shows them on the pair
// thread that the process runs.

internal import ConfigurationCore
internal import EventLoop
internal import LinuxIO
internal import NFTablesIO
internal import Synchronization
internal import Telemetry
internal import WireCore

/// Owns the rules; belongs to the thread that made it, except for what ``start(on:)`` takes.
final class FreezeGuard {
    /// How often the process shows that it runs.
    static let interval = TimeSpan.milliseconds(10)

    /// Shows that the process runs, as long as its loop turns.
    final class Pulse: Sendable {
        private let sign: LifeSign
        private let lastNanoseconds = Atomic<UInt64>(0)
        private let late = Atomic<UInt64>(0)
        private let heldNanoseconds = Atomic<UInt64>(0)

        /// Signs that came later than the rules wait for them.
        var lateCount: UInt64 { late.load(ordering: .relaxed) }

        /// How long acknowledgements could not leave alone because of them.
        var heldSpan: TimeSpan {
            TimeSpan(nanoseconds: heldNanoseconds.load(ordering: .relaxed))
        }

        fileprivate init(_ sign: consuming LifeSign) {
            self.sign = sign
        }

        /// Begins; the loop's thread does the work, a few microseconds each time.
        ///
        /// `noticeTime` comes first each time: a node that overslept gives its addresses up there,
        /// and the sign opens nothing that is not its own. There is none while the node does not
        /// know.
        func start(on loop: EventLoop, noticeTime: @escaping () -> Bool) {
            let isSure = noticeTime()
            noteLateness(now: Clock.now())
            if isSure { sign.send() }
            loop.schedule(after: FreezeGuard.interval) { [self, unowned loop] in
                start(on: loop, noticeTime: noticeTime)
            }
        }

        private func noteLateness(now: Instant) {
            let last = lastNanoseconds.exchange(now.nanoseconds, ordering: .relaxed)
            let due = last &+ UInt64(FreezeGuardRules.freshMilliseconds) * 1_000_000
            guard last != 0, now.nanoseconds > due else { return }
            late.add(1, ordering: .relaxed)
            heldNanoseconds.add(now.nanoseconds - due, ordering: .relaxed)
        }
    }

    private let context: RulesContext
    private let rules: FreezeGuardRules
    /// For the pair thread.
    let pulse: Pulse

    private init(_ context: consuming RulesContext, _ rules: FreezeGuardRules, _ pulse: Pulse) {
        self.context = context
        self.rules = rules
        self.pulse = pulse
    }

    /// Puts the rules in force; `nil` when nothing is carried over or they do not work here.
    static func make(
        for addresses: [IPAddress], _ configuration: Configuration, logger: Logger
    ) -> FreezeGuard? {
        let ports = carriedPorts(configuration)
        guard !addresses.isEmpty, !ports.isEmpty else { return nil }
        let rules = FreezeGuardRules(
            addresses: addresses, ports: ports, silenceSpan: silenceSpan(configuration),
            owner: CInt(truncatingIfNeeded: ProcessLimits.processID))
        do {
            let sign = try LifeSign(mark: FreezeGuardRules.lifeSignMark)
            let context = try RulesContext()
            try context.run(rules.installation)
            // Rules that do not see the signs would hold acknowledgements back for ever.
            sign.send()
            guard try context.run(rules.look).contains("elements") else {
                try context.run(rules.removal)
                throw RulesError("signs of life do not reach the rules")
            }
            return FreezeGuard(context, rules, Pulse(sign))
        } catch {
            logger.warning(
                "requests that arrive while this process is stopped are lost to the other node",
                ["reason": String(describing: error), "needs": "nf_tables, CAP_NET_ADMIN"])
            return nil
        }
    }

    /// Writes what it costs; asks the kernel, so that packets pay for nothing.
    func collect(into text: inout MetricsText) {
        text.add(
            "tandem_freeze_guard_late_signs_total", .counter,
            help: "Signs of life that came too late for acknowledgements to leave on time.",
            Double(pulse.lateCount))
        text.add(
            "tandem_freeze_guard_held_seconds_total", .counter,
            help: "Time in which acknowledgements could not leave alone because of that.",
            Double(pulse.heldSpan.nanoseconds) / 1e9)
        guard let answer = try? context.run(rules.lookHeld),
            let count = FreezeGuardRules.heldCount(in: answer)
        else { return }
        text.add(
            "tandem_freeze_guard_held_acknowledgements_total", .counter,
            help: "Acknowledgements of carried connections that did not leave.", Double(count))
    }

    /// RFC 9568 §6.1: three intervals; the skew comes on top.
    private static func silenceSpan(_ configuration: Configuration) -> TimeSpan {
        let routers = configuration.pair?.virtualRouters.filter { $0.announce == .lan } ?? []
        return (routers.map(\.advertiseInterval).min() ?? .zero).multiplied(by: 3)
    }

    private static func carriedPorts(_ configuration: Configuration) -> [UInt16] {
        let ports = configuration.listeners.filter { listener in
            guard case .http(let http) = listener.service else { return false }
            return http.carryOver != .off
        }.map(\.bind.port)
        return Set(ports).sorted()
    }
}
