// SPDX-License-Identifier: Apache-2.0
//
// A backend that the test itself plays, step by step, where the order of events matters.

import LinuxIO
import WireCore

/// A listening socket and the connections taken from it by hand.
final class ManualBackend {
    let endpoint: Endpoint
    private let listener: FileDescriptor

    init() throws {
        listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        guard let bound = try StreamSocket.localEndpoint(listener) else { throw Errno(code: 22) }
        endpoint = bound
    }

    /// The next connection, waited for with a deadline.
    func accept(within span: TimeSpan = TestClient.patience) throws -> ManualConnection {
        var accepted: ManualConnection?
        _ = try eventually(within: span) {
            guard let connection = try StreamSocket.accept(from: listener) else { return false }
            accepted = ManualConnection(connection.takeSocket())
            return true
        }
        guard let accepted else { throw TestFailure.timedOut(received: "") }
        return accepted
    }
}

/// One connection to a backend that the test plays.
final class ManualConnection {
    private let socket: FileDescriptor
    private(set) var received: [UInt8] = []

    init(_ socket: consuming FileDescriptor) {
        self.socket = socket
    }

    var text: String { String(decoding: received, as: UTF8.self) }

    func send(_ text: String) throws {
        _ = try StreamSocket.send(socket, Array(text.utf8))
    }

    /// Reads until the text so far ends in `end`, and forgets it.
    func take(until end: String) throws -> String {
        let isThere = try eventually {
            if let piece = try socket.read(upTo: 65_536) {
                received += piece
                guard !piece.isEmpty else { throw TestFailure.connectionEnded(received: text) }
            }
            return text.hasSuffix(end)
        }
        guard isThere else { throw TestFailure.timedOut(received: text) }
        defer { received = [] }
        return text
    }

    /// Reads one request without a body.
    func takeHead() throws -> String { try take(until: "\r\n\r\n") }

    /// Reads what is there and forgets it; returns how much it was.
    func discard() throws -> Int {
        guard let piece = try socket.read(upTo: 1 << 20) else { return 0 }
        guard !piece.isEmpty else { throw TestFailure.connectionEnded(received: "") }
        return piece.count
    }

    func finishSending() {
        StreamSocket.shutdownWrite(socket)
    }

    /// True when the other side closes before the deadline.
    func isClosedByPeer() -> Bool {
        eventually {
            do {
                return try socket.read(upTo: 65_536)?.isEmpty ?? false
            } catch {
                return true
            }
        }
    }
}
