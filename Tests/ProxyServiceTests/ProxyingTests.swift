// SPDX-License-Identifier: Apache-2.0
//
// Plain proxying over real sockets: persistence on both sides, rewriting, routing, framing of
// every kind, and what is refused.

import ConfigurationCore
import LinuxIO
import ProxyService
import Telemetry
import Testing
import WireCore

@Suite(.serialized)
struct ProxyingTests {
    @Test func connectionsLiveOnBothSides() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("hello") }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<5 {
            let response = try client.exchange("/path?query")
            #expect(response.status == 200)
            #expect(response.text == "hello")
            #expect(response.field("connection") == nil)
        }
        #expect(backend.log.connectionCount == 1)
        #expect(backend.log.requests.map(\.number) == [0, 1, 2, 3, 4])
        #expect(tandem.listener.requests == 5)
        #expect(tandem.listener.responses.success == 5)
        #expect(tandem.backend(0).requests == 5)
        #expect(tandem.backend(0).latencyCount == 5)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func identityFieldsAreOursAndHopByHopFieldsStay() throws {
        let backend = try TestBackend { _ in
            [
                .text(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n"
                        + "Connection: X-Secret\r\nX-Secret: 1\r\nX-Kept: 2\r\n\r\nok")
            ]
        }
        let tandem = try TestPlane([backend.endpoint])
        let response = try tandem.client().exchange(
            "/a",
            fields: "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nConnection: X-Drop\r\n"
                + "X-Drop: 1\r\nX-Stay: 2\r\nUpgrade: websocket\r\nProxy: evil\r\n")
        let request = try #require(backend.log.requests.first)
        #expect(request.field("x-forwarded-for") == "127.0.0.1")
        #expect(request.field("x-forwarded-proto") == "http")
        #expect(request.field("x-forwarded-host") == "test")
        #expect(request.field("host") == "test")
        #expect(request.field("x-real-ip") == nil)
        #expect(request.field("x-drop") == nil)
        #expect(request.field("upgrade") == nil)
        #expect(request.field("proxy") == nil)
        #expect(request.field("x-stay") == "2")
        #expect(response.field("x-secret") == nil)
        #expect(response.field("keep-alive") == nil)
        #expect(response.field("x-kept") == "2")
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        let backend = try TestBackend { request in
            // The first is the slowest.
            let wait = request.target == "/0" ? TimeSpan.milliseconds(50) : .zero
            return [.wait(wait)] + ReplyStep.ok(request.target)
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        var text = ""
        for index in 0..<20 {
            let body = index % 3 == 1 ? "body\(index)" : ""
            text += "POST /\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n"
            text += "\r\n\(body)"
        }
        try client.send(text)
        for index in 0..<20 { #expect(try client.response().text == "/\(index)") }
        #expect(backend.log.requests[4].body == Array("body4".utf8))
    }

    @Test func headsArriveWholeHoweverTheyAreCut() throws {
        let backend = try TestBackend { request in
            let reply = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".utf8)
            return reply.flatMap { [.send([$0]), .wait(.microseconds(1))] }
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for byte in Array("GET /cut HTTP/1.1\r\nHost: test\r\nX-A: b\r\n\r\n".utf8) {
            try client.send([byte])
        }
        #expect(try client.response().text == "ok")
        #expect(backend.log.requests.first?.target == "/cut")
    }

    @Test(arguments: [1, 2, 3, 7, 16, 33])
    func chunkedRequestBodiesAreFramedAnew(pieceByteCount: Int) throws {
        let backend = try TestBackend { request in
            ReplyStep.ok(String(decoding: request.body, as: UTF8.self))
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        let message = Array(
            ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3;ext=\"v\"\r\nabc\r\n00000a\r\n0123456789\r\n1\r\n-\r\n0\r\nTrailer: t\r\n\r\n"
                + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n").utf8)
        for start in stride(from: 0, to: message.count, by: pieceByteCount) {
            try client.send(Array(message[start..<min(start + pieceByteCount, message.count)]))
        }
        #expect(try client.response().text == "abc0123456789-")
        #expect(try client.response().status == 200)
        let request = try #require(backend.log.requests.first)
        #expect(request.field("transfer-encoding") == "chunked")
        #expect(request.field("content-length") == nil)
        #expect(!request.head.contains("Trailer"))
        #expect(backend.log.connectionCount == 1)
    }

    @Test func chunkedResponsesAreFramedAnew() throws {
        let wire = Array(
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n").utf8)
        let backend = try TestBackend { request in
            guard request.target == "/bytewise" else { return [.send(wire)] }
            return wire.flatMap { [.send([$0]), .wait(.microseconds(1))] }
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for target in ["/whole", "/bytewise", "/whole"] {
            let response = try client.exchange(target)
            #expect(response.text == "hello world")
            #expect(response.field("transfer-encoding") == "chunked")
        }
        #expect(backend.log.connectionCount == 1)
        // HTTP/1.0 knows no chunks (RFC 9112 §7.1).
        let old = try tandem.client()
        try old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        let response = try old.response()
        #expect(response.text == "hello world")
        #expect(response.field("transfer-encoding") == nil)
    }

    @Test func closeDelimitedResponsesGetAnEndThatCanBeSeen() throws {
        let backend = try TestBackend { _ in
            [
                .text("HTTP/1.0 200 OK\r\n\r\nuntil"), .wait(.milliseconds(5)), .text(" close"),
                .close,
            ]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<3 {
            let response = try client.exchange("/")
            #expect(response.field("transfer-encoding") == "chunked")
            #expect(response.text == "until close")
        }
        #expect(backend.log.connectionCount == 3)
    }

    @Test func http10ClientsKeepTheirConnectionOnlyWhenTheyAsk() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<2 {
            try client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            let response = try client.response()
            #expect(response.field("connection") == "keep-alive")
        }
        try client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        #expect(try client.response().field("connection") == "close")
        #expect(client.isClosedByPeer())
    }

    @Test func responsesWithoutBodyHaveNone() throws {
        let backend = try TestBackend { request in
            switch request.target {
            case "/204": [.text("HTTP/1.1 204 No Content\r\n\r\n")]
            case "/304": [.text("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")]
            default: [.text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")]
            }
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        #expect(try client.exchange("/204").status == 204)
        #expect(try client.exchange("/304").field("content-length") == "9")
        #expect(try client.exchange("/", method: "HEAD").field("content-length") == "1000")
        #expect(try client.exchange("/204").status == 204)
        #expect(backend.log.connectionCount == 1)
    }

    @Test func expectationsAreAnsweredByTheBackend() throws {
        let backend = try TestBackend(answersHead: true) { request in
            guard request.method == "POST" else { return [] }
            return [
                .text("HTTP/1.1 100 Continue\r\n\r\n"),
                .text("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"),
                .wait(.milliseconds(20)),
                .text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            ]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        #expect(try client.response(keepsInterim: true).status == 100)
        let hints = try client.response(keepsInterim: true)
        #expect(hints.status == 103)
        #expect(hints.field("link") == "<a>")
        try client.send("body")
        #expect(try client.response().text == "ok")
        #expect(backend.log.requests.first?.field("expect") == "100-continue")
    }

    @Test func routesMatchHostAndPathInOrder() throws {
        let names = ["api", "exact", "suffix"]
        let backends = try names.map { name in try TestBackend { _ in ReplyStep.ok(name) } }
        let pools = zip(names, backends).map { TestPlane.pool($0, [$1.endpoint]) }
        let tandem = try TestPlane(
            routes: [
                RouteConfiguration(host: nil, pathPrefix: "/api/", pool: "api"),
                RouteConfiguration(host: "www.example.org", pathPrefix: nil, pool: "exact"),
                RouteConfiguration(host: "*.example.org", pathPrefix: "/deep", pool: "suffix"),
            ], pools: pools)
        let client = try tandem.client()
        func ask(_ host: String, _ path: String) throws -> String {
            try client.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            let response = try client.response()
            return response.status == 200 ? response.text : "\(response.status)"
        }
        #expect(try ask("anything", "/api/x") == "api")
        #expect(try ask("www.example.org", "/api/x") == "api")
        #expect(try ask("WWW.Example.ORG:80", "/") == "exact")
        #expect(try ask("a.b.example.org", "/deep/er") == "suffix")
        #expect(try ask("a.b.example.org", "/deeper") == "404")
        #expect(try ask("example.org", "/deep") == "404")
        #expect(try ask("other", "/apix") == "404")
        // A 404 is an answer like any other: the connection lives.
        #expect(try ask("www.example.org", "/") == "exact")
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
                + "\r\n0\r\n\r\n", 400
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\nabcd\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ])
    func requestsThatBreakARuleAreRefusedAndTheConnectionCloses(
        message: String, status: Int
    ) throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        // What follows must never be taken for a request.
        try client.send(message + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        let response = try client.response()
        #expect(response.status == status)
        #expect(response.field("connection") == "close")
        client.finishSending()
        #expect(client.isClosedByPeer())
        #expect(!backend.log.requests.contains { $0.target == "/smuggled" })
        #expect(tandem.listener.requests == 1)
    }

    @Test func headsBeyondTheLimitsAreRefused() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        let padding = String(repeating: "x", count: 50_000)
        #expect(try tandem.client().exchange("/", fields: "X-Large: \(padding)\r\n").status == 200)
        #expect(
            try tandem.client().exchange("/", fields: "X-Large: \(padding)\(padding)\r\n").status
                == 431)
        let many = String(repeating: "X-A: b\r\n", count: 120)
        #expect(try tandem.client().exchange("/", fields: many).status == 431)
        #expect(try tandem.client().exchange("/\(padding)").status == 414)
        let faults = tandem.plane.statistics().requestFaults
        #expect(faults.map(\.count).reduce(0, +) == 3)
    }

    @Test(arguments: [1_000, 8_000, 30_000, 63_000])
    func longHostsNeverHarmTheWorker(byteCount: Int) throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        let host = String(repeating: "a", count: byteCount)
        let chunk = String(repeating: "b", count: 200_000)
        try client.send(
            "POST / HTTP/1.1\r\nHost: \(host)\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "30d40\r\n\(chunk)\r\n0\r\n\r\n")
        let status = try client.response().status
        #expect(status == 200 || status == 400)
        #expect(try tandem.client().exchange("/").status == 200)
    }

    @Test func metricsNameListenersAndBackends() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        _ = try tandem.client().exchange("/")
        var text = MetricsText()
        tandem.plane.collect(into: &text)
        let lines = text.rendered.split(separator: "\n")
        #expect(lines.contains("tandem_listener_requests_total{listener=\"web\"} 1"))
        #expect(
            lines.contains("tandem_backend_requests_total{pool=\"web\",backend=\"be0\"} 1"))
        #expect(lines.contains("tandem_workers 1"))
    }
}
