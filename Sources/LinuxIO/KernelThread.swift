// SPDX-License-Identifier: Apache-2.0
//
// Threads by name, and what a thread may ask of the scheduler.

internal import CLinux

/// Threads of the process (pthread_create).
public enum KernelThread {
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// A started thread; join it exactly once or let it run to the end of the process.
    public struct Handle: Sendable {
        fileprivate let thread: pthread_t

        /// Waits for the thread to end (pthread_join).
        public func join() {
            pthread_join(thread, nil)
        }
    }

    /// Starts `body` on a thread of its own, named for ps and gdb (at most 15 bytes count).
    ///
    /// - Throws: EAGAIN when the process may not have another thread.
    @discardableResult
    public static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(Errno) -> Handle {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                pthread_setname_np(pthread_self(), String(start.name.prefix(15)))
                start.body()
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            throw Errno(code: result)
        }
        return Handle(thread: thread)
    }

    /// Gives the calling thread real-time priority (sched_setscheduler SCHED_FIFO).
    ///
    /// - Parameter priority: 1 (lowest) to 99.
    /// - Throws: EPERM without CAP_SYS_NICE.
    public static func becomeRealTime(priority: CInt) throws(Errno) {
        var parameters = sched_param()
        parameters.sched_priority = priority
        // Children of this thread must not inherit the class (SCHED_RESET_ON_FORK).
        let resetOnFork: CInt = 0x4000_0000
        try SystemCall.retrying { sched_setscheduler(0, SCHED_FIFO | resetOnFork, &parameters) }
    }

    /// Lowers the calling thread's share of the CPU (setpriority).
    ///
    /// - Parameter nice: 0 (normal) to 19 (least).
    public static func becomeNice(_ nice: CInt) {
        _ = tandem_set_nice(nice)
    }

    /// Lets the calling thread rest; never on a thread that runs a loop (nanosleep).
    public static func pause(milliseconds: Int) {
        var time = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
        nanosleep(&time, nil)
    }

    /// The number of cores this process may use (sched_getaffinity).
    public static func usableCoreCount() -> Int {
        Int(tandem_usable_cores())
    }
}
