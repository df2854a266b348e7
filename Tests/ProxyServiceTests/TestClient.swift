// SPDX-License-Identifier: Apache-2.0
//
// A client that sends exactly the bytes it is told to and waits for answers with a deadline.

import LinuxIO
import WireCore

/// A response as the client received it.
struct ReceivedResponse {
    var status = 0
    var head = ""
    var body: [UInt8] = []

    var text: String { String(decoding: body, as: UTF8.self) }

    func field(_ name: String) -> String? {
        ReceivedRequest(head: head).field(name)
    }
}

/// What a test client ran into.
enum TestFailure: Error {
    case timedOut(received: String)
    case connectionEnded(received: String)
    case malformed(String)
}

/// One client connection.
final class TestClient {
    /// Longer than anything takes on a busy machine.
    static let patience = TimeSpan.seconds(15)

    private let socket: FileDescriptor
    private let epoll: Epoll
    private(set) var received: [UInt8] = []

    init(_ endpoint: Endpoint) throws {
        socket = try StreamSocket.connect(to: endpoint)
        epoll = try Epoll()
        try epoll.add(socket, [.readable, .writable, .edgeTriggered, .peerClosed], token: 0)
        let deadline = Clock.now() + Self.patience
        while try epoll.wait(timeout: .milliseconds(50)) == 0, Clock.now() < deadline {}
        if let error = StreamSocket.pendingError(socket) { throw error }
    }

    /// The port it connected from.
    var localPort: UInt16? { (try? StreamSocket.localEndpoint(socket))?.port }

    /// Where its end of the connection is.
    func transport() throws -> TransportState {
        try ConnectionRepair.capture(socket)
    }

    /// Bytes it has sent that were not acknowledged.
    var unacknowledgedByteCount: Int { SocketTransfer.unacknowledgedByteCount(socket) }

    func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    func send(_ bytes: [UInt8]) throws {
        let deadline = Clock.now() + Self.patience
        var rest = bytes[...]
        while !rest.isEmpty {
            switch try StreamSocket.send(socket, Array(rest.prefix(262_144))) {
            case .bytes(let count): rest = rest.dropFirst(count)
            case .wouldBlock:
                guard Clock.now() < deadline else { throw TestFailure.timedOut(received: "") }
                _ = try epoll.wait(timeout: .milliseconds(20))
            }
        }
    }

    /// Ends sending, as a client that has said everything.
    func finishSending() {
        StreamSocket.shutdownWrite(socket)
    }

    /// Makes the end of this connection a reset.
    func resetOnClose() {
        StreamSocket.resetOnClose(socket)
    }

    /// Reads once; false at the end of the stream.
    @discardableResult
    func receiveSome(upTo count: Int = 65_536) throws -> Bool {
        let deadline = Clock.now() + Self.patience
        while true {
            if let piece = try socket.read(upTo: count) {
                received += piece
                return !piece.isEmpty
            }
            guard Clock.now() < deadline else { throw TestFailure.timedOut(received: shown) }
            _ = try epoll.wait(timeout: .milliseconds(20))
        }
    }

    /// Reads and drops up to `count` bytes; returns how many came, 0 at the end of the stream.
    func discardSome(upTo count: Int) throws -> Int {
        try receiveSome(upTo: count)
        defer { received = [] }
        return received.count
    }

    /// Reads one response; interim ones are skipped unless asked for.
    func response(to method: String = "GET", keepsInterim: Bool = false) throws -> ReceivedResponse
    {
        while true {
            let head = try take(until: "\r\n\r\n")
            let words = head.split(separator: " ")
            guard words.count >= 2, let status = Int(words[1]) else {
                throw TestFailure.malformed(head)
            }
            var response = ReceivedResponse(status: status, head: head)
            if status < 200 {
                if keepsInterim { return response }
                continue
            }
            guard method != "HEAD", status != 204, status != 304 else { return response }
            if let length = response.field("content-length").flatMap({ Int($0) }) {
                response.body = try take(count: length)
            } else if response.field("transfer-encoding") != nil {
                response.body = try takeChunks()
            } else {
                while try receiveSome() {}
                response.body = received
                received = []
            }
            return response
        }
    }

    /// Sends a request and reads its response.
    func exchange(
        _ target: String, method: String = "GET", fields: String = "", body: String = ""
    ) throws -> ReceivedResponse {
        let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
        try send("\(method) \(target) HTTP/1.1\r\nHost: test\r\n\(fields)\(length)\r\n\(body)")
        return try response(to: method)
    }

    /// True when the other side closes, in whichever way, before the deadline.
    func isClosedByPeer() -> Bool {
        do {
            while try receiveSome() {}
            return true
        } catch is Errno {
            return true
        } catch {
            return false
        }
    }

    var shown: String { String(decoding: received.prefix(2_000), as: UTF8.self) }

    private func fill(_ isEnough: () -> Bool) throws {
        while !isEnough() {
            guard try receiveSome() else { throw TestFailure.connectionEnded(received: shown) }
        }
    }

    private func take(count: Int) throws -> [UInt8] {
        try fill { received.count >= count }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }

    private func take(until end: String) throws -> String {
        let pattern = Array(end.utf8)
        try fill { received.firstRange(of: pattern) != nil }
        let range = received.firstRange(of: pattern) ?? 0..<0
        return String(decoding: try take(count: range.upperBound), as: UTF8.self)
    }

    private func takeChunks() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try take(until: "\r\n")
            guard let size = Int(line.dropLast(1), radix: 16) else {
                throw TestFailure.malformed(line)
            }
            body += try take(count: size)
            guard try take(count: 2) == [0x0D, 0x0A] else { throw TestFailure.malformed("chunk") }
            if size == 0 { return body }
        }
    }
}
