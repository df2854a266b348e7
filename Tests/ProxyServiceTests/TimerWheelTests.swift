// SPDX-License-Identifier: Apache-2.0
//
// The wheel against a plain list of deadlines, in virtual time; and the small structures beside it.

import LinuxIO
import Testing
import WireCore

@testable import ProxyService

struct TimerWheelTests {
    private static let tick = TimerWheel.tick.nanoseconds

    @Test func firesNotBeforeItsDeadlineAndAtMostTwoTicksLate() {
        let start = Instant(nanoseconds: 1_000_000_000_007)
        for milliseconds in [0, 1, 19, 20, 21, 500, 60_000, 200_000] as [UInt64] {
            var wheel = TimerWheel(capacity: 4, now: start)
            wheel.prepare(3)
            let deadline = start + .milliseconds(milliseconds)
            wheel.arm(3, at: deadline)
            var now = start
            var fired: Int?
            while fired == nil, now < deadline + .seconds(1) {
                fired = wheel.popExpired(now: now)
                if fired == nil { now = now + .milliseconds(1) }
            }
            #expect(fired == 3)
            #expect(now >= deadline)
            #expect(now - deadline <= TimerWheel.tick + TimerWheel.tick)
        }
    }

    @Test func movedDeadlinesFireWhereTheyWereMovedTo() {
        var wheel = TimerWheel(capacity: 2, now: Instant(nanoseconds: 0))
        wheel.prepare(0)
        wheel.arm(0, at: Instant(nanoseconds: 10 * Self.tick))
        wheel.arm(0, at: Instant(nanoseconds: 30 * Self.tick))
        #expect(wheel.popExpired(now: Instant(nanoseconds: 25 * Self.tick)) == nil)
        wheel.arm(0, at: Instant(nanoseconds: 27 * Self.tick))
        #expect(wheel.popExpired(now: Instant(nanoseconds: 28 * Self.tick)) == 0)
        #expect(wheel.popExpired(now: Instant(nanoseconds: 99 * Self.tick)) == nil)
        wheel.arm(0, at: Instant(nanoseconds: 120 * Self.tick))
        wheel.disarm(0)
        #expect(wheel.popExpired(now: Instant(nanoseconds: 500 * Self.tick)) == nil)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func agreesWithAPlainList(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let capacity = 50
        var now = Instant(nanoseconds: generator.next() >> 20)
        var wheel = TimerWheel(capacity: capacity, now: now)
        var expected: [Int: Instant] = [:]
        for number in 0..<capacity { wheel.prepare(number) }
        for _ in 0..<5_000 {
            let number = Int(generator.next() % UInt64(capacity))
            switch generator.next() % 4 {
            case 0:
                wheel.disarm(number)
                expected[number] = nil
            case 1, 2:
                let deadline = now + generator.span(upTo: .seconds(200))
                wheel.arm(number, at: deadline)
                expected[number] = deadline
            default:
                now = now + generator.span(upTo: .seconds(generator.next() % 50 == 0 ? 300 : 2))
                let quiet = wheel.quietSpan(now: now, limit: .milliseconds(100))
                if quiet == .milliseconds(100) {
                    // Nothing may be due for sure within the span.
                    for (_, deadline) in expected { #expect(deadline + .milliseconds(40) > now) }
                }
                while let fired = wheel.popExpired(now: now) {
                    let deadline = expected.removeValue(forKey: fired)
                    #expect(deadline.map { $0 <= now } == true)
                }
                for (_, deadline) in expected { #expect(now < deadline + .milliseconds(40)) }
            }
        }
    }
}

struct ConnectionTableTests {
    @Test func recordsOfEarlierGenerationsAreNotFound() {
        var table = ConnectionTable<Int>(capacity: 2)
        let first = table.insert(1)
        let slot = table.slot(of: first)
        let generation = table.generation(of: first)
        #expect(table.record(slot: slot, generation: generation) == first)
        table.remove(first)
        #expect(table.record(slot: slot, generation: generation) == nil)
        #expect(table.record(slot: slot) == nil)
        let second = table.insert(2)
        #expect(table.slot(of: second) == slot)
        #expect(table.record(slot: slot, generation: generation) == nil)
        #expect(table.record(slot: slot, generation: generation &+ 2) == second)
        let third = table.insert(3)
        #expect(third != second)
        #expect(table.count == 2)
        table.remove(second)
        table.remove(third)
        #expect(table.count == 0)
    }

    @Test func tokensKeepTheirParts() {
        for kind in [EventToken.Kind.mailbox, .listener, .client, .upstream] {
            for slot in [0, 1, EventToken.slotMax - 1] {
                for generation in [0, 1, UInt32.max] {
                    let token = EventToken(
                        rawValue: EventToken(kind, slot: slot, generation: generation).rawValue)
                    #expect(token.kind == kind)
                    #expect(token.slot == slot)
                    #expect(token.generation == generation)
                }
            }
        }
    }
}

struct BufferPoolTests {
    @Test func buffersReturnAndGrowWithTheirMessage() {
        var pool = BufferPool()
        var buffer = pool.takeSmall()
        let bytes = [UInt8](0...255)
        bytes.withUnsafeBytes { buffer.append($0) }
        buffer.mark = 10
        buffer.start = 20
        pool.enlarge(&buffer)
        #expect(buffer.isLarge)
        #expect(Array(buffer.message) == Array(bytes[10...]))
        #expect(Array(buffer.unread) == Array(bytes[20...]))
        buffer.start = buffer.end
        buffer.mark = buffer.end
        buffer.rewindIfEmpty()
        #expect(buffer.room == BufferPool.largeByteCount)
        #expect(pool.attachedByteCount == BufferPool.largeByteCount)
        pool.giveBack(&buffer)
        #expect(!buffer.isAttached)
        #expect(pool.attachedByteCount == 0)
    }

    @Test func compactingKeepsTheMessage() {
        var pool = BufferPool()
        var buffer = pool.takeSmall()
        let bytes = [UInt8](0...99)
        bytes.withUnsafeBytes { buffer.append($0) }
        buffer.mark = 40
        buffer.start = 40
        buffer.compact()
        #expect(Array(buffer.message) == Array(bytes[40...]))
        #expect(buffer.room == BufferPool.smallByteCount - 60)
        pool.giveBack(&buffer)
    }
}
