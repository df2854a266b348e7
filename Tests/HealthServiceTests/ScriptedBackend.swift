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
}

/// A listening socket with scripted answers.
final class ScriptedBackend: EventHandler {
    let endpoint: Endpoint
    var behaviour: ScriptedBehaviour
    private(set) var acceptedCount = 0
    /// The most connections that were open at once.
    private(set) var openMax = 0
    fileprivate(set) var requests: [String] = []
    private let loop: EventLoop
    private let listener: FileDescriptor
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
        self.listener = listener
        _ = try loop.add(self.listener, .readable, handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while let accepted = try? StreamSocket.accept(from: listener) {
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

/// One accepted connection of a scripted backend.
private final class ScriptedConnection: EventHandler {
    private let socket: FileDescriptor
    private unowned let backend: ScriptedBackend
    private let loop: EventLoop
    private var source: EventSource?
    private var request: [UInt8] = []
    private var unsent: [UInt8] = []
    private var hasAnswered = false

    init(_ socket: consuming FileDescriptor, of backend: ScriptedBackend, on loop: EventLoop) {
        self.socket = socket
        self.backend = backend
        self.loop = loop
    }

    func start() {
        source = try? loop.add(socket, .readable, handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        guard let bytes = try? socket.read(upTo: 4_096) else { return }
        guard !bytes.isEmpty else { return end() }
        request += bytes
        let text = String(decoding: request, as: UTF8.self)
        guard text.hasSuffix("\r\n\r\n"), !hasAnswered else { return }
        hasAnswered = true
        backend.requests.append(text)
        answer()
    }

    private func answer() {
        switch backend.behaviour {
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
            _ = try? StreamSocket.send(socket, Array("HTTP/1.1 200 OK\r\n".utf8))
            pour()
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

    private func pour() {
        guard source != nil else { return }
        _ = try? StreamSocket.send(socket, Array("X-More: and more\r\n".utf8))
        loop.schedule(after: .microseconds(100)) { [weak self] in self?.pour() }
    }

    private func end() {
        guard let source else { return }
        loop.remove(source, of: socket)
        self.source = nil
        backend.forget(self)
    }
}
