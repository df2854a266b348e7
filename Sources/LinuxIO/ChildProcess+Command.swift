// SPDX-License-Identifier: Apache-2.0
//
// A program as a child without a shell, with an environment of its own.

extension ChildProcess {
    /// Starts a program without waiting for it (posix_spawn).
    ///
    /// It gets no input, default signal handling, an empty signal mask and a process group of its
    /// own. Nothing of this process's environment reaches it.
    ///
    /// - Parameters:
    ///   - command: the executable's path, not searched for, and the arguments behind it.
    ///   - environment: `NAME=value` each.
    /// - Returns: the running child.
    /// - Throws: what pipe2, posix_spawn and pidfd_open report; ENOENT for an empty command.
    public static func start(
        command: [String], environment: [String]
    ) throws(Errno) -> ChildProcess {
        guard let path = command.first else { throw Errno.noSuchFile }
        return try start(path: path, arguments: command, environment: environment)
    }
}
