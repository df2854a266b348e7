// SPDX-License-Identifier: Apache-2.0
//
// The hysteresis of one tracker.
//
//               good                    `fall` bad in a row
//     unknown --------> good(bad run) ---------------------> failing(good run, since)
//        |                   ^                                   |
//        | bad               |  `rise` good in a row, and        |
//        +------> failing    +--`up_delay` since the first ------+
//
// Every bad result ends a good run, and every good result a bad one.

import WireCore

/// What one tracker's results add up to.
struct TrackerStanding: Sendable {
    private enum State: Sendable {
        case unknown(badRun: Int)
        case good(badRun: Int)
        case failing(Failing)
    }

    /// A failure, and how far its end has come.
    private struct Failing: Sendable {
        var goodRun = 0
        var goodSince: Instant?
    }

    let settings: TrackerSettings
    private var value = State.unknown(badRun: 0)

    init(settings: TrackerSettings) {
        self.settings = settings
    }

    var state: TrackerState {
        switch value {
        case .unknown: .unknown
        case .good: .good
        case .failing: .failing
        }
    }

    /// When ``timePassed(now:)`` may end the failure.
    var deadline: Instant? {
        switch value {
        case .unknown, .good: nil
        case .failing(let failing): end(of: failing)
        }
    }

    /// Takes one result.
    mutating func resultReceived(isGood: Bool, now: Instant) {
        switch value {
        case .unknown(let badRun):
            let limit = settings.isFirstResultDecisive ? 1 : settings.fall
            value =
                isGood
                ? .good(badRun: 0)
                : badRun + 1 >= limit ? .failing(Failing()) : .unknown(badRun: badRun + 1)
        case .good(let badRun):
            value =
                isGood
                ? .good(badRun: 0)
                : badRun + 1 >= settings.fall ? .failing(Failing()) : .good(badRun: badRun + 1)
        case .failing(var failing):
            if isGood {
                failing.goodRun = min(failing.goodRun + 1, settings.rise)
                failing.goodSince = failing.goodSince ?? now
            } else {
                failing = Failing()
            }
            value = .failing(failing)
            timePassed(now: now)
        }
    }

    /// Ends a failure whose results have been good for long enough.
    mutating func timePassed(now: Instant) {
        switch value {
        case .unknown, .good:
            break
        case .failing(let failing):
            if let end = end(of: failing), end <= now { value = .good(badRun: 0) }
        }
    }

    private func end(of failing: Failing) -> Instant? {
        guard failing.goodRun >= settings.rise else { return nil }
        return failing.goodSince.map { $0 + settings.upDelay }
    }
}
