// SPDX-License-Identifier: Apache-2.0
//
// Goal: timers fire in order of deadline, ties in order of scheduling, cancelled ones never.
// Method: tables and a seeded comparison with a sorted list.

import EventLoop
import Testing
import WireCore

@Suite struct TimerQueueTests {
    private func drain(_ queue: inout TimerQueue<Int>, now: UInt64) -> [Int] {
        var fired: [Int] = []
        while let due = queue.popDue(now: Instant(nanoseconds: now)) { fired.append(due.payload) }
        return fired
    }

    @Test func firesInOrderOfDeadlineThenOfScheduling() {
        var queue = TimerQueue<Int>()
        for (index, deadline) in [30, 10, 20, 10].enumerated() {
            _ = queue.schedule(at: Instant(nanoseconds: UInt64(deadline)), index)
        }
        #expect(queue.nextDeadline() == Instant(nanoseconds: 10))
        #expect(drain(&queue, now: 9).isEmpty)
        #expect(drain(&queue, now: 20) == [1, 3, 2])
        #expect(drain(&queue, now: 30) == [0])
        #expect(queue.nextDeadline() == nil)
    }

    @Test func cancelledTimerNeverFires() {
        var queue = TimerQueue<Int>()
        let first = queue.schedule(at: Instant(nanoseconds: 1), 1)
        _ = queue.schedule(at: Instant(nanoseconds: 2), 2)
        queue.cancel(first)
        queue.cancel(first)
        #expect(queue.count == 1)
        #expect(queue.nextDeadline() == Instant(nanoseconds: 2))
        #expect(drain(&queue, now: 5) == [2])
    }

    @Test(arguments: 0..<20)
    func agreesWithASortedListUnderRandomUse(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = TimerQueue<Int>()
        var model: [(deadline: UInt64, payload: Int, id: TimerID)] = []
        var now: UInt64 = 0
        for step in 0..<2_000 {
            switch UInt64.random(in: 0..<4, using: &random) {
            case 0, 1:
                let deadline = now + UInt64.random(in: 0..<500, using: &random)
                let id = queue.schedule(at: Instant(nanoseconds: deadline), step)
                model.append((deadline, step, id))
            case 2:
                guard let victim = model.indices.randomElement(using: &random) else { continue }
                queue.cancel(model[victim].id)
                model.remove(at: victim)
            default:
                now += UInt64.random(in: 0..<300, using: &random)
                let due = model.filter { $0.deadline <= now }
                    .sorted { ($0.deadline, $0.payload) < ($1.deadline, $1.payload) }
                model.removeAll { $0.deadline <= now }
                #expect(drain(&queue, now: now) == due.map(\.payload), "seed \(seed)")
            }
        }
    }
}
