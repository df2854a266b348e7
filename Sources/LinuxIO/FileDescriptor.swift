// SPDX-License-Identifier: Apache-2.0
//
// Ownership of kernel descriptors: one owner, closed exactly once.

internal import CLinux

/// The sole owner of an open file descriptor; closes it when it goes out of scope.
public struct FileDescriptor: ~Copyable, Sendable {
    /// The descriptor's number, for system calls made while this owner lives.
    public let rawValue: CInt

    /// Takes over the ownership of `rawValue`, which must be open and owned by nobody else.
    @inlinable
    public init(owning rawValue: CInt) {
        precondition(rawValue >= 0, "a descriptor is never negative")
        self.rawValue = rawValue
    }

    deinit {
        // Linux releases the number even when close reports an error: never repeat it.
        _ = close(rawValue)
    }

    /// Moves the descriptor to `number`, which must be free (fcntl F_DUPFD_CLOEXEC).
    ///
    /// - Throws: EBUSY when somebody holds that number. dup3 would close theirs, and with it
    ///   whatever they open next under a number that they still take for their own.
    public consuming func moved(to number: CInt) throws(Errno) -> FileDescriptor {
        let present = rawValue
        if number == present { return self }
        let moved = FileDescriptor(
            owning: try SystemCall.retrying { tandem_fcntl_int(present, F_DUPFD_CLOEXEC, number) })
        guard moved.rawValue == number else { throw .busy }
        return moved
    }

    /// Makes calls on the descriptor return at once instead of waiting (O_NONBLOCK).
    public borrowing func setNonBlocking() throws(Errno) {
        let number = rawValue
        let flags = try SystemCall.retrying { tandem_fcntl_int(number, F_GETFL, 0) }
        try SystemCall.retrying { tandem_fcntl_int(number, F_SETFL, flags | O_NONBLOCK) }
    }

    /// Reads up to `buffer.count` bytes (read).
    public borrowing func read(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> IOOutcome {
        let number = rawValue
        return try SystemCall.transferring { CLinux.read(number, buffer.baseAddress, buffer.count) }
    }

    /// Writes up to `buffer.count` bytes (write).
    public borrowing func write(_ buffer: UnsafeRawBufferPointer) throws(Errno) -> IOOutcome {
        let number = rawValue
        return try SystemCall.transferring {
            CLinux.write(number, buffer.baseAddress, buffer.count)
        }
    }

    /// Reads up to `count` bytes into a new array; `nil` when nothing can be read now.
    public borrowing func read(upTo count: Int) throws(Errno) -> [UInt8]? {
        var failure: Errno?
        var wouldBlock = false
        let number = rawValue
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(Errno) {
                switch try SystemCall.transferring({
                    CLinux.read(number, buffer.baseAddress, count)
                }) {
                case .bytes(let got): initialized = got
                case .wouldBlock: wouldBlock = true
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return wouldBlock ? nil : bytes
    }

    /// Writes an array; the outcome says how much of it was taken.
    public borrowing func write(_ bytes: [UInt8]) throws(Errno) -> IOOutcome {
        let number = rawValue
        return try SystemCall.transferring {
            bytes.withUnsafeBytes { CLinux.write(number, $0.baseAddress, $0.count) }
        }
    }
}
