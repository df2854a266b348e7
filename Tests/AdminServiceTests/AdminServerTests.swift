// SPDX-License-Identifier: Apache-2.0
//
// Goal: commands and pages are answered, and a bad client harms nobody. Method: a real server on a
// loop, real clients on other threads or on the same loop, deadlines on everything.

import AdminService
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@Suite struct AdminServerTests {
    private func registry() -> AdminRegistry {
        let registry = AdminRegistry()
        registry.add("show status", help: "the state") { _ in "role: active" }
        registry.add("show", help: "what to show") { _ in "show what?" }
        registry.add("echo", help: "the words") { $0.joined(separator: ",") }
        registry.addPage("/metrics") {
            AdminRegistry.Page(contentType: "text/plain", content: "up 1\n")
        }
        return registry
    }

    @Test func longestCommandNameWins() {
        let registry = registry()
        #expect(registry.run(line: "show status").text == "role: active\n")
        #expect(registry.run(line: "show sess").text == "show what?\n")
        #expect(registry.run(line: "echo a b ; show status").text == "a,b\n\nrole: active\n")
    }

    @Test func unknownCommandListsTheKnownOnes() {
        let answer = registry().run(line: "shwo status").text
        #expect(answer.contains("Unknown command: \"shwo status\""))
        #expect(answer.contains("show status  the state"))
    }

    @Test func commandComesBackThroughTheSocket() throws {
        let path = "/tmp/tandem-admin-\(ProcessLimits.processID)-a.sock"
        let loop = try EventLoop()
        defer { loop.close() }
        let registry = registry()
        let server = AdminServer(loop: loop, registry: registry, logger: Logger("", sink: nil))
        try server.listen(socketPath: path)
        defer { server.stop() }
        let answers = try Mailbox<String>()
        var answer: String?
        try loop.attach(answers) { answer = $0 }
        let thread = try KernelThread.start(name: "client") {
            answers.post((try? AdminClient.ask("show status", socketPath: path))?.text ?? "failed")
        }
        #expect(loop.run(until: Clock.now() + .seconds(5)) { answer != nil })
        thread.join()
        #expect(answer == "role: active\n\n")
    }

    @Test func staleSocketFileIsReplacedAndRemovedAtTheEnd() throws {
        let path = "/tmp/tandem-admin-\(ProcessLimits.processID)-b.sock"
        try FileSystem.write([], path: path)
        let loop = try EventLoop()
        defer { loop.close() }
        let registry = registry()
        let server = AdminServer(loop: loop, registry: registry, logger: Logger("", sink: nil))
        try server.listen(socketPath: path)
        server.stop()
        #expect(throws: Errno.noSuchFile) { try FileSystem.permissions(path: path) }
    }

    @Test(arguments: [
        ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK", true),
        ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK", false),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404", false),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405", false),
        ("GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400", false),
    ])
    func pageIsServedOverHTTP(request: String, status: String, hasPage: Bool) throws {
        let answer = try exchange(Array(request.utf8))
        #expect(answer.hasPrefix(status))
        #expect(answer.hasSuffix("up 1\n") == hasPage)
    }

    @Test func endlessRequestIsCutOff() throws {
        let answer = try exchange([UInt8](repeating: 0x41, count: 40_000))
        #expect(!answer.hasPrefix("HTTP/1.1 200"))
    }

    /// Sends bytes to a fresh server's HTTP address and reads until it closes.
    private func exchange(_ request: [UInt8]) throws -> String {
        let loop = try EventLoop()
        defer { loop.close() }
        let registry = registry()
        let server = AdminServer(loop: loop, registry: registry, logger: Logger("", sink: nil))
        let path = "/tmp/tandem-admin-\(ProcessLimits.processID)-\(RandomBytes.seed()).sock"
        try server.listen(socketPath: path)
        let endpoint = try server.listen(http: Endpoint(address: .v4(.loopback), port: 0))
        defer { server.stop() }
        let client = Client(
            socket: try StreamSocket.connect(to: endpoint), request: request, loop: loop)
        try client.start()
        #expect(loop.run(until: Clock.now() + .seconds(5)) { client.isFinished })
        return String(decoding: client.answer, as: UTF8.self)
    }
}

/// Sends everything, then reads to the end.
private final class Client: EventHandler {
    private let socket: FileDescriptor
    private let loop: EventLoop
    private var request: [UInt8]
    private(set) var answer: [UInt8] = []
    private(set) var isFinished = false
    private var source: EventSource?

    init(socket: consuming FileDescriptor, request: [UInt8], loop: EventLoop) {
        self.socket = socket
        self.request = request
        self.loop = loop
    }

    func start() throws {
        source = try loop.add(socket, [.readable, .writable], handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        do {
            if !request.isEmpty, events.contains(.writable) {
                if case .bytes(let count) = try StreamSocket.send(socket, request) {
                    request.removeFirst(count)
                }
                if request.isEmpty { try loop.modify(source, of: socket, .readable) }
            }
            guard let piece = try socket.read(upTo: 65_536) else { return }
            answer += piece
            if piece.isEmpty { finish() }
        } catch {
            finish()
        }
    }

    private func finish() {
        if let source { loop.remove(source, of: socket) }
        source = nil
        isFinished = true
    }
}
