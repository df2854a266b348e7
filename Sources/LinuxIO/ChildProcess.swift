// SPDX-License-Identifier: Apache-2.0
//
// A command as a child: its output and its end as descriptors that a loop can watch. Owns the
// descriptors and the process group; the caller reaps.

internal import CLinux

/// A running command in a process group of its own.
public struct ChildProcess: ~Copyable {
    /// How a process ended.
    public enum Ending: Hashable, Sendable {
        /// It returned this exit code.
        case exited(code: CInt)
        /// This signal ended it.
        case killed(signal: CInt)
    }

    /// The process, which also leads its process group.
    public let processID: CInt
    /// Turns readable when the process has ended (pidfd_open).
    public let ending: FileDescriptor
    /// The command's standard output, non-blocking.
    public let output: FileDescriptor
    /// The command's standard error, non-blocking.
    public let errorOutput: FileDescriptor

    /// Starts `/bin/sh -c` without waiting for it (posix_spawn).
    ///
    /// The child gets no input, default signal handling, an empty signal mask and this process's
    /// environment.
    ///
    /// - Throws: what pipe2, posix_spawn and pidfd_open report.
    public static func start(shellCommand: String) throws(Errno) -> ChildProcess {
        try start(path: "/bin/sh", arguments: ["sh", "-c", shellCommand], environment: nil)
    }

    /// Starts a program; without an environment it gets this process's.
    static func start(
        path: String, arguments: [String], environment: [String]?
    ) throws(Errno) -> ChildProcess {
        let output = try Pipe.open()
        let errorOutput = try Pipe.open()
        let child = try spawn(
            path, arguments: arguments, environment: environment,
            output: output.writer.rawValue, errorOutput: errorOutput.writer.rawValue)
        let number: CInt
        do {
            number = try SystemCall.retrying { pidfd_open(child, 0) }
        } catch {
            kill(-child, SIGKILL)
            _ = waitpid(child, nil, 0)
            throw error
        }
        return ChildProcess(
            processID: child, ending: FileDescriptor(owning: number), output: output.reader,
            errorOutput: errorOutput.reader)
    }

    private init(
        processID: CInt, ending: consuming FileDescriptor, output: consuming FileDescriptor,
        errorOutput: consuming FileDescriptor
    ) {
        self.processID = processID
        self.ending = ending
        self.output = output
        self.errorOutput = errorOutput
    }

    /// How the process ended, or `nil` while it runs (waitpid); asked again after an answer it
    /// stays `nil`.
    public borrowing func reap() -> Ending? {
        var status: CInt = 0
        guard waitpid(processID, &status, WNOHANG) == processID else { return nil }
        // wait(2): the low seven bits hold the signal, the next byte the exit code.
        let signal = status & 0x7F
        return signal == 0 ? .exited(code: (status >> 8) & 0xFF) : .killed(signal: signal)
    }

    /// Kills the command and what it started in its process group (SIGKILL).
    ///
    /// Call it only before `reap` has given an answer: afterwards the number may be another's.
    public borrowing func killGroup() {
        kill(-processID, SIGKILL)
    }

    private static func spawn(
        _ path: String, arguments: [String], environment: [String]?, output: CInt,
        errorOutput: CInt
    ) throws(Errno) -> CInt {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errorOutput, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags =
            CInt(POSIX_SPAWN_SETPGROUP) | CInt(POSIX_SPAWN_SETSIGMASK)
            | CInt(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(truncatingIfNeeded: flags))

        let words = copied(arguments)
        let own = copied(environment ?? [])
        defer { for word in words + own { free(word) } }
        var child: pid_t = 0
        let code =
            environment == nil
            ? posix_spawn(&child, path, &actions, &attributes, words, tandem_environment())
            : posix_spawn(&child, path, &actions, &attributes, words, own)
        // posix_spawn returns the error instead of setting errno.
        if code != 0 { throw Errno(code: code) }
        return child
    }

    /// C strings that end with a null pointer, as execve wants them; the caller frees them.
    private static func copied(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
        strings.map { $0.withCString { strdup($0) } } + [nil]
    }
}

/// Both ends of a pipe; the reading end does not block.
private struct Pipe: ~Copyable {
    let reader: FileDescriptor
    let writer: FileDescriptor

    init(reader: consuming FileDescriptor, writer: consuming FileDescriptor) {
        self.reader = reader
        self.writer = writer
    }

    static func open() throws(Errno) -> Pipe {
        var ends: [CInt] = [-1, -1]
        try SystemCall.retrying { pipe2(&ends, O_CLOEXEC) }
        let reader = FileDescriptor(owning: ends[0])
        let writer = FileDescriptor(owning: ends[1])
        try reader.setNonBlocking()
        return Pipe(reader: reader, writer: writer)
    }
}
