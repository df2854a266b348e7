// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/2 server of written-out frames (RFC 9113 §4.1): the probe is measured against the text of
// the protocol and not against its own library.

import EventLoop
import LinuxIO
import WireCore

/// Writes frames.
enum Frame {
    static let endStream: UInt8 = 0x1
    static let acknowledgement: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4

    static func bytes(
        _ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] {
        let count = UInt32(payload.count)
        let head = [16, 8, 0].map { UInt8(truncatingIfNeeded: count >> UInt32($0)) }
        return head + [type, flags] + number(stream) + payload
    }

    static func number(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    }

    static let settings = bytes(0x4)

    /// Literal fields without indexing and without Huffman coding (RFC 7541 §6.2.2).
    static func fields(_ fields: KeyValuePairs<String, String>) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, value) in fields {
            bytes += [0x00, UInt8(name.utf8.count)]
            bytes += Array(name.utf8)
            bytes.append(UInt8(value.utf8.count))
            bytes += Array(value.utf8)
        }
        return bytes
    }

    static func headers(
        _ stream: UInt32, isLast: Bool = false, _ list: KeyValuePairs<String, String>
    ) -> [UInt8] {
        bytes(0x1, flags: endHeaders | (isLast ? endStream : 0), stream: stream, fields(list))
    }

    static func data(_ stream: UInt32, isLast: Bool = false, _ payload: [UInt8]) -> [UInt8] {
        bytes(0x0, flags: isLast ? endStream : 0, stream: stream, payload)
    }

    static func reset(_ stream: UInt32, code: UInt32) -> [UInt8] {
        bytes(0x3, stream: stream, number(code))
    }

    static func goAway(lastStream: UInt32, code: UInt32 = 0) -> [UInt8] {
        bytes(0x7, number(lastStream) + number(code))
    }
}

/// What a scripted server sends.
struct HTTP2Script: Sendable {
    /// Sent as soon as a connection is there.
    var greeting = Frame.settings
    /// Sent when the request on a stream is complete.
    var answer: @Sendable (UInt32) -> [UInt8]
    /// Closes after the answer.
    var closes = false
    /// Sent again and again once the request is complete.
    var flood: [UInt8] = []

    /// A whole answer to a health check.
    static func health(_ message: [UInt8], status: String = "0") -> HTTP2Script {
        HTTP2Script { stream in
            Frame.headers(stream, [":status": "200", "content-type": "application/grpc"])
                + Frame.data(stream, [0] + Frame.number(UInt32(message.count)) + message)
                + Frame.headers(stream, isLast: true, ["grpc-status": status])
        }
    }

    /// An answer that ends with its head.
    static func trailersOnly(status: String) -> HTTP2Script {
        HTTP2Script { stream in
            Frame.headers(
                stream, isLast: true,
                [":status": "200", "content-type": "application/grpc", "grpc-status": status])
        }
    }

    static func raw(_ text: String) -> HTTP2Script {
        HTTP2Script(greeting: Array(text.utf8), answer: { _ in [] })
    }
}

/// A listening socket that speaks scripted frames.
final class ScriptedHTTP2Backend: EventHandler {
    let endpoint: Endpoint
    var script: HTTP2Script
    private(set) var acceptedCount = 0
    /// Streams of all requests, and what their DATA frames held.
    fileprivate(set) var requests: [(stream: UInt32, body: [UInt8])] = []
    private let loop: EventLoop
    private let listener: FileDescriptor
    private var connections: [ObjectIdentifier: ScriptedHTTP2Connection] = [:]

    init(on loop: EventLoop, _ script: HTTP2Script) throws {
        self.loop = loop
        self.script = script
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        guard let endpoint = try StreamSocket.localEndpoint(listener) else {
            throw Errno.addressNotAvailable
        }
        self.endpoint = endpoint
        self.listener = listener
        _ = try loop.add(self.listener, .readable, handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while let accepted = try? StreamSocket.accept(from: listener) {
            acceptedCount += 1
            let connection = ScriptedHTTP2Connection(accepted.takeSocket(), of: self, on: loop)
            connections[ObjectIdentifier(connection)] = connection
            connection.start()
        }
    }

    fileprivate func forget(_ connection: ScriptedHTTP2Connection) {
        connections[ObjectIdentifier(connection)] = nil
    }
}

private final class ScriptedHTTP2Connection: EventHandler {
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let socket: FileDescriptor
    private unowned let backend: ScriptedHTTP2Backend
    private let loop: EventLoop
    private var source: EventSource?
    private var received: [UInt8] = []
    private var hasPreface = false

    init(
        _ socket: consuming FileDescriptor, of backend: ScriptedHTTP2Backend, on loop: EventLoop
    ) {
        self.socket = socket
        self.backend = backend
        self.loop = loop
    }

    func start() {
        source = try? loop.add(socket, .readable, handler: self)
        send(backend.script.greeting)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        guard let bytes = try? socket.read(upTo: 16_384) else { return }
        guard !bytes.isEmpty else { return end() }
        received += bytes
        if !hasPreface {
            guard received.count >= Self.preface.count else { return }
            guard received.starts(with: Self.preface) else { return end() }
            received.removeFirst(Self.preface.count)
            hasPreface = true
        }
        while self.source != nil, let frame = nextFrame() { take(frame) }
    }

    private struct Received {
        let type: UInt8
        let flags: UInt8
        let stream: UInt32
        let payload: [UInt8]
    }

    private func nextFrame() -> Received? {
        guard received.count >= 9 else { return nil }
        let length = received[0..<3].reduce(0) { $0 << 8 | Int($1) }
        guard received.count >= 9 + length else { return nil }
        defer { received.removeFirst(9 + length) }
        return Received(
            type: received[3], flags: received[4],
            stream: received[5..<9].reduce(0) { $0 << 8 | UInt32($1) },
            payload: Array(received[9..<(9 + length)]))
    }

    private func take(_ frame: Received) {
        switch frame.type {
        case 0x4 where frame.flags & Frame.acknowledgement == 0:
            send(Frame.bytes(0x4, flags: Frame.acknowledgement))
        case 0x0:
            guard frame.flags & Frame.endStream != 0 else { return }
            backend.requests.append((frame.stream, frame.payload))
            let script = backend.script
            send(script.answer(frame.stream))
            if script.closes { return end() }
            if !script.flood.isEmpty { pour(script.flood) }
        default:
            break
        }
    }

    private func pour(_ bytes: [UInt8]) {
        guard source != nil else { return }
        for _ in 0..<64 { send(bytes) }
        loop.schedule(after: .microseconds(100)) { [weak self] in self?.pour(bytes) }
    }

    private func send(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        _ = try? StreamSocket.send(socket, bytes)
    }

    private func end() {
        guard let source else { return }
        loop.remove(source, of: socket)
        self.source = nil
        backend.forget(self)
    }
}
