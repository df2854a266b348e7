// SPDX-License-Identifier: Apache-2.0
//
// epoll(7): which descriptors are ready.

internal import CLinux
public import WireCore

/// What to watch a descriptor for.
public struct EpollInterest: OptionSet, Sendable {
    /// The bits of epoll_ctl(2).
    public let rawValue: UInt32

    /// Makes a set from the bits.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Bytes or connections can be read (EPOLLIN).
    public static let readable = EpollInterest(rawValue: EPOLLIN.rawValue)
    /// Bytes can be written (EPOLLOUT).
    public static let writable = EpollInterest(rawValue: EPOLLOUT.rawValue)
    /// The peer ended its sending side (EPOLLRDHUP).
    public static let peerClosed = EpollInterest(rawValue: EPOLLRDHUP.rawValue)
    /// Report changes only, once (EPOLLET).
    public static let edgeTriggered = EpollInterest(rawValue: EPOLLET.rawValue)
    /// Wake one of several waiters (EPOLLEXCLUSIVE).
    public static let exclusive = EpollInterest(rawValue: EPOLLEXCLUSIVE.rawValue)
}

/// What a descriptor is ready for.
public struct EpollEvents: OptionSet, Sendable {
    /// The bits of epoll_wait(2).
    public let rawValue: UInt32

    /// Makes a set from the bits.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Bytes or connections can be read (EPOLLIN).
    public static let readable = EpollEvents(rawValue: EPOLLIN.rawValue)
    /// Bytes can be written (EPOLLOUT).
    public static let writable = EpollEvents(rawValue: EPOLLOUT.rawValue)
    /// The peer ended its sending side (EPOLLRDHUP).
    public static let peerClosed = EpollEvents(rawValue: EPOLLRDHUP.rawValue)
    /// Both directions are closed (EPOLLHUP).
    public static let hungUp = EpollEvents(rawValue: EPOLLHUP.rawValue)
    /// An error is pending (EPOLLERR).
    public static let failed = EpollEvents(rawValue: EPOLLERR.rawValue)
}

/// An epoll instance and the memory for its answers.
public struct Epoll: ~Copyable {
    /// Events taken per wait: the bound on work per wake-up.
    public static let eventsPerWaitMax = 128

    private let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>

    /// What other threads of this process know the instance by.
    var number: CInt { descriptor.rawValue }

    /// Opens an instance (epoll_create1).
    public init() throws(Errno) {
        let number = try SystemCall.retrying { epoll_create1(CInt(EPOLL_CLOEXEC)) }
        descriptor = FileDescriptor(owning: number)
        events = .allocate(capacity: Self.eventsPerWaitMax)
    }

    deinit {
        events.deallocate()
    }

    /// Watches a descriptor; `token` comes back with its events (epoll_ctl EPOLL_CTL_ADD).
    public borrowing func add(
        _ target: borrowing FileDescriptor, _ interest: EpollInterest, token: UInt64
    ) throws(Errno) {
        try control(EPOLL_CTL_ADD, target.rawValue, interest, token)
    }

    /// Changes what a descriptor is watched for (epoll_ctl EPOLL_CTL_MOD).
    public borrowing func modify(
        _ target: borrowing FileDescriptor, _ interest: EpollInterest, token: UInt64
    ) throws(Errno) {
        try control(EPOLL_CTL_MOD, target.rawValue, interest, token)
    }

    /// Stops watching a descriptor (epoll_ctl EPOLL_CTL_DEL).
    public borrowing func remove(_ target: borrowing FileDescriptor) throws(Errno) {
        try control(EPOLL_CTL_DEL, target.rawValue, [], 0)
    }

    private borrowing func control(
        _ operation: CInt, _ target: CInt, _ interest: EpollInterest, _ token: UInt64
    ) throws(Errno) {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = token
        let number = descriptor.rawValue
        try SystemCall.retrying { epoll_ctl(number, operation, target, &event) }
    }

    /// Waits until a descriptor is ready or `timeout` passed (epoll_pwait2).
    ///
    /// Without a timeout it waits for ever. An interrupting signal ends the wait with no events.
    ///
    /// - Returns: the number of events that `event(at:)` holds.
    public borrowing func wait(timeout: TimeSpan?) throws(Errno) -> Int {
        let count: CInt
        let limit = CInt(Self.eventsPerWaitMax)
        if let timeout {
            // More than a day is as good as for ever, and keeps tv_sec in range.
            let bounded = min(timeout, .seconds(86_400)).nanoseconds
            var time = timespec(
                tv_sec: Int(bounded / 1_000_000_000), tv_nsec: Int(bounded % 1_000_000_000))
            count = epoll_pwait2(descriptor.rawValue, events, limit, &time, nil)
        } else {
            count = epoll_pwait2(descriptor.rawValue, events, limit, nil, nil)
        }
        if count >= 0 { return Int(count) }
        let error = Errno.last
        if error == .interrupted { return 0 }
        // Some sandboxes refuse calls they do not know with EPERM, which the call itself never has.
        guard error.code == ENOSYS || error.code == EPERM else { throw error }
        return try waitByMilliseconds(timeout: timeout)
    }

    /// Waits where the kernel, or a tool that stands for it, lacks epoll_pwait2 (epoll_wait).
    ///
    /// Rounds up: waking before a deadline would only mean waiting again.
    private borrowing func waitByMilliseconds(timeout: TimeSpan?) throws(Errno) -> Int {
        let milliseconds = timeout.map { span in
            CInt(clamping: (span + .nanoseconds(999_999)).milliseconds)
        }
        let count = epoll_wait(
            descriptor.rawValue, events, CInt(Self.eventsPerWaitMax), milliseconds ?? -1)
        if count >= 0 { return Int(count) }
        let error = Errno.last
        if error == .interrupted { return 0 }
        throw error
    }

    /// One of the events of the last wait.
    @inline(__always)
    public borrowing func event(at index: Int) -> (token: UInt64, events: EpollEvents) {
        let event = events[index]
        return (event.data.u64, EpollEvents(rawValue: event.events))
    }
}
