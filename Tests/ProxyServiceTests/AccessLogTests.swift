// SPDX-License-Identifier: Apache-2.0
//
// Goal: one line for each request and session, which says what happened and who ended it.
// Method: every kind of ending is brought about by a real backend or client on the loopback.

import AccessLogLaboratory
import ConfigurationCore
import Glibc
import LinuxIO
import ProxyService
import Telemetry
import Testing
import WireCore

@Suite(.serialized)
struct AccessLogTests {
    private func plane(
        _ backends: [Endpoint], _ file: AccessLogFile,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        limits: LimitConfiguration = LimitConfiguration()
    ) throws -> TestPlane {
        let tandem = try TestPlane(backends, timeouts: timeouts, limits: limits)
        try tandem.reload(accessLog: file.configuration)
        return tandem
    }

    /// Letters and status of the only request that `body` makes are `wanted`.
    private func expectEnding(
        _ wanted: String, of script: @escaping TestBackend.Script, answersHead: Bool = false,
        timeouts: TimeoutConfiguration = TimeoutConfiguration(),
        _ body: (TestPlane) throws -> Void
    ) throws {
        let file = AccessLogFile()
        let backend = try TestBackend(answersHead: answersHead, script)
        let tandem = try plane([backend.endpoint], file, timeouts: timeouts)
        try body(tandem)
        let line = try file.line()
        #expect("\(line["termination"] ?? "") \(line["status"] ?? "")" == wanted)
    }

    // MARK: What a line says

    @Test func lineSaysWhatHappened() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in
            [.wait(.milliseconds(30))] + ReplyStep.ok(String(repeating: "x", count: 1_000))
        }
        let tandem = try plane([backend.endpoint], file)
        let client = try tandem.client()
        let fields = "User-Agent: te\u{FF}st \"quoted\"\r\nReferer: http://here/\r\n"
        let head =
            "POST /a/b?q=1 HTTP/1.1\r\nHost: www.example.org:80\r\n\(fields)"
            + "Content-Length: 4\r\n\r\n"
        try client.send(head + "body")
        let first = try client.response(to: "POST")
        #expect(first.body.count == 1_000)
        _ = try client.exchange("/second")
        let lines = try file.lines(2)
        let line = lines[0]
        #expect(line["node"] == "test")
        #expect(line["listener"] == "web")
        #expect(line["client"] == "127.0.0.1")
        #expect((line["client_port"].flatMap { UInt16($0) } ?? 0) > 0)
        #expect(line["peer"] == nil)
        #expect(line["method"] == "POST")
        #expect(line["host"] == "www.example.org")
        #expect(line["target"] == "/a/b?q=1")
        #expect(line["protocol"] == "HTTP/1.1")
        #expect(line["user_agent"] == "te\u{FF}st \"quoted\"")
        #expect(line["referer"] == "http://here/")
        #expect(line["status"] == "200")
        #expect(line["bytes_received"] == "\(head.utf8.count + 4)")
        #expect(line["bytes_sent"] == "\(first.head.utf8.count + 1_000)")
        #expect(line["route"] == "0")
        #expect(line["pool"] == "web")
        #expect(line["backend"] == "be0")
        #expect(line["reused"] == "false")
        #expect(line["retries"] == "0")
        #expect(line["replays"] == "0")
        #expect(line["termination"] == "--")
        let response = line["response_us"].flatMap { UInt64($0) } ?? 0
        let total = line["total_us"].flatMap { UInt64($0) } ?? 0
        #expect(response >= 25_000)
        #expect(total >= response && total < 15_000_000)
        #expect(lines[1]["target"] == "/second")
        #expect(lines[1]["reused"] == "true")
        let sent = backend.log.requests.map { $0.field("x-request-id") }
        #expect(lines.map { $0["request_id"] } == sent)
        for (line, request) in zip(lines, backend.log.requests) {
            let trace = request.field("traceparent") ?? ""
            #expect(line["trace_id"].map { trace.hasPrefix("00-\($0)-") } == true)
        }
    }

    @Test func pipelinedRequestsCountTheirOwnBytes() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane([backend.endpoint], file)
        let client = try tandem.client()
        let messages = [
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /22 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "POST /333 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3\r\nabc\r\n0\r\n\r\n",
        ]
        try client.send(messages.joined())
        for _ in messages { #expect(try client.response().text == "ok") }
        let lines = try file.lines(3)
        #expect(lines.map { $0["bytes_received"] } == messages.map { "\($0.utf8.count)" })
        #expect(lines.map { $0["target"] } == ["/1", "/22", "/333"])
    }

    @Test func retriesAndReplaysAreCounted() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { request in
            ReplyStep.ok("ok") + (request.target == "/closes" ? [.close] : [])
        }
        let tandem = try plane([try deadEndpoint(), backend.endpoint], file)
        let client = try tandem.client()
        for _ in 0..<4 { #expect(try client.exchange("/").status == 200) }
        let lines = try file.lines(4)
        #expect(lines.contains { $0["retries"] == "1" })
        #expect(lines.allSatisfy { $0["backend"] == "be1" && $0["termination"] == "--" })
    }

    @Test func longAndHostileTargetsStayInTheirLine() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane([backend.endpoint], file)
        let client = try tandem.client()
        let long = "/" + String(repeating: "a", count: 8_000)
        _ = try client.exchange(long, fields: "User-Agent: \u{2028}\\\",\"status\":999\r\n")
        let line = try file.line()
        #expect(line["status"] == "200")
        #expect(line["user_agent"] == "\u{2028}\\\",\"status\":999")
        #expect(line["target"]?.hasSuffix("...") == true)
        #expect(file.texts[0].utf8.count <= AccessLogFormatter.lineByteCountMax)
    }

    @Test func reloadsOpenTheFileAgainAndSwitchTheLog() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane([backend.endpoint], file)
        let client = try tandem.client()
        _ = try client.exchange("/1")
        let first = try file.line()
        #expect(first["target"] == "/1")
        try tandem.reload(accessLog: nil)
        #expect(eventually { tandem.plane.statistics().openConnections == 1 })
        try tandem.reload(
            accessLog: AccessLogConfiguration(file: file.path, format: .common))
        #expect(
            eventually {
                _ = try? client.exchange("/common")
                return file.texts.contains { $0.contains("\"GET /common HTTP/1.1\" 200 2") }
            })
        #expect(throws: DataPlaneError.self) {
            try tandem.reload(accessLog: AccessLogConfiguration(file: "/nowhere/at/all"))
        }
        let count = file.texts.count
        _ = try client.exchange("/still")
        #expect(eventually { file.texts.count > count })
        try tandem.plane.reopenAccessLog()
    }

    /// Backends change while the file that is written to cannot be opened once more.
    @Test func aLogThatStaysTheSameKeepsNothingFromChanging() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane([backend.endpoint], file)
        let client = try tandem.client()
        _ = try client.exchange("/1")
        #expect(try file.line()["target"] == "/1")
        #expect(unlink(file.path) == 0)
        #expect(mkdir(file.path, 0o700) == 0)
        defer { rmdir(file.path) }
        #expect(throws: DataPlaneError.self) { try tandem.plane.reopenAccessLog() }
        try tandem.reload(accessLog: AccessLogConfiguration(file: file.path))
        _ = try client.exchange("/2")
    }

    @Test func logThatCannotBeOpenedKeepsTheNodeFromStarting() throws {
        let configuration = Configuration(
            workers: .exactly(1), pair: nil, listeners: [], pools: [],
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: TimeoutConfiguration(),
            accessLog: AccessLogConfiguration(file: "/nowhere/access.log"))
        let plane = try DataPlane(
            configuration: configuration, nodeName: "test", logger: Logger("proxy", sink: nil),
            descriptorLimit: 1_024)
        let error = DataPlaneError(problems: [
            "access_log.file: cannot open /nowhere/access.log: no such file or directory"
        ])
        #expect(throws: error) { try plane.start() }
    }

    // MARK: How requests end

    @Test func answersOfOurOwn() throws {
        let file = AccessLogFile()
        let http = HTTPListenerConfiguration(routes: [
            RouteConfiguration(
                match: RouteMatch(path: .prefix("/fixed")),
                action: .respond(
                    FixedResponseConfiguration(status: 503, contentType: "text/plain", body: "x"))),
            RouteConfiguration(
                match: RouteMatch(path: .prefix("/moved")),
                action: .redirect(RedirectConfiguration(scheme: "https"))),
        ])
        let tandem = try TestPlane(http: http, pools: [])
        try tandem.reload(accessLog: file.configuration)
        let client = try tandem.client()
        for target in ["/fixed", "/moved", "/none"] { _ = try client.exchange(target) }
        try client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        #expect(try client.response().status == 400)
        let lines = try file.lines(4)
        #expect(lines.map { $0["termination"] } == ["LR", "LR", "LR", "PR"])
        #expect(lines.map { $0["status"] } == ["503", "308", "404", "400"])
        #expect(lines.map { $0["route"] } == ["0", "1", nil, nil])
        #expect(lines[3]["target"] == nil)
        #expect(lines.allSatisfy { $0["backend"] == nil })
    }

    @Test func clientsThatDoNotFinishTheirHead() throws {
        let timeouts = TimeoutConfiguration(requestHead: .milliseconds(100))
        try expectEnding("cR 408", of: { _ in [] }, timeouts: timeouts) { tandem in
            let client = try tandem.client()
            try client.send("GET / HTTP/1.1\r\n")
            #expect(try client.response().status == 408)
        }
        try expectEnding("CR 0", of: { _ in [] }) { tandem in
            let client = try tandem.client()
            try client.send("GET / HT")
            client.finishSending()
            #expect(client.isClosedByPeer())
        }
    }

    @Test func connectionsWithoutRequestsHaveNoLine() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane([backend.endpoint], file)
        let silent = try tandem.client()
        silent.finishSending()
        #expect(silent.isClosedByPeer())
        _ = try tandem.client().exchange("/only")
        let only = try file.line()
        #expect(only["target"] == "/only")
    }

    @Test func backendsThatDoNotTakeTheRequest() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try plane([try deadEndpoint()], file)
        #expect(try tandem.client().exchange("/").status == 502)
        tandem.plane.setBackendAvailability(pool: "web", backend: "be0", isUp: false)
        #expect(try tandem.client().exchange("/").status == 503)
        let lines = try file.lines(2)
        #expect(lines.map { $0["termination"] } == ["SC", "SC"])
        #expect(lines.map { $0["backend"] } == ["be0", nil])
        _ = backend
    }

    @Test func backendThatDoesNotAccept() throws {
        let file = AccessLogFile()
        var options = StreamSocket.ListenOptions()
        options.backlog = 0
        let deaf = try StreamSocket.listen(
            on: Endpoint(address: .v4(.loopback), port: 0), options: options)
        let endpoint = try #require(try StreamSocket.localEndpoint(deaf))
        let first = try StreamSocket.connect(to: endpoint)
        let second = try StreamSocket.connect(to: endpoint)
        let tandem = try plane(
            [endpoint], file, timeouts: TimeoutConfiguration(connect: .milliseconds(150)))
        #expect(try tandem.client().exchange("/").status == 504)
        let line = try file.line()
        #expect(line["termination"] == "sC")
        #expect(line["connect_us"] == nil)
        _ = (first.rawValue, second.rawValue)
    }

    @Test func backendsThatDoNotAnswerProperly() throws {
        try expectEnding("SH 502", of: { _ in [.close] }) { tandem in
            let status = try tandem.client().exchange("/").status
            #expect(status == 502)
        }
        let timeouts = TimeoutConfiguration(responseHead: .milliseconds(100))
        try expectEnding("sH 504", of: { _ in [] }, timeouts: timeouts) { tandem in
            let status = try tandem.client().exchange("/").status
            #expect(status == 504)
        }
        try expectEnding("PH 502", of: { _ in [.text("nonsense\r\n\r\n")] }) { tandem in
            let status = try tandem.client().exchange("/").status
            #expect(status == 502)
        }
    }

    @Test func responsesThatBreakOff() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        try expectEnding("SD 200", of: { _ in [.text(head), .close] }) { tandem in
            let client = try tandem.client()
            #expect(throws: (any Error).self) { try client.exchange("/") }
        }
        let timeouts = TimeoutConfiguration(
            bodyIdle: .milliseconds(100), streamIdle: .milliseconds(100))
        try expectEnding("sD 200", of: { _ in [.text(head)] }, timeouts: timeouts) { tandem in
            let client = try tandem.client()
            #expect(throws: (any Error).self) { try client.exchange("/") }
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
        try expectEnding(
            "PD 200",
            of: { _ in
                [.text(chunked), .wait(.milliseconds(30)), .text("no chunk\r\n")]
            }
        ) { tandem in
            let client = try tandem.client()
            #expect(throws: (any Error).self) { try client.exchange("/") }
        }
    }

    @Test func clientsThatLeave() throws {
        try expectEnding("CH 0", of: { _ in [] }) { tandem in
            do {
                let client = try tandem.client()
                try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(eventually { tandem.backend(0).connections == 1 })
                client.resetOnClose()
            }
            #expect(eventually { tandem.listener.clientAborts == 1 })
        }
        let endless: TestBackend.Script = { _ in
            [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"),
                .fill(byteCount: 100_000_000),
            ]
        }
        try expectEnding("CD 200", of: endless) { tandem in
            do {
                let client = try tandem.client()
                try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try client.discardSome(upTo: 100)
                client.resetOnClose()
            }
            #expect(eventually { tandem.listener.clientAborts == 1 })
        }
    }

    @Test func clientsThatAreSlow() throws {
        let timeouts = TimeoutConfiguration(bodyIdle: .milliseconds(100))
        try expectEnding("cH 408", of: { _ in [] }, timeouts: timeouts) { tandem in
            let client = try tandem.client()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            #expect(try client.response(to: "POST").status == 408)
        }
        let endless: TestBackend.Script = { _ in
            [
                .text("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"),
                .fill(byteCount: 100_000_000),
            ]
        }
        try expectEnding("cD 200", of: endless, timeouts: timeouts) { tandem in
            let client = try tandem.client()
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(eventually { tandem.listener.clientTimeouts == 1 })
            _ = client
        }
    }

    @Test func requestsThatADrainCutsOff() throws {
        try expectEnding("KH 0", of: { _ in [] }) { tandem in
            let client = try tandem.client()
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(eventually { tandem.backend(0).connections == 1 })
            tandem.plane.beginDrain(deadline: Clock.now() + .milliseconds(50))
            #expect(client.isClosedByPeer())
        }
    }

    @Test func requestBodiesThatBreakARule() throws {
        try expectEnding("PH 400", of: { _ in [] }) { tandem in
            let client = try tandem.client()
            try client.send(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            #expect(try client.response(to: "POST").status == 400)
        }
    }

    @Test func requestsWithoutADescriptorForThem() throws {
        let file = AccessLogFile()
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane(
            [backend.endpoint], descriptorLimit: LimitsTests.descriptorLimitMin)
        try tandem.reload(accessLog: file.configuration)
        let clients = try (0..<12).map { _ in try tandem.client() }
        #expect(eventually { tandem.listener.connectionsOpen == 12 })
        for client in clients { try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        let lines = try file.lines(8)
        #expect(lines.allSatisfy { $0["termination"] == "RC" && $0["status"] == "503" })
    }

    // MARK: Tunnels and sessions

    @Test func webSocketsAndSessionsHaveOneLineEach() throws {
        let file = AccessLogFile()
        let listener = try TunnelListener()
        let tandem = try TestPlane([listener.endpoint])
        try tandem.reload(accessLog: file.configuration)
        let client = try TunnelPeer(connectingTo: tandem.endpoint)
        try client.send(webSocketRequest)
        let backend = try listener.accept()
        _ = try backend.take(until: "\r\n\r\n")
        try backend.send(webSocketAnswer)
        let answer = try client.take(until: "\r\n\r\n")
        try client.send("from the client")
        try backend.expect("from the client")
        try backend.send("from the backend")
        try client.expect("from the backend")
        try client.finishSending()
        try backend.finishSending()
        let line = try file.line()
        #expect(line["status"] == "101")
        #expect(line["termination"] == "--")
        #expect(line["bytes_received"] == "\(webSocketRequest.utf8.count + 15)")
        #expect(line["bytes_sent"] == "\(answer.utf8.count + 16)")
    }

    @Test func sessionsOfTCPListenersHaveOneLineEach() throws {
        let file = AccessLogFile()
        let listener = try TunnelListener()
        let tandem = try TestPlane(
            service: .tcp(pool: "web"), pools: [TestPlane.pool("web", [listener.endpoint])])
        try tandem.reload(accessLog: file.configuration)
        // The worker hears of the log in its next turn.
        let first = try TunnelPeer(connectingTo: tandem.endpoint)
        let backend = try listener.accept()
        try first.send("12345")
        try backend.expect("12345")
        try backend.send("123")
        try first.expect("123")
        try first.finishSending()
        try backend.finishSending()
        let line = try file.line()
        #expect(line["protocol"] == "tcp")
        #expect(line["backend"] == "be0")
        #expect(line["bytes_received"] == "5")
        #expect(line["bytes_sent"] == "3")
        #expect(line["termination"] == "--")
    }
}
