// SPDX-License-Identifier: Apache-2.0
//
// Trailers through the data plane: which go on, to whom, and that framing never does.

import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct TrailerForwardingTests {
    private static let response =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        + "5\r\nhello\r\n0\r\nX-Sum: 42\r\nContent-Length: 9\r\nX-Two: b\r\n\r\n"

    /// Everything up to the end of a chunked body with trailers.
    private func wire(_ client: TestClient, until end: String) throws -> String {
        while !String(decoding: client.received, as: UTF8.self).hasSuffix(end) {
            guard try client.receiveSome() else { break }
        }
        return String(decoding: client.received, as: UTF8.self)
    }

    @Test func responseTrailersReachAClientThatTakesThem() throws {
        let backend = try TestBackend { _ in [.text(Self.response)] }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, keep-alive\r\n\r\n")
        let text = try wire(client, until: "X-Two: b\r\n\r\n")
        #expect(text.contains("Trailer: X-Sum\r\n"))
        #expect(text.hasSuffix("5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-Two: b\r\n\r\n"))
        #expect(backend.log.requests.first?.field("te") == "trailers")
        #expect(eventually { tandem.plane.statistics().bufferByteCount == 0 })
    }

    @Test func trailersInPiecesArriveWhole() throws {
        let pieces = Self.response.utf8.map { [ReplyStep.send([$0]), .wait(.milliseconds(1))] }
        let backend = try TestBackend { _ in pieces.flatMap { $0 } }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        let text = try wire(client, until: "X-Two: b\r\n\r\n")
        #expect(text.hasSuffix("\r\n0\r\nX-Sum: 42\r\nX-Two: b\r\n\r\n"))
    }

    @Test func trailersAreDroppedForOthers() throws {
        let backend = try TestBackend { _ in [.text(Self.response)] }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<2 {
            let response = try client.exchange("/")
            #expect(response.text == "hello")
            #expect(response.field("trailer") == nil)
        }
        #expect(backend.log.connectionCount == 1)
    }

    @Test func requestTrailersReachTheBackend() throws {
        let backend = try ManualBackend()
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                + "3\r\nabc\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n")
        let connection = try backend.accept()
        try client.send("X-Last: z\r\n\r\n")
        let text = try connection.take(until: "X-Last: z\r\n\r\n")
        #expect(text.contains("Trailer: X-Sum\r\n"))
        #expect(text.hasSuffix("3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Last: z\r\n\r\n"))
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try client.response().status == 200)
        // The connection is whole: the next request goes over it.
        try client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try connection.takeHead().hasPrefix("GET /next"))
    }

    @Test func trailersBeyondTheLimitEndTheConnection() throws {
        let line = "X-Long: \(String(repeating: "x", count: 1_000))\r\n"
        let backend = try TestBackend { _ in
            [
                .text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
                .wait(.milliseconds(20)), .text("0\r\n"),
            ] + (0..<20).map { _ in .text(line) }
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        #expect(client.isClosedByPeer())
        #expect(tandem.listener.truncatedResponses == 1)
        #expect(eventually { tandem.plane.statistics().bufferByteCount == 0 })
    }
}
