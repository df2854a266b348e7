// SPDX-License-Identifier: Apache-2.0
//
// A client connection of the other node, made again here, on its way to the worker that serves it.

internal import CLinux
internal import Synchronization
public import WireCore

/// An established connection that one thread hands to another, and what is known of it.
///
/// Whoever drops it without taking the descriptor resets the client: nobody would answer it.
public final class AdoptedClient: Sendable {
    /// Why the bytes that come with it were read already.
    public enum Input: Hashable, Sendable {
        /// There are none.
        case none
        /// The other node had received them and looked at none of them.
        case unread([UInt8])
        /// The head of a request that the other node did not finish: it is issued again.
        case reissued([UInt8])

        /// The bytes themselves.
        public var bytes: [UInt8] {
            switch self {
            case .none: []
            case .unread(let bytes), .reissued(let bytes): bytes
            }
        }
    }

    /// The address and port that the client connected to.
    public let local: Endpoint
    /// The client's address and port.
    public let remote: Endpoint
    /// The state that the descriptor was made with: of no byte sent or received since.
    public let transport: TransportState
    /// What counts as read from the connection.
    public let input: Input
    /// The client has sent something that never arrived and sends it again within this time, or the
    /// connection is reset; `nil` when nothing is known to come.
    public let expectsBytesWithin: TimeSpan?
    /// The client that a PROXY header named.
    public let namedClient: Endpoint?
    /// The connection to a backend with which it exchanges bytes unread.
    public let tunnel: AdoptedTunnel?
    private let descriptor: Mutex<FileDescriptor?>

    /// Names everything; `descriptor` is established, non-blocking and marked
    /// ``ConnectionMark/adopted``.
    public init(
        _ descriptor: consuming FileDescriptor, local: Endpoint, remote: Endpoint,
        transport: TransportState, input: Input = .none, expectsBytesWithin: TimeSpan? = nil,
        namedClient: Endpoint? = nil, tunnel: AdoptedTunnel? = nil
    ) {
        // What a listener would have handed down.
        _ = try? descriptor.setOption(CInt(IPPROTO_TCP), TCP_NODELAY, 1)
        self.descriptor = Mutex(consume descriptor)
        self.local = local
        self.remote = remote
        self.transport = transport
        self.input = input
        self.expectsBytesWithin = expectsBytesWithin
        self.namedClient = namedClient
        self.tunnel = tunnel
    }

    deinit {
        reset()
    }

    /// Hands the descriptor to a new owner, once.
    public func takeDescriptor() -> FileDescriptor? {
        descriptor.withLock { $0.take() }
    }

    /// Ends the connection so that the client notices, unless somebody took it; the backend of its
    /// tunnel notices, too.
    public func reset() {
        tunnel?.reset()
        guard let descriptor = takeDescriptor() else { return }
        StreamSocket.resetOnClose(descriptor)
    }
}
