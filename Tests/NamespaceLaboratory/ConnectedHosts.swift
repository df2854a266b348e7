// SPDX-License-Identifier: Apache-2.0
//
// Two hosts, as network namespaces with a cable between them, and the connections between them.
// Loopback would not do: a host cannot have both ends of a connection re-created.

internal import Glibc
public import LinuxIO
public import WireCore

/// The server's host with a client's host beside it.
public struct ConnectedHosts: ~Copyable {
    /// Where the server listens.
    public static let server = Endpoint("10.77.0.1:8080")
    /// Where the server listens over IPv6.
    public static let serverIPv6 = Endpoint("[fd77::1]:8080")

    private let serverHost: FileDescriptor
    private let clientHost: FileDescriptor

    /// Runs `body` in the server's namespace with a client's namespace beside it.
    public static func run(_ body: (borrowing ConnectedHosts) throws -> Void) throws {
        let home = try NetworkNamespace.current()
        defer { try? NetworkNamespace.enter(home) }
        try NetworkNamespace.enterNew()
        let clientHost = try NetworkNamespace.current()
        try NetworkNamespace.enterNew()
        let serverHost = try NetworkNamespace.current()
        try Laboratory.ip("link set lo up")
        // Namespaces without a name are named by one of their descriptors.
        let path = "/proc/\(getpid())/fd/\(clientHost.rawValue)"
        try Laboratory.ip("link add cable type veth peer name cable netns \(path)")
        try Laboratory.ip("link set cable up")
        try Laboratory.ip("addr add 10.77.0.1/24 dev cable")
        try Laboratory.ip("addr add fd77::1/64 dev cable nodad")
        try NetworkNamespace.enter(clientHost)
        try Laboratory.ip("link set cable up")
        try Laboratory.ip("addr add 10.77.0.2/24 dev cable")
        try Laboratory.ip("addr add fd77::2/64 dev cable nodad")
        try NetworkNamespace.enter(serverHost)
        try body(ConnectedHosts(serverHost: serverHost, clientHost: clientHost))
    }

    /// A listener, a client that is connected to it and the connection that the listener gave out.
    ///
    /// With `listener` no other listener is made.
    public borrowing func connect(
        to endpoint: Endpoint, listener: TestSocket? = nil
    ) throws -> (
        listener: TestSocket, client: TestSocket, server: TestSocket, remote: Endpoint
    ) {
        let listener = try listener ?? TestSocket(StreamSocket.listen(on: endpoint))
        ConnectionRepair.delayAcknowledgements(listener.descriptor)
        try NetworkNamespace.enter(clientHost)
        defer { try? NetworkNamespace.enter(serverHost) }
        let client = TestSocket(try StreamSocket.connect(to: endpoint))
        var accepted: TestSocket?
        try untilTrue {
            if let connection = try StreamSocket.accept(from: listener.descriptor) {
                accepted = TestSocket(connection.takeSocket())
            }
            return accepted != nil
        }
        guard let server = accepted, let remote = try StreamSocket.remoteEndpoint(server.descriptor)
        else { throw Laboratory.Failure(description: "not connected") }
        return (listener, client, server, remote)
    }
}

/// A socket that tuples and optionals can hold.
public final class TestSocket {
    private var held: FileDescriptor?
    private let number: CInt

    /// Takes a socket over.
    public init(_ descriptor: consuming FileDescriptor) {
        number = descriptor.rawValue
        held = consume descriptor
    }

    /// The socket, which must not be closed yet.
    public var descriptor: FileDescriptor {
        _read {
            switch held {
            case .some(let descriptor): yield descriptor
            case .none: fatalError("a closed test socket")
            }
        }
    }

    /// Ends the connection without a word.
    public func closeSilently() {
        if let descriptor = held.take() { ConnectionRepair.closeSilently(descriptor) }
    }

    /// Ends the connection with a reset.
    public func reset() {
        if let descriptor = held.take() { StreamSocket.resetOnClose(descriptor) }
    }

    /// Closes the socket.
    public func close() { held = nil }

    /// Sends a text that must fit.
    public func send(_ text: String) throws {
        let outcome = try StreamSocket.send(descriptor, Array(text.utf8))
        guard outcome == .bytes(text.utf8.count) else {
            throw Laboratory.Failure(description: "sent \(outcome)")
        }
    }

    /// What arrives, as soon as it is `count` bytes; a shorter text when the stream ended.
    public func receive(_ count: Int, within span: TimeSpan = .seconds(5)) throws -> String {
        var bytes: [UInt8] = []
        try untilTrue(within: span) {
            guard let more = try descriptor.read(upTo: count - bytes.count) else { return false }
            bytes += more
            return more.isEmpty || bytes.count == count
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Bytes sent that the other end has not acknowledged (SIOCOUTQ).
    public func unacknowledgedByteCount() throws -> Int {
        var count: CInt = 0
        guard ioctl(descriptor.rawValue, UInt(TIOCOUTQ), &count) == 0 else {
            throw Laboratory.Failure(description: "SIOCOUTQ is refused")
        }
        return Int(count)
    }

    /// Whether something can be read now.
    public func hasInput() throws -> Bool {
        try descriptor.read(upTo: 1) != nil
    }
}

/// Repeats `condition` until it is true.
public func untilTrue(
    within span: TimeSpan = .seconds(5), _ condition: () throws -> Bool
) throws {
    let end = Clock.now() + span
    while Clock.now() < end {
        if try condition() { return }
        sched_yield()
    }
    throw Late(milliseconds: span.milliseconds)
}

/// What a test waited for did not happen.
public struct Late: Error {
    /// After so long.
    public let milliseconds: UInt64
}
