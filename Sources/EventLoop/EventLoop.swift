// SPDX-License-Identifier: Apache-2.0
//
// One loop, one thread: readiness, timers and messages become calls of handlers. Owns no
// descriptor but its own; whoever registers a descriptor keeps it.

public import LinuxIO
public import WireCore

/// Receives the readiness of a descriptor.
public protocol EventHandler: AnyObject {
    /// The descriptor registered as `source` is ready. It may be removed in here.
    func handle(_ events: EpollEvents, from source: EventSource)
}

/// Names one registration; a later registration of the same descriptor has another name.
public struct EventSource: Hashable, Sendable {
    let slot: UInt32
    let generation: UInt32

    var token: UInt64 { UInt64(generation) << 32 | UInt64(slot) }

    init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    init(token: UInt64) {
        slot = UInt32(truncatingIfNeeded: token)
        generation = UInt32(truncatingIfNeeded: token >> 32)
    }
}

/// An epoll loop with timers; belongs to the thread that runs it.
public final class EventLoop {
    /// Timers fired per turn, so that a burst of them cannot starve descriptors.
    public static let timersPerTurnMax = 1_024

    private struct Registration {
        var generation: UInt32
        var handler: (any EventHandler)?
    }

    private let epoll: Epoll
    private var registrations: [Registration] = []
    private var freeSlots: [UInt32] = []
    private var timers = TimerQueue<() -> Void>()
    private var isStopping = false
    private var isOver = false

    /// The time at which the current turn began; read once per turn.
    public private(set) var now: Instant
    /// How late the most overdue timer of the current turn fired.
    public private(set) var timerLateness = TimeSpan.zero
    /// The largest `timerLateness` since the loop began.
    public private(set) var timerLatenessMax = TimeSpan.zero
    /// Called after each turn's timers with their lateness, unless none fired.
    public var onTimersFired: ((TimeSpan) -> Void)?

    /// Makes a loop.
    ///
    /// - Throws: EMFILE and the like when no descriptor can be had.
    public init() throws(Errno) {
        epoll = try Epoll()
        now = Clock.now()
    }

    /// Watches a descriptor until `remove`; the caller keeps owning and must remove before closing.
    public func add(
        _ descriptor: borrowing FileDescriptor, _ interest: EpollInterest,
        handler: any EventHandler
    ) throws(Errno) -> EventSource {
        let slot = freeSlots.popLast() ?? UInt32(registrations.count)
        if slot == registrations.count {
            registrations.append(Registration(generation: 0, handler: nil))
        }
        let source = EventSource(slot: slot, generation: registrations[Int(slot)].generation)
        do {
            try epoll.add(descriptor, interest, token: source.token)
        } catch {
            freeSlots.append(slot)
            throw error
        }
        registrations[Int(slot)].handler = handler
        return source
    }

    /// Changes what a registered descriptor is watched for.
    public func modify(
        _ source: EventSource, of descriptor: borrowing FileDescriptor, _ interest: EpollInterest
    ) throws(Errno) {
        guard !isOver else { return }
        precondition(isCurrent(source), "modifying a registration that was removed")
        try epoll.modify(descriptor, interest, token: source.token)
    }

    /// Stops watching a descriptor; events of it that wait already are dropped.
    public func remove(_ source: EventSource, of descriptor: borrowing FileDescriptor) {
        guard !isOver else { return }
        precondition(isCurrent(source), "removing a registration twice")
        // The descriptor is open and registered, so this cannot fail for an outside reason.
        try? epoll.remove(descriptor)
        registrations[Int(source.slot)].handler = nil
        registrations[Int(source.slot)].generation &+= 1
        freeSlots.append(source.slot)
    }

    private func isCurrent(_ source: EventSource) -> Bool {
        let slot = Int(source.slot)
        return slot < registrations.count && registrations[slot].handler != nil
            && registrations[slot].generation == source.generation
    }

    /// Calls `body` once, at `deadline` or as soon after as the loop gets to it.
    @discardableResult
    public func schedule(at deadline: Instant, _ body: @escaping () -> Void) -> TimerID {
        timers.schedule(at: deadline, body)
    }

    /// Calls `body` once, `delay` after the current turn began.
    @discardableResult
    public func schedule(after delay: TimeSpan, _ body: @escaping () -> Void) -> TimerID {
        timers.schedule(at: now + delay, body)
    }

    /// Forgets a timer; one that has fired is ignored.
    public func cancel(_ timer: TimerID) {
        timers.cancel(timer)
    }

    /// Handles the messages of a mailbox on this loop, for as long as the loop lives.
    public func attach<Message>(
        _ mailbox: Mailbox<Message>, _ body: @escaping (Message) -> Void
    ) throws(Errno) {
        let reader = MailboxReader(mailbox: mailbox, body: body)
        _ = try add(mailbox.wakeUp.descriptor, .readable, handler: reader)
    }

    /// Runs until `stop` is called on this thread; after that nothing is called any more.
    public func run() {
        while !isStopping { turn(waitMax: nil) }
        close()
    }

    /// Lets go of every handler and timer: nothing is called any more.
    ///
    /// They know the loop as a rule, so that without this neither would ever go.
    public func close() {
        isOver = true
        registrations.removeAll()
        timers = TimerQueue()
        onTimersFired = nil
    }

    /// Runs until `condition` holds or `deadline` passed.
    ///
    /// - Returns: whether the condition held.
    public func run(until deadline: Instant, _ condition: () -> Bool) -> Bool {
        while !condition() {
            guard Clock.now() < deadline else { return false }
            turn(waitMax: deadline - Clock.now())
        }
        return true
    }

    /// Ends `run` after the current turn.
    public func stop() {
        isStopping = true
    }

    /// One turn: wait, then timers, then descriptors.
    private func turn(waitMax: TimeSpan?) {
        var wait = waitMax
        if let deadline = timers.nextDeadline() {
            let untilTimer = deadline - Clock.now()
            wait = min(untilTimer, wait ?? untilTimer)
        }
        let count: Int
        do {
            count = try epoll.wait(timeout: wait)
        } catch {
            preconditionFailure("epoll_pwait2 failed on a live instance: \(error)")
        }
        now = Clock.now()
        fireTimers()
        for index in 0..<count {
            let (token, events) = epoll.event(at: index)
            dispatch(events, from: EventSource(token: token))
        }
    }

    private func fireTimers() {
        timerLateness = .zero
        var isQuiet = true
        defer { if !isQuiet { onTimersFired?(timerLateness) } }
        for _ in 0..<Self.timersPerTurnMax {
            guard let due = timers.popDue(now: now) else { return }
            isQuiet = false
            timerLateness = max(timerLateness, now - due.deadline)
            timerLatenessMax = max(timerLatenessMax, timerLateness)
            due.payload()
        }
    }

    private func dispatch(_ events: EpollEvents, from source: EventSource) {
        // A handler of this turn may have removed the registration and reused its slot.
        guard isCurrent(source), let handler = registrations[Int(source.slot)].handler else {
            return
        }
        handler.handle(events, from: source)
    }
}

/// Hands the messages of a mailbox to a closure on the loop's thread.
private final class MailboxReader<Message: Sendable>: EventHandler {
    private let mailbox: Mailbox<Message>
    private let body: (Message) -> Void

    init(mailbox: Mailbox<Message>, body: @escaping (Message) -> Void) {
        self.mailbox = mailbox
        self.body = body
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        for message in mailbox.drain() { body(message) }
    }
}
