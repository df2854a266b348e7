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
