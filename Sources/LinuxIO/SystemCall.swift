// SPDX-License-Identifier: Apache-2.0
//
// The one way a system call is made: repeat on EINTR, read errno at once, turn would-block into a
// value, stop on errors that only a bug of ours can cause.

internal import CLinux

/// What an input or output call achieved.
public enum IOOutcome: Hashable, Sendable {
    /// So many bytes moved; 0 on a read is the end of the stream.
    case bytes(Int)
    /// Nothing can move now.
    case wouldBlock
}

enum SystemCall {
    /// Calls `body` until it is not interrupted; a negative result throws errno.
    @discardableResult
    static func retrying<Result: SignedInteger>(
        _ body: () -> Result
    ) throws(Errno) -> Result {
        while true {
            let result = body()
            if result >= 0 { return result }
            let error = Errno.last
            if error == .interrupted { continue }
            precondition(
                error.code != EBADF && error.code != EFAULT,
                "system call on a closed descriptor or a bad address: errno \(error.code)")
            throw error
        }
    }

    /// Like `retrying`, with EAGAIN as a value.
    static func transferring(_ body: () -> Int) throws(Errno) -> IOOutcome {
        do {
            return .bytes(try retrying(body))
        } catch .wouldBlock {
            return .wouldBlock
        }
    }
}
