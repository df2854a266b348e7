// SPDX-License-Identifier: Apache-2.0
//
// Two hosts, as network namespaces with a cable between them, and the connections between them.
// Loopback would not do: a host cannot have both ends of a connection re-created.

internal import Glibc
import LinuxIO
import NamespaceLaboratory
import Testing
import WireCore

/// The server's host with a client's host beside it.
struct RepairedPair: ~Copyable {
    static let server = Endpoint("10.77.0.1:8080")
    static let serverIPv6 = Endpoint("[fd77::1]:8080")

    let serverHost: FileDescriptor
    let clientHost: FileDescriptor

    /// Runs `body` in the server's namespace with a client's namespace beside it.
    static func run(_ body: (borrowing RepairedPair) throws -> Void) throws {
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
        try body(RepairedPair(serverHost: serverHost, clientHost: clientHost))
    }

    /// A listener, a client that is connected to it and the connection that the listener gave out.
    borrowing func connect(
        to endpoint: Endpoint
    ) throws -> (
        listener: TestSocket, client: TestSocket, server: TestSocket, remote: Endpoint
    ) {
        let listener = TestSocket(try StreamSocket.listen(on: endpoint))
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
        let server = try #require(accepted)
        let remote = try #require(try StreamSocket.remoteEndpoint(server.descriptor))
        return (listener, client, server, remote)
    }
}

/// A socket that tuples and optionals can hold.
final class TestSocket {
    private var held: FileDescriptor?
    private let number: CInt

    init(_ descriptor: consuming FileDescriptor) {
        number = descriptor.rawValue
        held = consume descriptor
    }

    var descriptor: FileDescriptor {
        _read {
            switch held {
            case .some(let descriptor): yield descriptor
            case .none: fatalError("a closed test socket")
            }
        }
    }

    /// Ends the connection without a word.
    func closeSilently() {
        if let descriptor = held.take() { ConnectionRepair.closeSilently(descriptor) }
    }

    func close() { held = nil }

    func send(_ text: String) throws {
        #expect(try StreamSocket.send(descriptor, Array(text.utf8)) == .bytes(text.utf8.count))
    }

    /// What arrives, as soon as it is `count` bytes; a shorter text when the stream ended.
    func receive(_ count: Int, within span: TimeSpan = .seconds(5)) throws -> String {
        var bytes: [UInt8] = []
        try untilTrue(within: span) {
            guard let more = try descriptor.read(upTo: count - bytes.count) else { return false }
            bytes += more
            return more.isEmpty || bytes.count == count
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether something can be read now.
    func hasInput() throws -> Bool {
        try descriptor.read(upTo: 1) != nil
    }
}

/// Repeats `condition` until it is true.
func untilTrue(
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
struct Late: Error {
    let milliseconds: UInt64
}
