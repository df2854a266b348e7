// SPDX-License-Identifier: Apache-2.0
//
// Which route a request takes: every condition, the first match, hundreds of hosts, splits by
// weight, rewrites on the way, and reloads while requests are in flight.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct RoutingTests {
    /// A route that answers with its name.
    private func named(_ name: String, _ match: RouteMatch) -> RouteConfiguration {
        RouteConfiguration(
            match: match, action: .respond(FixedResponseConfiguration(body: name)))
    }

    private func plane(_ routes: [RouteConfiguration]) throws -> TestPlane {
        try TestPlane(routes: routes, pools: [TestPlane.pool("web", [try deadEndpoint()])])
    }

    private func ask(
        _ tandem: TestPlane, _ line: String, host: String = "test", fields: String = ""
    ) throws -> String {
        let client = try tandem.client()
        try client.send("\(line) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
        return try client.response().text
    }

    @Test func everyConditionHasToHold() throws {
        typealias Condition = RouteMatch.Condition
        let tandem = try plane([
            named(
                "all",
                RouteMatch(
                    host: "a.test", path: .prefix("/x"), methods: ["GET", "BREW"],
                    headers: [Condition(name: "x-canary", value: "true")],
                    query: [Condition(name: "v", value: "1 2")],
                    cookies: [Condition(name: "tier", value: "gold")])),
            named("brew", RouteMatch(methods: ["BREW"])),
            named("exact", RouteMatch(path: .exact("/exact"))),
            named("present", RouteMatch(headers: [Condition(name: "x-any", value: nil)])),
            named("rest", RouteMatch()),
        ])
        let gold = "Cookie: a=b; tier=gold\r\n"
        let fields = "X-Canary: true\r\n\(gold)"
        #expect(try ask(tandem, "GET /x?v=1+2", host: "A.test:80", fields: fields) == "all")
        #expect(try ask(tandem, "BREW /x/y?v=1%202", host: "a.test", fields: fields) == "all")
        #expect(try ask(tandem, "BREW /x?v=1", host: "a.test", fields: fields) == "brew")
        #expect(try ask(tandem, "GET /xy?v=1+2", host: "a.test", fields: fields) == "rest")
        #expect(try ask(tandem, "GET /x?v=1+2", host: "b.test", fields: fields) == "rest")
        #expect(try ask(tandem, "GET /x?v=1+2", host: "a.test", fields: gold) == "rest")
        #expect(
            try ask(tandem, "GET /x?v=1+2", host: "a.test", fields: "X-Canary: true\r\n") == "rest")
        #expect(try ask(tandem, "MAKE /x?v=1+2", host: "a.test", fields: fields) == "rest")
        #expect(try ask(tandem, "GET /exact?q") == "exact")
        #expect(try ask(tandem, "GET /exact/") == "rest")
        #expect(try ask(tandem, "GET /", fields: "X-Any:\r\n") == "present")
    }

    @Test func pathsAreRoutedInTheirOneForm() throws {
        let tandem = try plane([
            named("admin", RouteMatch(path: .prefix("/admin"))),
            named("escaped", RouteMatch(path: .exact("/%7euser"))),
            named("rest", RouteMatch()),
        ])
        #expect(try ask(tandem, "GET /a/../admin") == "admin")
        #expect(try ask(tandem, "GET /%61dmin/x") == "admin")
        #expect(try ask(tandem, "GET /~user") == "escaped")
        #expect(try ask(tandem, "GET http://test/x/%2e%2e/admin") == "admin")
        let client = try tandem.client()
        try client.send("GET /../admin HTTP/1.1\r\nHost: test\r\n\r\n")
        #expect(try client.response().status == 400)
        #expect(client.isClosedByPeer())
        let faults = tandem.plane.statistics().requestFaults
        #expect(faults.contains { $0.reason == "dot_segment" && $0.count == 1 })
    }

    @Test func policiesOfTheListenerAreUsed() throws {
        let http = HTTPListenerConfiguration(
            routes: [
                named("merged", RouteMatch(path: .exact("/a/b"))), named("rest", RouteMatch()),
            ], path: PathConfiguration(encodedSlashes: .reject, mergesSlashes: true))
        let tandem = try TestPlane(http: http, pools: [TestPlane.pool("web", [])])
        #expect(try ask(tandem, "GET //a///b") == "merged")
        let client = try tandem.client()
        try client.send("GET /a%2fb HTTP/1.1\r\nHost: test\r\n\r\n")
        #expect(try client.response().status == 400)
    }

    /// Enough hosts for the index; the order of routes decides between exact, wildcard and none.
    @Test func amongHundredsOfHostsTheFirstMatchWins() throws {
        var routes: [RouteConfiguration] = []
        for number in 0..<300 {
            routes.append(named("exact\(number)", RouteMatch(host: "h\(number).example.org")))
        }
        routes.append(named("early", RouteMatch(path: .prefix("/early"))))
        routes.append(named("wild", RouteMatch(host: "*.example.org")))
        routes.append(named("late", RouteMatch(host: "late.example.org")))
        routes.append(named("deep", RouteMatch(host: "*.c.deep.net")))
        routes.append(named("shallow", RouteMatch(host: "*.deep.net")))
        routes.append(named("second", RouteMatch(host: "h7.example.org", path: .prefix("/second"))))
        routes.append(named("rest", RouteMatch(path: .prefix("/rest"))))
        let tandem = try plane(routes)
        for number in [0, 7, 150, 299] {
            #expect(try ask(tandem, "GET /", host: "H\(number).Example.org") == "exact\(number)")
            #expect(
                try ask(tandem, "GET /early", host: "h\(number).example.org") == "exact\(number)")
        }
        #expect(try ask(tandem, "GET /", host: "x.y.example.org:8080") == "wild")
        #expect(try ask(tandem, "GET /", host: "late.example.org") == "wild")
        #expect(try ask(tandem, "GET /early", host: "late.example.org") == "early")
        #expect(try ask(tandem, "GET /", host: "a.b.c.deep.net") == "deep")
        #expect(try ask(tandem, "GET /", host: "b.deep.net") == "shallow")
        #expect(try ask(tandem, "GET /rest", host: "deep.net") == "rest")
        #expect(try ask(tandem, "GET /rest", host: "[::1]:80") == "rest")
        #expect(try ask(tandem, "GET /", host: "example.org") == "Not Found\n")
        #expect(try ask(tandem, "GET /", host: ".example.org") == "Not Found\n")
    }

    @Test func splitsFollowTheirWeights() throws {
        let backends = try (0..<3).map { number in
            try TestBackend { _ in ReplyStep.ok("\(number)") }
        }
        let pools = backends.enumerated().map {
            TestPlane.pool("p\($0.offset)", [$0.element.endpoint])
        }
        let split = RouteConfiguration(
            action: .split([
                PoolShare(pool: "p0", weight: 900), PoolShare(pool: "p1", weight: 100),
                PoolShare(pool: "p2", weight: 0),
            ]))
        let tandem = try TestPlane(routes: [split], pools: pools)
        let client = try tandem.client()
        var counts = [0, 0, 0]
        let total = 2_000
        for _ in 0..<total {
            let number = try #require(Int(try client.exchange("/").text))
            counts[number] += 1
        }
        // Five standard deviations of the binomial distribution.
        let deviation = (Double(total) * 0.1 * 0.9).squareRoot()
        #expect(abs(Double(counts[1]) - 200) <= 5 * deviation)
        #expect(counts[2] == 0)
        #expect(counts[0] + counts[1] == total)
    }

    @Test func aShareWhosePoolIsDownFailsAndIsNotHidden() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("up") }
        let pools = [
            TestPlane.pool("up", [backend.endpoint]), TestPlane.pool("down", [try deadEndpoint()]),
        ]
        let split = RouteConfiguration(
            action: .split([
                PoolShare(pool: "up", weight: 1), PoolShare(pool: "down", weight: 1),
            ]))
        let tandem = try TestPlane(routes: [split], pools: pools)
        let client = try tandem.client()
        var failures = 0
        for _ in 0..<100 where try client.exchange("/").status == 502 { failures += 1 }
        #expect((20...80).contains(failures))
    }

    @Test func rewritesAndEditsReachTheBackendAndTheClient() throws {
        let backend = try TestBackend { _ in
            [
                .text(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\nX-B: 1\r\n"
                        + "Connection: X-Listener, X-B\r\n\r\nok")
            ]
        }
        let route = RouteConfiguration(
            match: RouteMatch(path: .prefix("/api/v1")), action: .pool("web"),
            rewrite: RouteRewrite(pathPrefix: "/v2", host: "inner.test"),
            requestHeaders: HeaderEdits(
                remove: ["X-Secret"], set: [HeaderEdits.Header(name: "X-Team", value: "route")],
                add: [HeaderEdits.Header(name: "X-Added", value: "1")]),
            responseHeaders: HeaderEdits(
                remove: ["server"], set: [HeaderEdits.Header(name: "X-B", value: "route")]))
        let http = HTTPListenerConfiguration(
            routes: [route],
            requestHeaders: HeaderEdits(
                set: [HeaderEdits.Header(name: "X-Team", value: "listener")]),
            responseHeaders: HeaderEdits(
                add: [HeaderEdits.Header(name: "X-Listener", value: "yes")]))
        let tandem = try TestPlane(
            http: http, pools: [TestPlane.pool("web", [backend.endpoint])])
        let response = try tandem.client().exchange(
            "/api/v1/users?q=1",
            fields: "X-Secret: 1\r\nX-Team: mine\r\nConnection: X-Added, X-Team\r\n")
        let request = try #require(backend.log.requests.first)
        #expect(request.target == "/v2/users?q=1")
        #expect(request.field("host") == "inner.test")
        #expect(request.field("x-secret") == nil)
        // A client that names our fields in Connection does not take them away.
        #expect(request.field("x-team") == "route")
        #expect(request.field("x-added") == "1")
        #expect(request.field("x-forwarded-host") == "test")
        #expect(response.field("server") == nil)
        #expect(response.field("x-b") == "route")
        #expect(response.field("x-listener") == "yes")
        #expect(response.field("date") != nil)
    }

    /// Tables of different sizes come and go under requests of every kind.
    @Test func tablesChangeUnderLoadWithoutAFailure() throws {
        let backend = try TestBackend { request in
            [.wait(.milliseconds(request.number % 3 == 0 ? 2 : 0))]
                + ReplyStep.ok(request.field("x-e") ?? "none")
        }
        let pools = [TestPlane.pool("web", [backend.endpoint])]
        func routes(_ count: Int) -> [RouteConfiguration] {
            let edits = HeaderEdits(set: [HeaderEdits.Header(name: "X-E", value: "\(count)")])
            return (0..<count).map { named("\($0)", RouteMatch(host: "h\($0).test")) } + [
                RouteConfiguration(
                    action: .pool("web"), requestHeaders: edits,
                    mirror: MirrorConfiguration(pool: "web", shareBasisPoints: 2_000))
            ]
        }
        let tandem = try TestPlane(routes: routes(1), pools: pools, workers: 2)
        let load = try RequestLoad(clientCount: 4, endpoint: tandem.endpoint)
        for round in 0..<60 {
            let reached = load.successCount + 10
            #expect(eventually { load.successCount >= reached })
            _ = try tandem.reload(pools: pools, routes: routes(round % 3 * 400 + 1))
        }
        #expect(load.finish() == [])
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    /// The first backend closes when the second request comes; the replay is the same request.
    @Test func retriedRequestsAreRewrittenTheSameWay() throws {
        let backend = try TestBackend { request in
            request.number == 1 ? [.close] : ReplyStep.ok(request.target)
        }
        let route = RouteConfiguration(
            match: RouteMatch(path: .prefix("/a")), action: .pool("web"),
            rewrite: RouteRewrite(pathPrefix: "/b"),
            requestHeaders: HeaderEdits(set: [HeaderEdits.Header(name: "X-E", value: "1")]))
        let tandem = try TestPlane(
            routes: [route], pools: [TestPlane.pool("web", [backend.endpoint])])
        let client = try tandem.client()
        #expect(try client.exchange("/a/1").text == "/b/1")
        #expect(try client.exchange("/x/../a/2").text == "/b/2")
        let requests = backend.log.requests
        #expect(requests.count == 3)
        #expect(requests[1].head == requests[2].head)
        #expect(requests[2].field("x-e") == "1")
    }

    /// Requests keep the route they began with although the table they found it in is gone.
    @Test func reloadsDoNotChangeRequestsInFlight() throws {
        let dead = try deadEndpoint()
        let backend = try TestBackend { request in
            [.wait(.milliseconds(300))] + ReplyStep.ok(request.field("x-version") ?? "none")
        }
        let pools = [TestPlane.pool("web", [backend.endpoint])]
        func version(_ number: Int) -> [RouteConfiguration] {
            let header = HeaderEdits.Header(name: "X-Version", value: "\(number)")
            return [
                named("\(number)", RouteMatch(path: .exact("/version"))),
                RouteConfiguration(
                    action: .pool("web"), requestHeaders: HeaderEdits(set: [header]),
                    responseHeaders: HeaderEdits(set: [header])),
            ]
        }
        let tandem = try TestPlane(routes: version(0), pools: pools)
        let probe = try tandem.client()
        var clients: [TestClient] = []
        for number in 1...5 {
            let client = try tandem.client()
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            clients.append(client)
            #expect(eventually { backend.log.requests.count == number })
            _ = try tandem.reload(pools: pools, routes: version(number))
            #expect(try eventually { try probe.exchange("/version").text == "\(number)" })
        }
        _ = try tandem.reload(
            pools: [TestPlane.pool("web", [dead])],
            routes: [named("new", RouteMatch())])
        for (number, client) in clients.enumerated() {
            let response = try client.response()
            #expect(response.text == "\(number)")
            #expect(response.field("x-version") == "\(number)")
        }
        #expect(eventually { (try? tandem.client().exchange("/").text) == "new" })
    }
}
