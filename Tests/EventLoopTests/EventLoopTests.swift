// SPDX-License-Identifier: Apache-2.0
//
// Goal: readiness, timers, messages and removal work on a real epoll instance. Method: eventfds,
// loopback sockets, and a deadline on everything.

import EventLoop
import LinuxIO
import Testing
import WireCore

/// Counts events and can act on them.
private final class Recorder: EventHandler {
    var count = 0
    var onEvent: (() -> Void)?

    func handle(_ events: EpollEvents, from source: EventSource) {
        count += 1
        onEvent?()
    }
}

@Suite struct EventLoopTests {
    private func soon() -> Instant { Clock.now() + .seconds(5) }

    @Test func readableDescriptorCallsItsHandler() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let wakeUp = try WakeUp()
        let recorder = Recorder()
        let source = try loop.add(wakeUp.descriptor, .readable, handler: recorder)
        wakeUp.signal()
        #expect(loop.run(until: soon()) { recorder.count > 0 })
        loop.remove(source, of: wakeUp.descriptor)
    }

    @Test func eventOfARegistrationRemovedInTheSameTurnIsDropped() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let wakeUps = [try Box(), try Box()]
        let recorders = [Recorder(), Recorder()]
        var sources: [EventSource] = []
        for (box, recorder) in zip(wakeUps, recorders) {
            sources.append(try loop.add(box.wakeUp.descriptor, .readable, handler: recorder))
        }
        let replacement = Recorder()
        // Whichever handler runs first removes the other and reuses its slot at once.
        for index in 0..<2 {
            recorders[index].onEvent = {
                let other = 1 - index
                guard recorders[index].count == 1, recorders[other].count == 0 else { return }
                wakeUps[index].wakeUp.acknowledge()
                loop.remove(sources[other], of: wakeUps[other].wakeUp.descriptor)
                wakeUps[other].wakeUp.acknowledge()
                _ = try? loop.add(
                    wakeUps[other].wakeUp.descriptor, .readable, handler: replacement)
            }
        }
        for box in wakeUps { box.wakeUp.signal() }
        #expect(loop.run(until: soon()) { recorders[0].count + recorders[1].count > 0 })
        var isTimeUp = false
        loop.schedule(after: .milliseconds(20)) { isTimeUp = true }
        #expect(loop.run(until: soon()) { isTimeUp })
        #expect(recorders[0].count + recorders[1].count == 1)
        #expect(replacement.count == 0)
    }

    @Test func timersFireInOrderAndOnTime() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        var fired: [Int] = []
        let start = Clock.now()
        loop.schedule(after: .milliseconds(20)) { fired.append(2) }
        loop.schedule(after: .milliseconds(5)) { fired.append(1) }
        let cancelled = loop.schedule(after: .milliseconds(10)) { fired.append(9) }
        loop.cancel(cancelled)
        #expect(loop.run(until: soon()) { fired.count == 2 })
        #expect(fired == [1, 2])
        #expect(Clock.now() - start >= .milliseconds(20))
    }

    @Test func messagesFromAnotherThreadArriveInOrder() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        let mailbox = try Mailbox<Int>()
        var received: [Int] = []
        try loop.attach(mailbox) { received.append($0) }
        let thread = try KernelThread.start(name: "poster") {
            for number in 0..<1_000 { mailbox.post(number) }
        }
        #expect(loop.run(until: soon()) { received.count == 1_000 })
        thread.join()
        #expect(received == Array(0..<1_000))
    }

    @Test func fullMailboxRefusesAndCounts() throws {
        let mailbox = try Mailbox<Int>(capacity: 2)
        #expect(mailbox.post(1))
        #expect(mailbox.post(2))
        #expect(!mailbox.post(3))
        #expect(mailbox.droppedCount == 1)
        #expect(mailbox.drain() == [1, 2])
        #expect(mailbox.post(4))
    }

    @Test func stopEndsTheRun() throws {
        let loop = try EventLoop()
        defer { loop.close() }
        loop.schedule(after: .milliseconds(1)) { loop.stop() }
        loop.run()
        #expect(!loop.run(until: Clock.now()) { false })
    }

    @Test func whatKnowsTheLoopGoesWithTheRun() throws {
        weak var known: EventLoop?
        do {
            let loop = try EventLoop()
            known = loop
            let stopping = try Mailbox<Void>()
            try loop.attach(stopping) { _ in loop.stop() }
            loop.schedule(after: .seconds(60)) { loop.stop() }
            loop.onTimersFired = { _ in loop.stop() }
            stopping.post(())
            loop.run()
        }
        #expect(known == nil)
    }
}

/// Owns a wake-up so that closures may share it.
private final class Box {
    let wakeUp: WakeUp

    init() throws { wakeUp = try WakeUp() }
}
