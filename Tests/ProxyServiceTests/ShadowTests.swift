// SPDX-License-Identifier: Apache-2.0
//
// Goal: the other node knows of every answer before the client has all of it, and of a request that
// must not be repeated before a backend hears of it; the numbers it gets are those of the client's
// own socket. Method: a data plane on loopback whose channel ends in the test; when a client has
// its answer, what was told is looked at without waiting.

import ConfigurationCore
import LinuxIO
import ProxyService
import ReplicationCore
import Synchronization
import Testing
import WireCore

@Suite(.serialized, .enabled(if: ConnectionRepair.isPermitted()))
struct ShadowTests {
    /// What backends answer, by target.
    static func reply(_ request: ReceivedRequest) -> [ReplyStep] {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        switch request.target {
        case "/empty": return [.text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
        case "/no-content": return [.text("HTTP/1.1 204 No Content\r\n\r\n")]
        case "/not-modified": return [.text("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")]
        case "/chunked": return [.text(chunked + "5\r\nhello\r\n0\r\n\r\n")]
        case "/slow-chunks":
            return [
                .text(chunked + "5\r\nhel"), .wait(.milliseconds(5)), .text("lo\r\n"),
                .wait(.milliseconds(5)), .text("0\r"), .wait(.milliseconds(5)), .text("\n\r\n"),
            ]
        case "/trailers":
            return [.text(chunked + "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n")]
        case "/until-close": return [.text("HTTP/1.1 200 OK\r\n\r\nall of it"), .close]
        case "/late-length":
            return [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"), .wait(.milliseconds(5)),
                .text("abc"), .wait(.milliseconds(5)), .text("def"),
            ]
        case "/large":
            return [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"),
                .fill(byteCount: 3_000_000),
            ]
        case "/large-chunk":
            return [
                .text(chunked + "f4240\r\n"), .fill(byteCount: 1_000_000),
                .text("\r\n0\r\n\r\n"),
            ]
        case "/medium":
            return [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n"),
                .fill(byteCount: 16_000),
            ]
        case "/interim":
            return [.text("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")]
                + ReplyStep.ok("after")
        case "/slow": return [.wait(.milliseconds(70))] + ReplyStep.ok("slow")
        default: return ReplyStep.ok("hello")
        }
    }

    private func plane(_ level: CarryOver = .requests) throws -> (ShadowPlane, TestBackend) {
        let backend = try TestBackend(Self.reply)
        return (try ShadowPlane([backend.endpoint], level: level), backend)
    }

    @Test func anAcceptedConnectionIsToldWithTheNumbersOfItsSocket() throws {
        let (tandem, backend) = try plane(.idle)
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        let own = try client.transport()
        let records = tandem.receiver.records(ofPort: client.localPort)
        guard case .opened(let key, let level, let transport, let named) = records.first else {
            Issue.record("\(records)")
            return
        }
        #expect(records.count == 1 && level == .idle && named == nil)
        #expect(key.localPort == tandem.endpoint.port && key.remotePort == client.localPort)
        #expect(transport.receiveSequence == own.sendSequence)
        #expect(transport.sendSequence == own.receiveSequence)
        #expect(transport.options == own.options)
        #expect(tandem.receiver.heard().faults.isEmpty)
        #expect(tandem.plane.shadowStatistics.open == 1)
    }

    @Test(arguments: [
        "/", "/empty", "/no-content", "/not-modified", "/chunked", "/slow-chunks", "/until-close",
        "/late-length", "/large", "/large-chunk", "/medium", "/interim", "/slow",
    ])
    func theEndOfAnAnswerIsToldBeforeTheClientHasIt(target: String) throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        for _ in 0..<3 {
            let response = try client.exchange(target)
            let last = tandem.last(client)
            #expect(response.status >= 200)
            #expect(try last == tandem.answered(client))
        }
        #expect(tandem.receiver.heard().faults.isEmpty)
        #expect(tandem.plane.shadowStatistics.heldAnswers == 3)
    }

    @Test func answersWithTrailersAreToldBeforeTheyEnd() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        try client.send("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")
        while !client.shown.hasSuffix("X-Sum: 1\r\n\r\n") { try client.receiveSome() }
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    @Test func answersToHeadAreToldBeforeTheyEnd() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        for _ in 0..<3 {
            _ = try client.exchange("/large", method: "HEAD")
            #expect(try tandem.last(client) == tandem.answered(client))
        }
    }

    @Test(arguments: [CarryOver.idle, .requests])
    func aRequestThatMayBeRepeatedIsToldWithItsHead(level: CarryOver) throws {
        let (tandem, backend) = try plane(level)
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        let start = try client.transport().sendSequence
        let head = "GET /a HTTP/1.1\r\nHost: test\r\n\r\n"
        try client.send(head)
        _ = try client.response()
        let records = tandem.receiver.records(ofPort: client.localPort)
        let told: ShadowRecord =
            level == .idle
            ? .busy
            : .asked(
                receiveSequence: start &+ UInt32(head.utf8.count), head: Array(head.utf8))
        #expect(records.count == 3 && records.dropFirst().first == told)
        #expect(tandem.plane.shadowStatistics.heldRequests == 0)
    }

    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PATCH / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
    ])
    func aBackendHearsAfterTheOtherNodeOfWhatMustNotBeRepeated(request: String) throws {
        let source = Mutex<(receiver: ShadowReceiver, port: UInt16)?>(nil)
        let heard = Mutex<[ShadowRecord]>([])
        let backend = try TestBackend(answersHead: true) { _ in
            let now = source.withLock { $0?.receiver.records(ofPort: $0?.port) ?? [] }
            heard.withLock { $0 = now }
            return ReplyStep.ok("done")
        }
        for level in [CarryOver.idle, .requests] {
            let tandem = try ShadowPlane([backend.endpoint], level: level)
            let client = try tandem.knownClient()
            source.withLock { $0 = (tandem.receiver, client.localPort ?? 0) }
            for number in 1...3 {
                try client.send(request)
                _ = try client.response()
                let seen = heard.withLock { $0 }
                #expect(seen.last == .busy && seen.count == 2 * number)
                let isAnswered = try tandem.last(client) == tandem.answered(client)
                #expect(isAnswered)
            }
            #expect(tandem.plane.shadowStatistics.heldRequests == 3)
            source.withLock { $0 = nil }
        }
    }

    @Test func whatCannotBeIssuedAgainIsBusy() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        let long = "X-Long: \(String(repeating: "l", count: 9_000))\r\n"
        let fields = [long, "Connection: upgrade\r\nUpgrade: h2c\r\n"]
        for (index, fields) in fields.enumerated() {
            _ = try client.exchange("/", fields: fields)
            let records = tandem.receiver.records(ofPort: client.localPort)
            #expect(records.count == 3 + 2 * index)
            #expect(records.dropLast().last == .busy)
            #expect(try records.last == tandem.answered(client))
        }
        #expect(tandem.plane.shadowStatistics.longHeads == 1)
    }

    @Test func aHeadThatIsNotCompleteIsBusyUntilItIs() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        try client.send("GET / HT")
        #expect(eventually { tandem.last(client) == .busy })
        try client.send("TP/1.1\r\nHost: a\r\n\r\n")
        _ = try client.response()
        let kinds = tandem.receiver.records(ofPort: client.localPort).map(\.kind)
        #expect(kinds == [.opened, .busy, .asked, .answered])
    }

    @Test func pipelinedRequestsAreToldOneByOne() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        let start = try client.transport()
        let head = "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(String(repeating: head, count: 5))
        for _ in 0..<5 { _ = try client.response() }
        #expect(try tandem.last(client) == tandem.answered(client))
        let records = tandem.receiver.records(ofPort: client.localPort).dropFirst()
        for (index, record) in records.enumerated() {
            let expected = start.sendSequence &+ UInt32((index / 2 + 1) * head.utf8.count)
            switch record {
            case .asked(let sequence, let bytes):
                #expect(sequence == expected && bytes == Array(head.utf8) && index % 2 == 0)
            case .answered(let sequence, _):
                #expect(sequence == expected && index % 2 == 1)
            default: Issue.record("\(record)")
            }
        }
        #expect(records.count == 10)
    }

    @Test func anAnswerThatEndsTheConnectionIsNotTold() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        _ = try client.exchange("/", fields: "Connection: close\r\n")
        #expect(client.isClosedByPeer())
        client.finishSending()
        #expect(eventually { tandem.last(client) != nil })
        let port = client.localPort
        #expect(
            eventually {
                tandem.receiver.records(ofPort: port).last
                    == .asked(
                        receiveSequence: 0, head: [])
                    || !tandem.receiver.heard().openPorts.contains(port ?? 0)
            })
        #expect(
            !tandem.receiver.records(ofPort: port).contains { $0.kind == .answered })
        #expect(tandem.plane.shadowStatistics.heldAnswers == 0)
    }

    @Test func answersOfOurOwnAreToldToo() throws {
        let backend = try TestBackend(Self.reply)
        let redirect = RedirectConfiguration(status: 308, path: "/elsewhere")
        let tandem = try ShadowPlane(
            [backend.endpoint], level: .requests,
            routes: [
                RouteConfiguration(
                    match: RouteMatch(path: .prefix("/old")), action: .redirect(redirect))
            ])
        let client = try tandem.knownClient()
        for _ in 0..<2 {
            #expect(try client.exchange("/old").status == 308)
            #expect(try tandem.last(client) == tandem.answered(client))
            #expect(try client.exchange("/old", method: "POST", body: "b").status == 308)
            // The rest of the body may have come after the answer: then it is told behind it.
            #expect(try eventually { try tandem.last(client) == tandem.answered(client) })
        }
    }

    @Test func aReaderThatIsSlowIsToldBeforeItHasRead() throws {
        let (tandem, backend) = try plane()
        defer { withExtendedLifetime(backend) {} }
        let client = try tandem.knownClient()
        try client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        let response = try client.response()
        #expect(response.body.count == 3_000_000)
        #expect(try tandem.last(client) == tandem.answered(client))
    }

    @Test func requestsAreAcknowledgedWithTheirAnswers() throws {
        let backend = try ManualBackend()
        let tandem = try ShadowPlane([backend.endpoint], level: .idle)
        let client = try tandem.knownClient()
        var connection: ManualConnection?
        for number in 0..<20 {
            try client.send("GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
            let connected = try connection ?? backend.accept()
            connection = connected
            _ = try connected.takeHead()
            #expect(client.unacknowledgedByteCount > 0, "request \(number)")
            // An acknowledgement that had to leave alone must not spoil the next request.
            if number % 5 == 4 {
                #expect(eventually { client.unacknowledgedByteCount == 0 })
            }
            try connected.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            _ = try client.response()
            #expect(client.unacknowledgedByteCount == 0)
        }
    }
}
