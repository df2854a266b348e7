// SPDX-License-Identifier: Apache-2.0
//
// The kernel's error numbers as a typed error.

internal import CLinux

/// An error number that a system call returned.
public struct Errno: Error, Hashable, Sendable {
    /// The number, as in errno(3).
    public let code: CInt

    /// Wraps an error number.
    @inlinable
    public init(code: CInt) {
        self.code = code
    }

    /// The error of the system call that just failed on this thread.
    static var last: Errno { Errno(code: tandem_errno()) }

    /// Operation would block (EAGAIN).
    public static let wouldBlock = Errno(code: EAGAIN)
    /// Interrupted by a signal (EINTR).
    public static let interrupted = Errno(code: EINTR)
    /// Connection refused (ECONNREFUSED).
    public static let connectionRefused = Errno(code: ECONNREFUSED)
    /// Connection reset by peer (ECONNRESET).
    public static let connectionReset = Errno(code: ECONNRESET)
    /// Connection in progress (EINPROGRESS).
    public static let inProgress = Errno(code: EINPROGRESS)
    /// Too many open files in the process (EMFILE).
    public static let tooManyFiles = Errno(code: EMFILE)
    /// Too many open files in the system (ENFILE).
    public static let tooManyFilesInSystem = Errno(code: ENFILE)
    /// No such file or directory (ENOENT).
    public static let noSuchFile = Errno(code: ENOENT)
    /// Is a directory (EISDIR).
    public static let isDirectory = Errno(code: EISDIR)
    /// Permission denied (EACCES).
    public static let accessDenied = Errno(code: EACCES)
    /// Operation not permitted (EPERM).
    public static let notPermitted = Errno(code: EPERM)
    /// Address already in use (EADDRINUSE).
    public static let addressInUse = Errno(code: EADDRINUSE)
    /// Cannot assign requested address (EADDRNOTAVAIL).
    public static let addressNotAvailable = Errno(code: EADDRNOTAVAIL)
    /// Connection timed out (ETIMEDOUT).
    public static let timedOut = Errno(code: ETIMEDOUT)
    /// No route to host (EHOSTUNREACH).
    public static let hostUnreachable = Errno(code: EHOSTUNREACH)
    /// Network is unreachable (ENETUNREACH).
    public static let networkUnreachable = Errno(code: ENETUNREACH)
    /// Broken pipe (EPIPE).
    public static let brokenPipe = Errno(code: EPIPE)
    /// File exists (EEXIST).
    public static let exists = Errno(code: EEXIST)
    /// No such device (ENODEV).
    public static let noSuchDevice = Errno(code: ENODEV)
    /// File or message too large (EFBIG).
    public static let tooLarge = Errno(code: EFBIG)
    /// Out of memory or buffer space (ENOBUFS).
    public static let noBufferSpace = Errno(code: ENOBUFS)
    /// EBUSY.
    public static let busy = Errno(code: EBUSY)
    /// ENOMEM.
    public static let outOfMemory = Errno(code: ENOMEM)
    /// ENOSPC.
    public static let noSpace = Errno(code: ENOSPC)
}

extension Errno: CustomStringConvertible {
    /// The kernel's words for the error.
    public var description: String {
        String(cString: strerror(code)).lowercased()
    }
}
