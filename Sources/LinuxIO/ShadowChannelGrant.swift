// SPDX-License-Identifier: Apache-2.0
//
// A connection on its way from the thread that dialled and authenticated it to the worker that
// writes on it.

internal import Synchronization

/// A connected socket with what both ends agreed on; somebody takes it once.
///
/// One that nobody takes resets its connection, so that the other node knows that nothing more is
/// told there.
public final class ShadowChannelGrant: Sendable {
    /// The worker it is for.
    public let worker: Int
    /// The key of the connection; never for logs.
    public let key: [UInt8]
    /// Number of the next sealed frame.
    public let nextSequence: UInt64
    private let unused: @Sendable () -> Void
    private let socket: Mutex<FileDescriptor?>

    /// Takes over a socket; `unused` is called when nobody has taken it in the end.
    public init(
        _ socket: consuming FileDescriptor, worker: Int, key: [UInt8], nextSequence: UInt64,
        unused: @escaping @Sendable () -> Void = {}
    ) {
        self.unused = unused
        self.worker = worker
        self.key = key
        self.nextSequence = nextSequence
        self.socket = Mutex(consume socket)
    }

    deinit {
        guard let socket = takeDescriptor() else { return }
        StreamSocket.resetOnClose(socket)
        unused()
    }

    /// The socket, connected and non-blocking; `nil` when it was taken before.
    public func takeDescriptor() -> FileDescriptor? {
        socket.withLock { $0.take() }
    }
}
