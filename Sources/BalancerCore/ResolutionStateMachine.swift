// SPDX-License-Identifier: Apache-2.0
//
// What is known of one name and when to ask again. It asks nobody and has no clock; NameTable
// holds one for each name.
//
//   unknown -- records --> fresh -- failure, no records --> doubted -- records --> fresh
//   unknown -- failure --> unknown                          doubted -- failure --> doubted
//   doubted -- no records, and that for the hold time --> gone -- records --> fresh

internal import WireCore

/// The last good answer for a name, the doubts about it, and the schedule of questions.
///
/// Failures never take an answer away. A server that says there are no records does, when it says
/// so again after the hold time: addresses are dropped only on fresh evidence.
struct ResolutionStateMachine<Value: Hashable & Sendable>: Hashable, Sendable {
    /// What an event changed.
    enum Effect: Hashable, Sendable {
        /// Nothing that anybody must hear of.
        case none
        /// A good answer after so many questions without one; `isNew` when the value differs.
        case answered(isNew: Bool, failures: Int)
        /// Trouble began: the first question without a good answer.
        case troubled
        /// The hold time is over: the value is gone.
        case emptied
    }

    private struct Good: Hashable, Sendable {
        var value: Value
        var answeredAt: Instant
        var ttl: TimeSpan
    }

    private struct Doubt: Hashable, Sendable {
        var trouble: NameTrouble
        var failures: Int
        /// When the servers first said that there are no records, without having any since.
        var negativeSince: Instant?
    }

    private enum State: Hashable, Sendable {
        case unknown(Doubt?)
        case fresh(Good)
        case doubted(Good, Doubt)
        case gone(Doubt)
    }

    private enum Turn: Hashable, Sendable {
        case waiting(until: Instant)
        case asking
    }

    /// Failures in a row stop counting here; nothing depends on larger numbers.
    static var failuresMax: Int { 1_000_000 }

    private var state = State.unknown(nil)
    private var turn: Turn

    /// Starts with nothing known and a question due.
    init(now: Instant) {
        turn = .waiting(until: now)
    }

    /// When to ask; `nil` while an answer is awaited.
    var dueAt: Instant? {
        switch turn {
        case .waiting(let until): until
        case .asking: nil
        }
    }

    /// True between `asked` and what ends the question.
    var isAsking: Bool { dueAt == nil }

    /// The last good answer, as long as it is believed.
    var value: Value? {
        switch state {
        case .unknown, .gone: nil
        case .fresh(let good), .doubted(let good, _): good.value
        }
    }

    /// When the last good answer came, as long as it is believed.
    var answeredAt: Instant? {
        switch state {
        case .unknown, .gone: nil
        case .fresh(let good), .doubted(let good, _): good.answeredAt
        }
    }

    /// How long the last good answer was valid.
    var ttl: TimeSpan? {
        switch state {
        case .unknown, .gone: nil
        case .fresh(let good), .doubted(let good, _): good.ttl
        }
    }

    /// What the last question brought instead of records; `nil` after a good answer.
    var trouble: NameTrouble? { doubt?.trouble }

    /// Questions in a row without a good answer.
    var failures: Int { doubt?.failures ?? 0 }

    /// True once any question has ended.
    var hasBeenAsked: Bool {
        switch state {
        case .unknown(let doubt): doubt != nil
        case .fresh, .doubted, .gone: true
        }
    }

    private var doubt: Doubt? {
        switch state {
        case .unknown(let doubt): doubt
        case .fresh: nil
        case .doubted(_, let doubt), .gone(let doubt): doubt
        }
    }

    /// A question is under way.
    mutating func asked() {
        precondition(!isAsking, "a name is asked for once at a time")
        turn = .asking
    }

    /// Ask no later than that.
    mutating func ask(notLaterThan latest: Instant) {
        guard let dueAt, dueAt > latest else { return }
        turn = .waiting(until: latest)
    }

    /// Ask at once; a question under way is given up.
    mutating func askAnew(now: Instant) {
        turn = .waiting(until: now)
    }

    /// The question ended well; with `incomplete` a part of it failed and is asked again sooner.
    mutating func answered(
        _ value: Value, ttl: TimeSpan, incomplete trouble: NameTrouble? = nil,
        plan: NameResolutionPlan, now: Instant, using generator: inout SeededGenerator
    ) -> Effect {
        let isNew = self.value != value
        let failures = failures
        let good = Good(value: value, answeredAt: now, ttl: ttl)
        if let trouble {
            let count = min(failures + 1, Self.failuresMax)
            state = .doubted(good, Doubt(trouble: trouble, failures: count, negativeSince: nil))
            let wait = min(
                plan.wait(afterAnswerValidFor: ttl, using: &generator),
                plan.wait(afterFailures: count, using: &generator))
            turn = .waiting(until: now + wait)
            return isNew ? .answered(isNew: true, failures: 0) : failures == 0 ? .troubled : .none
        }
        state = .fresh(good)
        turn = .waiting(until: now + plan.wait(afterAnswerValidFor: ttl, using: &generator))
        return isNew || failures > 0 ? .answered(isNew: isNew, failures: failures) : .none
    }

    /// The question brought no records.
    mutating func troubled(
        _ trouble: NameTrouble, plan: NameResolutionPlan, now: Instant,
        using generator: inout SeededGenerator
    ) -> Effect {
        let before = doubt
        let doubt = Doubt(
            trouble: trouble, failures: min(failures + 1, Self.failuresMax),
            negativeSince: before?.negativeSince ?? (trouble.isNegativeAnswer ? now : nil))
        var deadline = now + plan.wait(afterFailures: doubt.failures, using: &generator)
        var effect = before == nil ? Effect.troubled : .none
        switch state {
        case .unknown:
            state = .unknown(doubt)
        case .fresh(let good), .doubted(let good, _):
            let heldUntil = doubt.negativeSince.map { $0 + plan.hold }
            if let heldUntil, trouble.isNegativeAnswer, now >= heldUntil {
                state = .gone(doubt)
                effect = .emptied
            } else {
                state = .doubted(good, doubt)
                // Asked again when the hold time ends, so that it ends on time.
                if let heldUntil, heldUntil > now { deadline = min(deadline, heldUntil) }
            }
        case .gone:
            state = .gone(doubt)
        }
        turn = .waiting(until: deadline)
        return effect
    }
}
