// SPDX-License-Identifier: Apache-2.0
//
// Answers that the proxy gives itself: redirects, fixed responses, error pages, refusals; and what
// becomes of the connection and of bodies that nobody took.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct AnswerTests {
    private func plane(
        _ http: HTTPListenerConfiguration, backends: [Endpoint] = [],
        limits: LimitConfiguration = LimitConfiguration(),
        timeouts: TimeoutConfiguration = TimeoutConfiguration()
    ) throws -> TestPlane {
        try TestPlane(
            http: http, pools: [TestPlane.pool("web", backends)], timeouts: timeouts,
            limits: limits)
    }

    private func respond(_ status: UInt16, _ body: String) -> RouteAction {
        .respond(FixedResponseConfiguration(status: status, body: body))
    }

    private func header(_ name: String, _ value: String) -> HeaderEdits.Header {
        HeaderEdits.Header(name: name, value: value)
    }

    @Test func redirectsKeepWhatTheyDoNotReplace() throws {
        func route(_ path: String, _ redirect: RedirectConfiguration, _ prefix: String? = nil)
            -> RouteConfiguration
        {
            RouteConfiguration(
                match: RouteMatch(path: .prefix(path)), action: .redirect(redirect),
                rewrite: RouteRewrite(pathPrefix: prefix))
        }
        let tandem = try plane(
            HTTPListenerConfiguration(routes: [
                route("/secure", RedirectConfiguration(scheme: "https")),
                route("/moved", RedirectConfiguration(status: 301, host: "new.test"), "/to"),
                route("/whole", RedirectConfiguration(status: 303, port: 8443, path: "/all")),
            ]))
        let client = try tandem.client()
        for (target, status, location) in [
            ("/secure/a?b=c", 308, "https://test/secure/a?b=c"),
            ("/moved/a//b?q", 301, "http://new.test/to/a//b?q"),
            ("/whole/x?y", 303, "http://test:8443/all?y"),
        ] {
            let response = try client.exchange(target)
            #expect(response.status == status)
            #expect(response.field("location") == location)
            #expect(response.text.isEmpty)
            let head = try client.exchange(target, method: "HEAD")
            #expect(head.status == status)
            #expect(head.field("location") == location)
        }
        // One connection served them all.
        #expect(tandem.listener.connectionsAccepted == 1)
        #expect(tandem.listener.responses.redirection == 6)
    }

    @Test func redirectsKnowTheSchemeThatATrustedProxyTook() throws {
        let keeping = RouteConfiguration(action: .redirect(RedirectConfiguration(host: "new.test")))
        let network = try #require(IPNetwork("127.0.0.0/8"))
        for (trusted, scheme) in [([network], "https"), ([], "http")] {
            let tandem = try plane(
                HTTPListenerConfiguration(routes: [keeping], trustedProxies: trusted))
            let response = try tandem.client().exchange(
                "/a", fields: "X-Forwarded-Proto: HTTPS\r\n")
            #expect(response.field("location") == "\(scheme)://new.test/a")
        }
    }

    @Test func fixedResponsesAreWhole() throws {
        let routes = [
            RouteConfiguration(
                match: RouteMatch(path: .exact("/empty")), action: respond(204, "ignored")),
            RouteConfiguration(
                match: RouteMatch(path: .exact("/long")),
                action: respond(200, String(repeating: "x", count: 65_536))),
            RouteConfiguration(
                action: .respond(
                    FixedResponseConfiguration(
                        status: 503, contentType: "application/json", body: "{}")),
                responseHeaders: HeaderEdits(set: [header("Cache-Control", "no-store")])),
        ]
        let http = HTTPListenerConfiguration(
            routes: routes,
            errorPages: [ErrorPage(status: 503, contentType: "text/html", body: "page")])
        let tandem = try plane(http)
        let client = try tandem.client()
        let response = try client.exchange("/")
        #expect(response.status == 503)
        #expect(response.text == "{}")
        #expect(response.field("content-type") == "application/json")
        #expect(response.field("cache-control") == "no-store")
        #expect(response.field("date")?.hasSuffix(" GMT") == true)
        let head = try client.exchange("/", method: "HEAD")
        #expect(head.field("content-length") == "2")
        let empty = try client.exchange("/empty")
        #expect(empty.status == 204)
        #expect(empty.field("content-length") == nil)
        for _ in 0..<5 { #expect(try client.exchange("/long").body.count == 65_536) }
        #expect(tandem.listener.connectionsAccepted == 1)
    }

    /// The kernel takes only a part of such an answer at once; the next request waits for the rest.
    @Test func longAnswersToManyPipelinedRequestsComeWhole() throws {
        let body = String(repeating: "y", count: 60_000)
        let tandem = try plane(
            HTTPListenerConfiguration(routes: [RouteConfiguration(action: respond(200, body))]))
        let client = try tandem.client()
        let count = 150
        try client.send(
            String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: count))
        for _ in 0..<count { #expect(try client.response().body.count == 60_000) }
        #expect(try client.exchange("/").status == 200)
    }

    @Test func errorPagesReplaceTheBodiesOfOurAnswers() throws {
        let page = { (status: UInt16) in
            ErrorPage(status: status, contentType: "text/html", body: "<p>\(status)</p>")
        }
        let http = HTTPListenerConfiguration(
            routes: [
                RouteConfiguration(
                    match: RouteMatch(path: .prefix("/dead")), action: .pool("web"),
                    responseHeaders: HeaderEdits(set: [header("X-Route", "dead")]))
            ],
            responseHeaders: HeaderEdits(set: [header("X-Edit", "1")]),
            errorPages: [page(400), page(404), page(502)])
        let tandem = try plane(http, backends: [try deadEndpoint()])
        let client = try tandem.client()
        let missing = try client.exchange("/none")
        #expect(missing.status == 404)
        #expect(missing.text == "<p>404</p>")
        #expect(missing.field("content-type") == "text/html")
        #expect(missing.field("x-edit") == "1")
        let failed = try client.exchange("/dead")
        #expect(failed.text == "<p>502</p>")
        #expect(failed.field("x-route") == "dead")
        let head = try client.exchange("/dead", method: "HEAD")
        #expect(head.field("content-length") == "10")
        try client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        let refused = try client.response()
        #expect(refused.text == "<p>400</p>")
        #expect(refused.field("connection") == "close")
        #expect(client.isClosedByPeer())
    }

    @Test func timeoutsAndDeadPoolsHaveTheirPagesToo() throws {
        let silent = try TestBackend { _ in [.wait(.seconds(60))] }
        let http = HTTPListenerConfiguration(
            routes: [
                RouteConfiguration(
                    match: RouteMatch(path: .prefix("/down")), action: .pool("down")),
                RouteConfiguration(action: .pool("web")),
            ],
            errorPages: [408, 503, 504].map {
                ErrorPage(status: $0, contentType: "text/plain", body: "page \($0)")
            })
        let tandem = try TestPlane(
            http: http,
            pools: [
                TestPlane.pool("web", [silent.endpoint]),
                TestPlane.pool("down", [silent.endpoint]),
            ],
            timeouts: TimeoutConfiguration(
                requestHead: .milliseconds(200), responseHead: .milliseconds(200)))
        tandem.plane.setBackendAvailability(pool: "down", backend: "be0", isUp: false)
        let client = try tandem.client()
        #expect(try client.exchange("/").text == "page 504")
        let down = try client.exchange("/down")
        #expect(down.status == 503)
        #expect(down.text == "page 503")
        let slow = try tandem.client()
        try slow.send("GET /")
        let cut = try slow.response()
        #expect(cut.status == 408)
        #expect(cut.text == "page 408")
        #expect(slow.isClosedByPeer())
    }

    @Test func methodsThatAreRefusedAreToldWhatIsAllowed() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("traced") }
        let route = RouteConfiguration(action: .pool("web"))
        let closed = try plane(
            HTTPListenerConfiguration(routes: [route]), backends: [backend.endpoint])
        for line in ["TRACE /", "CONNECT a.test:443"] {
            let client = try closed.client()
            try client.send("\(line) HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
            let response = try client.response()
            #expect(response.status == 405)
            #expect(response.field("allow")?.contains("GET") == true)
            #expect(client.isClosedByPeer())
        }
        let open = try plane(
            HTTPListenerConfiguration(routes: [route], allowsTrace: true),
            backends: [backend.endpoint])
        #expect(try open.client().exchange("/", method: "TRACE").text == "traced")
        let client = try open.client()
        try client.send("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
        #expect(try client.response().status == 405)
        #expect(backend.log.requests.map(\.method) == ["TRACE"])
    }

    @Test(arguments: [false, true])
    func shortBodiesThatNobodyTookLeaveTheConnectionOpen(isChunked: Bool) throws {
        let tandem = try plane(
            HTTPListenerConfiguration(routes: [RouteConfiguration(action: respond(200, "ok"))]))
        let client = try tandem.client()
        let fields = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 5000"
        try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n")
        #expect(try client.response().text == "ok")
        // The body comes after the answer; a request within it is none.
        let payload = String(repeating: "GET /x HTTP/1.1\r\n\r\n..", count: 250)
        if isChunked {
            try client.send("\(String(payload.utf8.count, radix: 16))\r\n\(payload)\r\n0\r\n\r\n")
        } else {
            #expect(payload.utf8.count > 5_000)
            try client.send(Array(payload.utf8.prefix(5_000)))
        }
        #expect(try client.exchange("/").text == "ok")
        #expect(tandem.listener.requests == 2)
        #expect(tandem.listener.connectionsAccepted == 1)
    }

    @Test func longBodiesThatNobodyTookCloseTheConnection() throws {
        let tandem = try plane(
            HTTPListenerConfiguration(routes: [RouteConfiguration(action: respond(200, "ok"))]))
        let long = try tandem.client()
        try long.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n")
        let response = try long.response()
        #expect(response.text == "ok")
        #expect(response.field("connection") == "close")
        let waiting = try tandem.client()
        try waiting.send(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        #expect(try waiting.response().field("connection") == "close")
        #expect(waiting.isClosedByPeer())
        // Chunked: how long it is shows only while it comes.
        let chunked = try tandem.client()
        try chunked.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(try chunked.response().text == "ok")
        let piece = "8000\r\n" + String(repeating: "z", count: 0x8000) + "\r\n"
        for _ in 0..<3 { try chunked.send(piece) }
        #expect(chunked.isClosedByPeer())
        #expect(tandem.listener.requests == 3)
    }

    @Test func bodiesBeyondTheLimitAre413() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("took it") }
        let tandem = try plane(
            HTTPListenerConfiguration(routes: [RouteConfiguration(action: .pool("web"))]),
            backends: [backend.endpoint], limits: LimitConfiguration(bodyByteCount: 1_000))
        let client = try tandem.client()
        #expect(
            try client.exchange("/", method: "POST", body: String(repeating: "a", count: 1_000))
                .text == "took it")
        let refused = try client.exchange(
            "/", method: "POST", body: String(repeating: "a", count: 1_001))
        #expect(refused.status == 413)
        #expect(try client.exchange("/").text == "took it")
        #expect(tandem.hits(of: "body_size") == 1)
        #expect(backend.log.requests.count == 2)
        // A chunked body shows its length late: nothing of the chunk that is too much is passed on.
        func piece(_ count: Int) -> String {
            "\(String(count, radix: 16))\r\n\(String(repeating: "c", count: count))\r\n"
        }
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        try client.send(head + piece(600) + piece(400) + "0\r\n\r\n")
        #expect(try client.response().text == "took it")
        try client.send(head + piece(600) + piece(401) + "0\r\n\r\n")
        #expect(try client.response().status == 413)
        #expect(client.isClosedByPeer())
        #expect(backend.log.requests.count == 3)
        #expect(tandem.hits(of: "body_size") == 2)
    }

    @Test func headLimitsAreTheConfiguredOnes() throws {
        let http = HTTPListenerConfiguration(
            routes: [RouteConfiguration(action: respond(200, "ok"))])
        let tandem = try plane(
            http, limits: LimitConfiguration(headerFields: 10, uriByteCount: 256))
        let fields = String(repeating: "X-A: b\r\n", count: 10)
        #expect(try tandem.client().exchange("/", fields: fields).status == 431)
        #expect(
            try tandem.client().exchange("/" + String(repeating: "a", count: 256)).status == 414)
        #expect(try tandem.client().exchange("/").text == "ok")
    }

    @Test func oldClientsKeepTheirConnectionWhenTheyAsk() throws {
        let tandem = try plane(
            HTTPListenerConfiguration(routes: [RouteConfiguration(action: respond(200, "ok"))]))
        let client = try tandem.client()
        for _ in 0..<2 {
            try client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let response = try client.response()
            #expect(response.text == "ok")
            #expect(response.field("connection") == "keep-alive")
        }
        try client.send("GET / HTTP/1.0\r\n\r\n")
        #expect(try client.response().field("connection") == "close")
        #expect(client.isClosedByPeer())
    }
}
