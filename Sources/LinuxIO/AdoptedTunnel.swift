// SPDX-License-Identifier: Apache-2.0
//
// The connection to a backend with which an adopted client exchanges bytes unread, made again here,
// on its way to the worker that serves both.

internal import Synchronization
public import WireCore

/// The backend's side of a tunnel that one thread hands to another.
///
/// Whoever drops it without taking the descriptor resets the backend: nobody would answer it.
public final class AdoptedTunnel: Sendable {
    /// Our end: an address that moves between the nodes.
    public let local: Endpoint
    /// The backend.
    public let remote: Endpoint
    /// The state that the descriptor was made with: of no byte sent or received since.
    public let transport: TransportState
    /// The pool of the backend.
    public let pool: String
    private let descriptor: Mutex<FileDescriptor?>

    /// Names everything; `descriptor` is established, non-blocking and marked
    /// ``ConnectionMark/adopted``.
    public init(
        _ descriptor: consuming FileDescriptor, local: Endpoint, remote: Endpoint,
        transport: TransportState, pool: String
    ) {
        self.descriptor = Mutex(consume descriptor)
        self.local = local
        self.remote = remote
        self.transport = transport
        self.pool = pool
    }

    deinit {
        reset()
    }

    /// Hands the descriptor to a new owner, once.
    public func takeDescriptor() -> FileDescriptor? {
        descriptor.withLock { $0.take() }
    }

    /// Ends the connection so that the backend notices, unless somebody took it.
    public func reset() {
        guard let descriptor = takeDescriptor() else { return }
        StreamSocket.resetOnClose(descriptor)
    }
}
