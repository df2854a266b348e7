// SPDX-License-Identifier: Apache-2.0
//
// Connections to backends between requests: what is used again, by whom, for how long, and what
// never is.

import ConfigurationCore
import LinuxIO
import ProxyService
import Synchronization
import Testing
import WireCore

@Suite(.serialized)
struct UpstreamPoolTests {
    @Test func workersShareWhatTheyDoNotNeed() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint], workers: 4)
        for _ in 0..<60 {
            #expect(try tandem.client().exchange("/").text == "ok")
            _ = eventually(within: .milliseconds(50)) { false }
        }
        // One for each worker would be four.
        #expect(backend.log.connectionCount <= 2)
        #expect(tandem.backend(0).requests == 60)
    }

    @Test func takenConnectionLeavesTheCountsOfItsFormerOwner() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint], workers: 4)
        for _ in 0..<20 {
            #expect(try tandem.client().exchange("/").text == "ok")
            _ = eventually(within: .milliseconds(45)) { false }
        }
        let open = UInt64(backend.log.connectionCount - backend.log.endedConnections)
        #expect(eventually { tandem.backend(0).idleConnections == open })
        // The end of what is offered is noticed, whoever has it.
        tandem.plane.stop()
        #expect(eventually { backend.log.endedConnections == backend.log.connectionCount })
    }

    @Test func offeredConnectionThatEndsIsClosed() throws {
        let backend = try ManualBackend()
        let tandem = try TestPlane([backend.endpoint], workers: 2)
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try backend.accept()
        _ = try connection.takeHead()
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try client.response().status == 200)
        _ = eventually(within: .milliseconds(200)) { false }
        #expect(tandem.backend(0).idleConnections == 1)
        connection.finishSending()
        #expect(connection.isClosedByPeer())
        #expect(tandem.backend(0).idleConnections == 0)
    }

    @Test func manyWorkersUnderLoadNeverMixAnswers() throws {
        let backend = try TestBackend { request in ReplyStep.ok(request.target) }
        let tandem = try TestPlane([backend.endpoint], workers: 4)
        let wrong = Atomic<Int>(0)
        let answered = Atomic<Int>(0)
        let endpoint = tandem.endpoint
        let threads = try (0..<4).map { thread in
            try KernelThread.start(name: "load") {
                var generator = SeededGenerator(seed: UInt64(thread))
                for turn in 0..<120 {
                    guard let client = try? TestClient(endpoint) else { continue }
                    for step in 0..<Int(generator.next() % 4) {
                        let target = "/\(thread)/\(turn)/\(step)"
                        guard let response = try? client.exchange(target) else {
                            wrong.add(1, ordering: .relaxed)
                            break
                        }
                        if response.text != target { wrong.add(1, ordering: .relaxed) }
                        answered.add(1, ordering: .relaxed)
                    }
                    // Some pauses are as long as it takes to offer, some shorter.
                    let pause = generator.next() % 4 * 12
                    _ = eventually(within: .milliseconds(pause)) { false }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(answered.load(ordering: .relaxed) > 300)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func connectionLeavesBeforeTheBackendEndsIt() throws {
        let backend = try TestBackend { _ in
            [.text("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok")]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        #expect(try client.exchange("/").text == "ok")
        #expect(eventually { tandem.backend(0).idleConnections == 1 })
        let began = Clock.now()
        #expect(eventually { backend.log.endedConnections == 1 })
        #expect(Clock.now() - began < .seconds(5))
    }

    /// What tells that a backend ended a connection before it saw a byte of a request.
    @Test func endThatCrossesARequestLeavesItUnacknowledged() throws {
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let bound = try #require(try StreamSocket.localEndpoint(listener))
        for doesReadFirst in [false, true] {
            let ours = try StreamSocket.connect(to: bound)
            var accepted: SocketBox?
            #expect(
                try eventually {
                    guard let connection = try StreamSocket.accept(from: listener) else {
                        return false
                    }
                    accepted = SocketBox(connection.takeSocket())
                    return true
                })
            if doesReadFirst {
                _ = try StreamSocket.send(ours, Array("request".utf8))
                #expect(
                    try eventually {
                        try accepted?.descriptor.read(upTo: 100)?.isEmpty == false
                    })
                accepted = nil
            } else {
                accepted = nil
                #expect(eventually { !SocketTransfer.isQuiet(ours) })
                _ = try StreamSocket.send(ours, Array("request".utf8))
            }
            // The end is read as an end, although a reset came behind it.
            #expect(try eventually { try ours.read(upTo: 100)?.isEmpty ?? false })
            #expect(SocketTransfer.unacknowledgedByteCount(ours) == (doesReadFirst ? 0 : 7))
        }
    }

    /// What a backend sends behind an answer without a body is never the next answer.
    ///
    /// RFC 9112 §6.3. Method: a large download keeps the worker busy, so that
    /// the stray bytes and the end of the next request come to it together, the request's
    /// beginning first.
    @Test(arguments: ["HEAD 200", "GET 204", "GET 304"])
    func strayBodyIsNeverTheNextAnswer(kind: String) throws {
        let words = kind.split(separator: " ")
        let method = String(words[0])
        let backend = try ManualBackend()
        let bulk = try TestBackend { _ in
            [.text("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")]
                + [.fill(byteCount: 1_000_000_000)]
        }
        let tandem = try TestPlane(
            routes: [
                RouteConfiguration(host: nil, pathPrefix: "/bulk", pool: "bulk"),
                RouteConfiguration(host: nil, pathPrefix: nil, pool: "web"),
            ],
            pools: [
                TestPlane.pool("web", [backend.endpoint]),
                TestPlane.pool("bulk", [bulk.endpoint]),
            ])
        let endpoint = tandem.endpoint
        let isOver = Atomic<Bool>(false)
        let download = try KernelThread.start(name: "bulk") {
            guard let client = try? TestClient(endpoint) else { return }
            try? client.send("GET /bulk HTTP/1.1\r\nHost: a\r\n\r\n")
            while !isOver.load(ordering: .relaxed) {
                _ = try? client.discardSome(upTo: 1_000_000)
            }
        }
        defer {
            isOver.store(true, ordering: .relaxed)
            download.join()
        }
        let client = try tandem.client()
        for _ in 0..<20 {
            try client.send("\(method) /first HTTP/1.1\r\nHost: a\r\n\r\n")
            let first = try backend.accept()
            _ = try first.takeHead()
            try first.send("HTTP/1.1 \(words[1]) OK\r\nETag: x\r\n\r\n")
            _ = try client.response(to: "HEAD")
            #expect(eventually { tandem.backend(0).idleConnections == 1 })
            try client.send("GET /second HTTP/1.1\r\n")
            try first.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            try client.send("Host: a\r\n\r\n")
            let second = try backend.accept()
            #expect(try second.takeHead().hasPrefix("GET /second"))
            try second.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nright")
            #expect(try client.response().text == "right")
            #expect(first.isClosedByPeer())
        }
    }
}
