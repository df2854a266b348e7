// SPDX-License-Identifier: Apache-2.0
//
// A backend on the test's own loop whose answers a test chooses: real sockets, a kernel-chosen
// port, one behaviour at a time.

import EventLoop
import LinuxIO
import WireCore

/// What a scripted backend does with a connection.
enum ScriptedBehaviour: Equatable {
    /// Sends these bytes once a request head is complete, then closes.
    case answer(String)
    /// Accepts and never says anything.
    case hang
    /// Accepts and closes at once.
    case close
    /// Closes with a reset once a request head is complete.
    case reset
    /// Sends these bytes one at a time, one each millisecond, then closes.
    case trickle(String)
    /// Sends field lines without end.
    case endlessHead
    /// Sends these bytes and keeps the connection open.
    case answerAndStay(String)
    /// Sends these bytes for each request; after so many on a connection closes without an answer.
    case serve(String, requestsMax: Int)
    /// Sends the first part for each request, the second when the connection was idle for a while.
    case serveInParts(String, String)
    /// Sends a head, then body bytes without end.
    case endlessBody(String)
    /// Sends these bytes as soon as a connection is there.
    case greet(String)
    /// Sends the second text once the first was received, whatever it is.
    case converse(hear: String, say: String)
}

/// A listening socket with scripted answers.
final class ScriptedBackend: EventHandler {
    let endpoint: Endpoint
    var behaviour: ScriptedBehaviour
    private(set) var acceptedCount = 0
    /// The most connections that were open at once.
    private(set) var openMax = 0
    fileprivate(set) var requests: [String] = []
    /// Connections that are open now.
    var openCount: Int { connections.count }
    private let loop: EventLoop
    private let listener: ListenerBox
    private var connections: [ObjectIdentifier: ScriptedConnection] = [:]

    init(on loop: EventLoop, _ behaviour: ScriptedBehaviour) throws {
        self.loop = loop
        self.behaviour = behaviour
        let listener = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0))
        guard let endpoint = try StreamSocket.localEndpoint(listener) else {
            throw Errno.addressNotAvailable
        }
        self.endpoint = endpoint
        self.listener = ListenerBox(listener)
        self.listener.source = try self.listener.watch(on: loop, handler: self)
    }

    /// Closes the listening socket; connections go on.
    func stopAccepting() {
        listener.close(on: loop)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while let accepted = listener.accept() {
            acceptedCount += 1
            guard behaviour != .close else { continue }
            let connection = ScriptedConnection(accepted.takeSocket(), of: self, on: loop)
            connections[ObjectIdentifier(connection)] = connection
            openMax = max(openMax, connections.count)
            connection.start()
        }
    }

    fileprivate func forget(_ connection: ScriptedConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    /// A port of this host on which nobody listens.
    static func unusedEndpoint() throws -> Endpoint {
        let listener = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0))
        guard let endpoint = try StreamSocket.localEndpoint(listener) else {
            throw Errno.addressNotAvailable
        }
        return endpoint
    }
}

/// A listening socket that may be closed.
private final class ListenerBox {
    private var descriptor: FileDescriptor?
    var source: EventSource?

    init(_ descriptor: consuming FileDescriptor) {
        self.descriptor = consume descriptor
    }

    func watch(on loop: EventLoop, handler: any EventHandler) throws -> EventSource {
        switch descriptor {
        case .some(let descriptor): try loop.add(descriptor, .readable, handler: handler)
        case nil: throw Errno.addressNotAvailable
        }
    }

    func accept() -> AcceptedConnection? {
        switch descriptor {
        case .some(let descriptor): try? StreamSocket.accept(from: descriptor)
        case nil: nil
        }
    }

    func close(on loop: EventLoop) {
        switch descriptor {
        case .some(let descriptor):
            if let source { loop.remove(source, of: descriptor) }
        case nil: break
        }
        descriptor = nil
    }
}

/// One accepted connection of a scripted backend.
private final class ScriptedConnection: EventHandler {
    private let socket: FileDescriptor
    private unowned let backend: ScriptedBackend
    private let loop: EventLoop
    private var source: EventSource?
    private var request: [UInt8] = []
    private var unsent: [UInt8] = []
    private var hasAnswered = false
    private var answeredCount = 0

    init(_ socket: consuming FileDescriptor, of backend: ScriptedBackend, on loop: EventLoop) {
        self.socket = socket
        self.backend = backend
        self.loop = loop
    }

    func start() {
        source = try? loop.add(socket, .readable, handler: self)
        if case .greet(let text) = backend.behaviour { say(text) }
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        guard let bytes = try? socket.read(upTo: 4_096) else { return }
        guard !bytes.isEmpty else { return end() }
        request += bytes
        let text = String(decoding: request, as: UTF8.self)
        if case .converse(let hear, let reply) = backend.behaviour, text.hasSuffix(hear) {
            return say(reply)
        }
        guard text.hasSuffix("\r\n\r\n"), !hasAnswered else { return }
        backend.requests.append(text)
        request = []
        answer()
    }

    private func say(_ text: String) {
        _ = try? StreamSocket.send(socket, Array(text.utf8))
    }

    private func answer() {
        hasAnswered = true
        switch backend.behaviour {
        case .serve(let text, let requestsMax):
            hasAnswered = false
            answeredCount += 1
            if answeredCount > requestsMax { end() } else { say(text) }
        case .serveInParts(let first, let second):
            hasAnswered = false
            say(first)
            loop.schedule(after: .milliseconds(2)) { [weak self] in self?.say(second) }
        case .endlessBody(let head):
            say(head)
            pour("and more and more and more of it ")
        case .greet, .converse:
            break
        case .answer(let text):
            _ = try? StreamSocket.send(socket, Array(text.utf8))
            end()
        case .answerAndStay(let text):
            _ = try? StreamSocket.send(socket, Array(text.utf8))
        case .reset:
            StreamSocket.resetOnClose(socket)
            end()
        case .trickle(let text):
            unsent = Array(text.utf8)
            trickle()
        case .endlessHead:
            say("HTTP/1.1 200 OK\r\n")
            pour("X-More: and more\r\n")
        case .hang, .close:
            break
        }
    }

    private func trickle() {
        guard source != nil else { return }
        guard !unsent.isEmpty else { return end() }
        _ = try? StreamSocket.send(socket, [unsent.removeFirst()])
        loop.schedule(after: .milliseconds(1)) { [weak self] in self?.trickle() }
    }

    private func pour(_ text: String) {
        guard source != nil else { return }
        // As much as a peer could want, a little at a time.
        for _ in 0..<16 { say(text) }
        loop.schedule(after: .microseconds(100)) { [weak self] in self?.pour(text) }
    }

    private func end() {
        guard let source else { return }
        loop.remove(source, of: socket)
        self.source = nil
        backend.forget(self)
    }
}
