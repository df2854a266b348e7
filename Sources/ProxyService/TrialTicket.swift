// SPDX-License-Identifier: Apache-2.0
//
// The right to send an ejected backend one request and see. The control thread opens it, one
// request of one worker takes it, and whatever becomes of that request ends it.

internal import Synchronization

/// One trial of one backend at a time, claimed without a lock.
///
///     closed --set--> open --claim--> claimed --spend--> closed
///                       ^                                   |
///                       +--------------reopen---------------+
///
/// Each opening and closing has a number, so that a request that outlives its trial has no say in
/// the next one.
struct TrialTicket: ~Copyable, Sendable {
    private enum State: UInt32 {
        case closed
        case open
        case claimed
    }

    private static let stateMask: UInt32 = 3
    private static let step: UInt32 = 4

    /// The number of the trial above two bits of state.
    private let word = Atomic<UInt32>(0)

    /// Begins a trial, or ends any; control thread only.
    borrowing func set(isOpen: Bool) {
        let state: State = isOpen ? .open : .closed
        var seen = word.load(ordering: .relaxed)
        while true {
            let next = (seen & ~Self.stateMask) &+ Self.step | state.rawValue
            let (done, now) = word.compareExchange(
                expected: seen, desired: next, ordering: .acquiringAndReleasing)
            guard !done else { return }
            seen = now
        }
    }

    /// Takes the trial; what it returns names it, and is never 0.
    borrowing func claim() -> UInt32? {
        let seen = word.load(ordering: .relaxed)
        guard seen & Self.stateMask == State.open.rawValue else { return nil }
        let mine = seen & ~Self.stateMask | State.claimed.rawValue
        let (done, _) = word.compareExchange(
            expected: seen, desired: mine, ordering: .acquiringAndReleasing)
        return done ? mine : nil
    }

    /// Ends the trial with a result; false when it was over before.
    borrowing func spend(_ ticket: UInt32) -> Bool {
        let closed = ticket & ~Self.stateMask | State.closed.rawValue
        return word.compareExchange(
            expected: ticket, desired: closed, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Opens a spent trial again, because nobody could be told of its result.
    borrowing func reopen(_ ticket: UInt32) {
        let closed = ticket & ~Self.stateMask | State.closed.rawValue
        let open = ticket & ~Self.stateMask | State.open.rawValue
        _ = word.compareExchange(
            expected: closed, desired: open, ordering: .acquiringAndReleasing)
    }
}
