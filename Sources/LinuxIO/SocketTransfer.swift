// SPDX-License-Identifier: Apache-2.0
//
// Bytes in and out of connected sockets where every microsecond counts: the outcome is a number,
// so that "not now" and a peer that went away cost no thrown error.

internal import CLinux

/// How a transfer on a socket ended.
@frozen
public struct TransferOutcome: Equatable, Sendable {
    /// Bytes moved, or the negated error number.
    public let rawValue: Int

    @inlinable
    init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// Bytes moved; negative when none could be.
    @inlinable public var byteCount: Int { rawValue }
    /// True when a receive met the end of the stream.
    @inlinable public var isEndOfStream: Bool { rawValue == 0 }
    /// True when nothing can move now.
    @inlinable public var wouldBlock: Bool { rawValue == TransferOutcome.wouldBlockValue }
    /// The error when it is one, EAGAIN included.
    @inlinable public var error: Errno? { rawValue < 0 ? Errno(code: CInt(-rawValue)) : nil }

    @usableFromInline static let wouldBlockValue = -Int(EAGAIN)
}

/// Sends and receives on connected stream sockets.
public enum SocketTransfer {
    /// Receives up to `count` bytes (recv).
    public static func receive(
        _ socket: borrowing FileDescriptor, into base: UnsafeMutableRawPointer, count: Int
    ) -> TransferOutcome {
        transferring { recv(socket.rawValue, base, count, 0) }
    }

    /// Sends up to `count` bytes without raising SIGPIPE (send).
    public static func send(
        _ socket: borrowing FileDescriptor, _ base: UnsafeRawPointer, count: Int
    ) -> TransferOutcome {
        transferring { CLinux.send(socket.rawValue, base, count, CInt(MSG_NOSIGNAL)) }
    }

    /// Sends two runs of bytes in one call without raising SIGPIPE (sendmsg).
    public static func send(
        _ socket: borrowing FileDescriptor, _ first: UnsafeRawBufferPointer,
        then second: UnsafeRawBufferPointer
    ) -> TransferOutcome {
        var parts = (
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress),
                iov_len: first.count),
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress),
                iov_len: second.count)
        )
        return withUnsafeMutableBytes(of: &parts) { bytes in
            var message = msghdr()
            message.msg_iov = bytes.baseAddress?.assumingMemoryBound(to: iovec.self)
            message.msg_iovlen = 2
            return transferring { sendmsg(socket.rawValue, &message, CInt(MSG_NOSIGNAL)) }
        }
    }

    /// Looks at up to `count` bytes that wait to be received, and leaves them there (recv,
    /// MSG_PEEK).
    public static func peek(
        _ socket: borrowing FileDescriptor, into base: UnsafeMutableRawPointer, count: Int
    ) -> TransferOutcome {
        transferring { recv(socket.rawValue, base, count, CInt(MSG_PEEK)) }
    }

    /// Receives up to `count` bytes and forgets them, without a copy (recv, MSG_TRUNC of tcp(7)).
    public static func discard(
        _ socket: borrowing FileDescriptor, count: Int
    ) -> TransferOutcome {
        transferring { recv(socket.rawValue, nil, count, CInt(MSG_TRUNC)) }
    }

    /// True when no byte, no end of stream and no error waits to be received (recv, MSG_PEEK).
    public static func isQuiet(_ socket: borrowing FileDescriptor) -> Bool {
        var byte: UInt8 = 0
        return transferring {
            recv(socket.rawValue, &byte, 1, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT))
        }.wouldBlock
    }

    /// Bytes sent that the other end's kernel has not acknowledged (ioctl, SIOCOUTQ); 0 when it
    /// cannot be told.
    public static func unacknowledgedByteCount(_ socket: borrowing FileDescriptor) -> Int {
        var count: CInt = 0
        // SIOCOUTQ is the same number.
        let result = tandem_ioctl_pointer(socket.rawValue, UInt(TIOCOUTQ), &count)
        return result == 0 ? max(0, Int(count)) : 0
    }

    /// Bytes given to the socket that the kernel has not sent even once (ioctl, SIOCOUTQNSD).
    ///
    /// - Returns: 0 when it cannot be told.
    public static func unsentByteCount(_ socket: borrowing FileDescriptor) -> Int {
        var count: CInt = 0
        let result = tandem_ioctl_pointer(socket.rawValue, TANDEM_SIOCOUTQNSD, &count)
        return result == 0 ? max(0, Int(count)) : 0
    }

    @inline(__always)
    private static func transferring(_ body: () -> Int) -> TransferOutcome {
        while true {
            let result = body()
            if result >= 0 { return TransferOutcome(rawValue: result) }
            let code = tandem_errno()
            if code == EINTR { continue }
            precondition(
                code != EBADF && code != EFAULT, "transfer on a closed descriptor: errno \(code)")
            return TransferOutcome(rawValue: -Int(code))
        }
    }
}
