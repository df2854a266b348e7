// SPDX-License-Identifier: Apache-2.0
//
// Descriptors for logs: files that are appended to, and standard error under a number of our own.

internal import CLinux

extension FileDescriptor {
    /// Opens a file for appending, and makes it with `mode` when it does not exist (open).
    ///
    /// Never waits: a FIFO that nobody reads is an error (ENXIO), and a full one is would-block.
    public static func appending(
        toPath path: String, mode: UInt32
    ) throws(Errno) -> FileDescriptor {
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY
        return FileDescriptor(
            owning: try SystemCall.retrying { tandem_open(path, flags, mode) })
    }

    /// Standard error under another number (fcntl F_DUPFD_CLOEXEC).
    ///
    /// - Throws: EBADF when the process has none.
    public static func standardError() throws(Errno) -> FileDescriptor {
        let number = tandem_fcntl_int(2, F_DUPFD_CLOEXEC, 3)
        guard number >= 0 else { throw Errno.last }
        return FileDescriptor(owning: number)
    }
}
