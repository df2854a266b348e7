// SPDX-License-Identifier: Apache-2.0
//
// eventfd(2) and signalfd(2): other threads and signals as readable descriptors.

internal import CLinux

/// A descriptor that another thread makes readable (eventfd).
public struct WakeUp: ~Copyable, Sendable {
    /// Readable while a signal is pending.
    public let descriptor: FileDescriptor

    /// Opens one (eventfd).
    ///
    /// - Parameter blocking: whether `acknowledge` waits for a signal; only for a thread that has
    ///   nothing else to do.
    /// - Throws: EMFILE and the like when no descriptor can be had.
    public init(blocking: Bool = false) throws(Errno) {
        let flags = CInt(blocking ? EFD_CLOEXEC : EFD_NONBLOCK | EFD_CLOEXEC)
        descriptor = FileDescriptor(owning: try SystemCall.retrying { eventfd(0, flags) })
    }

    /// Makes the descriptor readable; safe from any thread.
    public borrowing func signal() {
        var one: UInt64 = 1
        // EAGAIN means that the counter is full, so the reader is awake already.
        _ = write(descriptor.rawValue, &one, 8)
    }

    /// Makes the descriptor unreadable again.
    public borrowing func acknowledge() {
        var count: UInt64 = 0
        _ = read(descriptor.rawValue, &count, 8)
    }
}

/// Signals that a program takes in its event loop.
public enum Signal: CInt, Sendable, CaseIterable {
    /// Reload (SIGHUP).
    case hangUp = 1
    /// Leave, from a terminal (SIGINT).
    case interrupt = 2
    /// Show statistics (SIGUSR1).
    case user1 = 10
    /// Hand over and leave (SIGTERM).
    case terminate = 15
    /// A child ended (SIGCHLD).
    case child = 17
}

/// Delivers signals as reads (signalfd).
public struct SignalDescriptor: ~Copyable, Sendable {
    /// Readable while a signal is pending.
    public let descriptor: FileDescriptor

    /// Blocks `signals` in the calling thread and opens the descriptor (signalfd).
    ///
    /// Threads started later inherit the block (pthread_sigmask): call this before any of them.
    public init(_ signals: [Signal]) throws(Errno) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal.rawValue) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let flags = CInt(SFD_NONBLOCK | SFD_CLOEXEC)
        descriptor = FileDescriptor(owning: try SystemCall.retrying { signalfd(-1, &set, flags) })
    }

    /// The next pending signal, or `nil`.
    public borrowing func next() -> Signal? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        guard read(descriptor.rawValue, &info, size) == size else { return nil }
        return Signal(rawValue: CInt(truncatingIfNeeded: info.ssi_signo))
    }

    /// Makes writes to closed sockets an error instead of a death (SIGPIPE ignored).
    public static func ignoreBrokenPipes() {
        tandem_ignore_signal(SIGPIPE)
    }
}
