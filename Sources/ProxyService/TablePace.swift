// SPDX-License-Identifier: Apache-2.0
//
// When a table that announces no changes is looked through, and how far a look has come that did
// not fit into one piece.

internal import WireCore

/// The looks at a table, one after the other.
struct TablePace<Position> {
    private let interval: TimeSpan
    private let start: Position
    private var beganAt = Instant(nanoseconds: 0)
    private var position: Position?

    /// Looks begin at `start`, so long after each other.
    init(every interval: TimeSpan, from start: Position) {
        self.interval = interval
        self.start = start
    }

    /// Where to look now; `nil` while the next look is not due.
    mutating func place(at now: Instant) -> Position? {
        if let position { return position }
        guard now - beganAt >= interval else { return nil }
        beganAt = now
        position = start
        return start
    }

    /// The look stopped before this place for want of room; at the end of the table before `nil`.
    mutating func stopped(before place: Position?) {
        position = place
    }

    /// Begins a look at once, whenever the last one was.
    mutating func beginAnew() {
        beganAt = Instant(nanoseconds: 0)
        position = nil
    }

    /// What the look under way has seen counts no more; the next one comes in its time.
    mutating func giveUp() {
        position = nil
    }
}
