// SPDX-License-Identifier: Apache-2.0
//
// Backends and clients that fail: what is retried, what is answered, what is cut off, and that a
// broken response never looks whole.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct FailureTests {
    @Test func refusedConnectIsRetriedOnAnotherBackend() throws {
        let backend = try TestBackend { request in
            ReplyStep.ok(String(decoding: request.body, as: UTF8.self))
        }
        let tandem = try TestPlane([try deadEndpoint(), backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<6 {
            #expect(try client.exchange("/", method: "POST", body: "body").text == "body")
        }
        #expect(tandem.backend(0).connectFailures > 0)
        #expect(tandem.backend(1).retries == tandem.backend(0).connectFailures)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
        #expect(eventually { tandem.backend(1).requestsInFlight == 0 })
    }

    @Test func allBackendsRefusingIs502AndTheConnectionLives() throws {
        let tandem = try TestPlane([try deadEndpoint(), try deadEndpoint()])
        let client = try tandem.client()
        for _ in 0..<3 {
            let response = try client.exchange("/")
            #expect(response.status == 502)
            #expect(response.text == "Bad Gateway\n")
        }
        #expect(tandem.backend(0).connectFailures == 3)
        #expect(tandem.backend(1).connectFailures == 3)
        #expect(tandem.listener.responses.serverError == 3)
    }

    @Test func noHealthyBackendIs503UntilOneReturns() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        tandem.plane.setBackendAvailability(pool: "web", backend: "be0", isUp: false)
        #expect(try client.exchange("/").status == 503)
        #expect(backend.log.connectionCount == 0)
        tandem.plane.setBackendAvailability(pool: "web", backend: "be0", isUp: true)
        #expect(try client.exchange("/").status == 200)
    }

    @Test func backendThatDoesNotAcceptIsAGatewayTimeout() throws {
        // A queue of one that is full: the kernel ignores further attempts.
        var options = StreamSocket.ListenOptions()
        options.backlog = 0
        let deaf = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0), options: options)
        let endpoint = try #require(try StreamSocket.localEndpoint(deaf))
        let first = try StreamSocket.connect(to: endpoint)
        let second = try StreamSocket.connect(to: endpoint)
        let tandem = try TestPlane(
            [endpoint], timeouts: TimeoutConfiguration(connect: .milliseconds(150)))
        #expect(try tandem.client().exchange("/").status == 504)
        #expect(tandem.backend(0).connectFailures == 1)
        _ = (first.rawValue, second.rawValue)
    }

    @Test func backendThatDoesNotAnswerIsAGatewayTimeout() throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(responseHead: .milliseconds(150)))
        let client = try tandem.client()
        #expect(try client.exchange("/").status == 504)
        #expect(eventually { backend.log.endedConnections == 1 })
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \u{0}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX",
    ])
    func responsesThatBreakARuleAre502(message: String) throws {
        let backend = try TestBackend { _ in [.text(message)] }
        let tandem = try TestPlane([backend.endpoint])
        #expect(try tandem.client().exchange("/").status == 502)
        #expect(eventually { backend.log.endedConnections == 1 })
        #expect(tandem.plane.statistics().responseFaults.map(\.count) == [1])
    }

    @Test func oversizedResponseHeadIs502() throws {
        let line = "X-Large: \(String(repeating: "x", count: 1_000))\r\n"
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + String(repeating: line, count: 90)
        let backend = try TestBackend { _ in [.text(head + "\r\n")] }
        let tandem = try TestPlane([backend.endpoint])
        #expect(try tandem.client().exchange("/").status == 502)
    }

    @Test func bytesBehindAResponseEndItsConnection() throws {
        // RFC 9112 §6.3: they must never be taken for the answer to someone else's request.
        let backend = try TestBackend { _ in
            [.text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<3 { #expect(try client.exchange("/").text == "ok") }
        #expect(backend.log.connectionCount == 3)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
    ])
    func backendDyingMidResponseIsVisible(message: String) throws {
        let backend = try TestBackend { _ in [.text(message), .close] }
        let tandem = try TestPlane([backend.endpoint])
        for version in ["1.0", "1.1"] {
            let client = try tandem.client()
            try client.send("GET / HTTP/\(version)\r\nHost: a\r\n\r\n")
            let outcome = Result { try client.response() }
            switch outcome {
            case .success(let response): Issue.record("looked whole: \(response.text)")
            case .failure: break
            }
        }
        #expect(tandem.listener.truncatedResponses == 2)
    }

    @Test func reusedConnectionThatJustClosesIsReplacedUnseen() throws {
        // The second request on a connection meets a backend that gives up on it.
        let backend = try TestBackend { request in
            request.number == 0 ? ReplyStep.ok("fresh") : [.close]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<4 { #expect(try client.exchange("/").text == "fresh") }
        #expect(try client.exchange("/", method: "PUT", body: "small").text == "fresh")
        #expect(tandem.backend(0).replays == 4)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func requestThatMustNotBeSentTwiceIsNot() throws {
        let backend = try TestBackend { request in
            request.number == 0 ? ReplyStep.ok("fresh") : [.close]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        #expect(try client.exchange("/").text == "fresh")
        #expect(try client.exchange("/", method: "POST", body: "pay").status == 502)
        #expect(backend.log.requests.filter { $0.method == "POST" }.count == 1)
        // A fresh connection that breaks is no race at all.
        let broken = try TestBackend { _ in [.reset] }
        let other = try TestPlane([broken.endpoint])
        #expect(
            try other.client().exchange("/", method: "POST", body: "pay").status == 502)
        #expect(broken.log.requests.count == 1)
    }

    @Test func freshConnectionThatBreaksSendsTheRequestElsewhereOnce() throws {
        let broken = try TestBackend { request in
            request.number % 2 == 0 ? [.close] : [.reset]
        }
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([broken.endpoint, backend.endpoint])
        for _ in 0..<6 { #expect(try tandem.client().exchange("/").text == "ok") }
        let count = broken.log.requests.count
        #expect(count >= 2)
        #expect(tandem.backend(0).failures == UInt64(count))
        #expect(tandem.backend(1).retries == UInt64(count))
        // What a backend may have begun to act on is not sent twice.
        var statuses: Set<Int> = []
        for _ in 0..<4 {
            let response = try tandem.client().exchange("/", method: "POST", body: "pay")
            statuses.insert(response.status)
        }
        #expect(statuses == [200, 502])
        #expect(
            broken.log.requests.count + backend.log.requests.count
                == count + 6 + 4)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func whatCameOfABrokenResponseArrives() throws {
        // A reset, which unread bytes of the client would cause, could overtake it.
        let half = String(repeating: "h", count: 50_000)
        let backend = try TestBackend { _ in
            [.text("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n\(half)"), .close]
        }
        let tandem = try TestPlane([backend.endpoint])
        for _ in 0..<20 {
            let client = try tandem.client()
            let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            try client.send(request + request)
            while try client.receiveSome() {}
            #expect(client.received.count > 50_000)
        }
    }

    @Test func clientThatEndsSendingGetsItsResponse() throws {
        let backend = try TestBackend { request in
            [.wait(.milliseconds(60))] + ReplyStep.ok(request.target)
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        let request = "HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send("GET /first \(request)GET /second \(request)")
        client.finishSending()
        #expect(try client.response().text == "/first")
        #expect(try client.response().text == "/second")
        #expect(client.isClosedByPeer())
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
    }

    @Test func idleUpstreamConnectionThatEndsIsNotUsed() throws {
        let backend = try TestBackend { _ in
            ReplyStep.ok("ok") + [.wait(.milliseconds(1)), .close]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        for turn in 1...3 {
            #expect(try client.exchange("/", method: "POST", body: "x").text == "ok")
            #expect(eventually { backend.log.endedConnections == turn })
        }
        #expect(eventually { tandem.backend(0).idleConnections == 0 })
        #expect(tandem.backend(0).replays == 0)
        #expect(backend.log.connectionCount == 3)
    }

    @Test func earlyResponseIsRelayedAndTheConnectionCloses() throws {
        let backend = try TestBackend(answersHead: true) { _ in
            [.text("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart")
        let response = try client.response()
        #expect(response.status == 413)
        #expect(response.text == "big")
        #expect(response.field("connection") == "close")
        client.finishSending()
        #expect(client.isClosedByPeer())
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
    }

    @Test func clientThatLeavesMidBodyTakesItsUpstreamConnectionAlong() throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane([backend.endpoint])
        do {
            let client = try tandem.client()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
            #expect(eventually { backend.log.connectionCount == 1 })
            #expect(eventually { tandem.backend(0).requestsInFlight == 1 })
        }
        #expect(eventually { backend.log.brokenRequests == 1 })
        #expect(tandem.listener.clientAborts == 1)
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
    }

    @Test func slowHeadIsCutOffWithoutHarmToOthers() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane(
            [backend.endpoint],
            timeouts: TimeoutConfiguration(
                requestHead: .milliseconds(200), keepAlive: .milliseconds(200)))
        let slow = try tandem.client()
        try slow.send("GET / HTTP/1.1\r\nHost:")
        let silent = try tandem.client()
        let other = try tandem.client()
        #expect(try other.exchange("/").status == 200)
        let response = try slow.response()
        #expect(response.status == 408)
        #expect(slow.isClosedByPeer())
        #expect(silent.isClosedByPeer())
        #expect(silent.received.isEmpty)
        // An idle connection ends without a word.
        #expect(other.isClosedByPeer())
        #expect(other.received.isEmpty)
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
    }

    @Test func slowBodyIsCutOff() throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(bodyIdle: .milliseconds(200)))
        let client = try tandem.client()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        #expect(try client.response().status == 408)
        #expect(eventually { backend.log.brokenRequests == 1 })
        #expect(tandem.listener.clientTimeouts == 1)
    }

    @Test func clientThatDoesNotReadIsCutOff() throws {
        let backend = try TestBackend { _ in
            [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"),
                .fill(byteCount: 1 << 26),
            ]
        }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(bodyIdle: .milliseconds(300)))
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { tandem.listener.clientTimeouts == 1 })
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(eventually { backend.log.endedConnections == 1 })
        _ = client
    }

    @Test func stalledResponseIsCutOff() throws {
        let backend = try TestBackend { _ in
            [.text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")]
        }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(streamIdle: .milliseconds(200)))
        let client = try tandem.client()
        #expect(throws: (any Error).self) { try client.exchange("/") }
        #expect(tandem.listener.truncatedResponses == 1)
    }
}
