// SPDX-License-Identifier: Apache-2.0
//
// The test backend over loopback: what each path answers, framing, limits.

import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import DrillService

/// Sends bytes to a backend on one connection and collects what comes back.
private final class Exchange: EventHandler {
    let socket: FileDescriptor
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false
    private var pending: [UInt8]
    private var source: EventSource?
    private let loop: EventLoop

    init(_ text: String, to endpoint: Endpoint, on loop: EventLoop) throws {
        pending = Array(text.utf8)
        self.loop = loop
        socket = try StreamSocket.connect(to: endpoint)
        source = try loop.add(
            socket, [.readable, .writable, .edgeTriggered], handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while !pending.isEmpty, case .bytes(let count)? = try? StreamSocket.send(socket, pending) {
            pending.removeFirst(count)
        }
        do {
            while !hasEnded, let bytes = try socket.read(upTo: 65_536) {
                received += bytes
                hasEnded = bytes.isEmpty
            }
        } catch {
            hasEnded = true
        }
    }

    func close() {
        if let source { loop.remove(source, of: socket) }
        source = nil
    }
}

@Suite final class TestBackendTests {
    private let loop: EventLoop
    private let backend: TestBackend
    private let endpoint: Endpoint

    init() throws {
        loop = try EventLoop()
        let any = Endpoint(address: .v4(.loopback), port: 0)
        backend = try TestBackend(TestBackendOptions(listen: [any], name: "be1"), on: loop)
        endpoint = try #require(backend.endpoints.first)
    }

    deinit {
        loop.close()
    }

    /// Everything that comes back until `condition` holds or the other end closes.
    private func exchange(
        _ text: String, until condition: (String) -> Bool = { _ in false }
    ) throws -> String {
        let exchange = try Exchange(text, to: endpoint, on: loop)
        let done = loop.run(until: Clock.now() + .seconds(15)) {
            exchange.hasEnded || condition(String(decoding: exchange.received, as: UTF8.self))
        }
        #expect(done)
        exchange.close()
        return String(decoding: exchange.received, as: UTF8.self)
    }

    private func get(_ path: String) throws -> String {
        try exchange("GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    }

    @Test func namesItself() throws {
        #expect(
            try get("/") == """
                HTTP/1.1 200 OK\r\nServer: be1\r\nContent-Type: text/plain\r\n\
                Content-Length: 4\r\nConnection: close\r\n\r\nbe1\n
                """)
    }

    @Test func healthFollowsTheControlPath() throws {
        #expect(try get("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(try get("/control/health/fail").hasPrefix("HTTP/1.1 200 "))
        #expect(try get("/healthz").hasPrefix("HTTP/1.1 503 "))
        #expect(try get("/").hasPrefix("HTTP/1.1 200 "))
        #expect(try get("/control/health/ok").hasPrefix("HTTP/1.1 200 "))
        #expect(try get("/healthz").hasPrefix("HTTP/1.1 200 "))
    }

    @Test func bodiesHaveTheSizeThatWasAskedFor() throws {
        let text = try get("/bytes/300000")
        #expect(text.contains("Content-Length: 300000\r\n"))
        #expect(text.utf8.count { $0 == 0x78 } == 300_000 + "text/plain".utf8.count { $0 == 0x78 })
        let chunked = try get("/chunked/70000")
        #expect(chunked.contains("Transfer-Encoding: chunked\r\n"))
        #expect(chunked.hasSuffix("\r\n0\r\n\r\n"))
        #expect(chunked.contains("10000\r\nxxx"))
        #expect(chunked.contains("\r\n1170\r\nxxx"))
    }

    @Test func statusCodesAreAsAsked() throws {
        #expect(try get("/status/418").hasPrefix("HTTP/1.1 418 "))
        #expect(try get("/status/99").hasPrefix("HTTP/1.1 404 "))
        #expect(try get("/bytes/x").hasPrefix("HTTP/1.1 404 "))
        #expect(try get("/any/where?x").hasSuffix("be1 /any/where\n"))
    }

    @Test func echoReturnsHeadAndBodyOfEitherFraming() throws {
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        let counted = head + "Content-Length: 3\r\n\r\nabc"
        #expect(try exchange(counted).hasSuffix("\r\n\r\n" + counted))
        let chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
        #expect(
            try exchange(chunked + "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").hasSuffix(
                "\r\n\r\n" + chunked + "abc"))
    }

    @Test func echoOfTooMuchIsRefused() throws {
        let body = String(repeating: "y", count: BackendConnection.echoByteCountMax + 1)
        let text = try exchange(
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                + "Content-Length: \(body.count)\r\n\r\n" + body)
        #expect(text.hasPrefix("HTTP/1.1 413 "))
    }

    @Test func requestsOnOneConnectionAreAnsweredInOrder() throws {
        let text = try exchange(
            "GET /delay/30 HTTP/1.1\r\nHost: a\r\n\r\nGET /status/201 HTTP/1.1\r\nHost: a\r\n\r\n"
                + "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let lines = text.split(separator: "\r\n").filter { $0.contains("HTTP/1.1 ") }
        #expect(lines.map { $0.suffix(12).prefix(3) }.count == 3)
        #expect(text.contains("status 201"))
        #expect(text.hasSuffix("ok\n"))
    }

    @Test(arguments: [
        "\r\n\r\n\r\n", "GET\r\n\r\n", "GET / FTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nx\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
    func wrongRequestsAreAnswered400AndClosed(_ text: String) throws {
        #expect(try exchange(text).hasPrefix("HTTP/1.1 400 "))
    }

    @Test func tunnelsAreRefused() throws {
        #expect(
            try exchange("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").hasPrefix("HTTP/1.1 405 "))
    }

    @Test func headRequestGetsTheHeadAlone() throws {
        let text = try exchange("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(text.contains("Content-Length: 4\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test func expectationIsAnsweredBeforeTheBody() throws {
        let text = try exchange(
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n"
                + "Content-Length: 2\r\n\r\nab")
        #expect(text.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "))
    }

    @Test func oldVersionClosesUnlessAskedOtherwise() throws {
        #expect(try exchange("GET / HTTP/1.0\r\n\r\n").contains("Connection: close\r\n"))
        let kept = try exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") {
            $0.hasSuffix("be1\n")
        }
        #expect(!kept.contains("Connection: close"))
    }

    @Test func clientsThatLeaveAreForgotten() throws {
        _ = try exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n") { $0.hasSuffix("be1\n") }
        #expect(loop.run(until: Clock.now() + .seconds(5)) { backend.connectionCount == 0 })
    }
}
