// SPDX-License-Identifier: Apache-2.0
//
// Waiting in tests: the loop runs until something holds, with a deadline and never by sleeping.

import EventLoop
import LinuxIO
import WireCore

extension EventLoop {
    /// Runs until `condition` holds, at most `seconds`; looks every few milliseconds even when
    /// nothing happens on the loop.
    func poll(seconds: UInt64 = 20, _ condition: () throws -> Bool) -> Bool {
        let ticker = Ticker(loop: self)
        ticker.arm()
        defer { ticker.isOver = true }
        return run(until: Clock.now() + .seconds(seconds)) { (try? condition()) ?? false }
    }

    /// Runs for a while.
    func run(for span: TimeSpan) {
        let end = Clock.now() + span
        _ = poll(seconds: 60) { Clock.now() >= end }
    }
}

private final class Ticker {
    private let loop: EventLoop
    var isOver = false

    init(loop: EventLoop) {
        self.loop = loop
    }

    func arm() {
        loop.schedule(at: Clock.now() + .milliseconds(5)) { [self] in
            if !isOver { arm() }
        }
    }
}
