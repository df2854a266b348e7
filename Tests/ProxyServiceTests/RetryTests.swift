// SPDX-License-Identifier: Apache-2.0
//
// What is sent again, where and how often: by condition, by safety, by budget, by limits; and that
// a client gets the original answer when nothing may be sent again.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct RetryTests {
    private static let all = Set(RetryConfiguration.Condition.allCases)

    private static func plane(
        _ backends: [Endpoint], responseHead: TimeSpan = .seconds(30),
        _ change: (inout PoolConfiguration) -> Void
    ) throws -> TestPlane {
        var pool = TestPlane.pool("web", backends)
        pool.outlierDetection = nil
        pool.sharing.panicPercent = 0
        change(&pool)
        return try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            pools: [pool], timeouts: TimeoutConfiguration(responseHead: responseHead))
    }

    private static func refusal(_ status: Int, fields: String = "") -> [ReplyStep] {
        [.text("HTTP/1.1 \(status) No\r\n\(fields)Content-Length: 2\r\n\r\nno")]
    }

    private static func busy() throws -> TestBackend {
        try TestBackend { _ in refusal(503) }
    }

    private static func good() throws -> TestBackend {
        try TestBackend { _ in ReplyStep.ok("ok") }
    }

    @Test func aBadAnswerIsDroppedForABetterOne() throws {
        let (bad, good) = (try Self.busy(), try Self.good())
        let tandem = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = [.gatewayError]
        }
        let client = try tandem.client()
        for _ in 0..<10 { #expect(try client.exchange("/").text == "ok") }
        #expect(bad.log.requests.count == 5)
        // Short and clean: the connection of a dropped answer is used again.
        #expect(bad.log.connectionCount == 1)
        #expect(tandem.backend(0).responses.serverError == 5)
        #expect(tandem.listener.responses.serverError == 0)
        #expect(tandem.listener.responses.success == 10)
        #expect(tandem.pool.retries("bad_answer") == 5)
        #expect(tandem.pool.retriesInFlight == 0)
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
    }

    @Test func otherErrorsNeedTheirOwnCondition() throws {
        let bad = try TestBackend { _ in Self.refusal(500) }
        let good = try Self.good()
        let tandem = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = [.gatewayError]
        }
        let statuses = try (0..<4).map { _ in try tandem.client().exchange("/").status }
        #expect(Set(statuses) == [200, 500])
        let other = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = [.serverError]
        }
        for _ in 0..<4 { #expect(try other.client().exchange("/").status == 200) }
    }

    @Test func aLongBadAnswerCostsItsConnection() throws {
        let bad = try TestBackend { _ in
            [
                .text("HTTP/1.1 503 No\r\nContent-Length: 4000000\r\n\r\n"),
                .fill(byteCount: 4_000_000),
            ]
        }
        let good = try Self.good()
        let tandem = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = [.gatewayError]
        }
        for _ in 0..<4 { #expect(try tandem.client().exchange("/").text == "ok") }
        #expect(bad.log.connectionCount == 2)
        #expect(eventually { bad.log.endedConnections == 2 })
    }

    @Test func aBodyIsSentAgainUpToItsSize() throws {
        let (bad, good) = (try Self.busy(), try Self.good())
        let tandem = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = Self.all
            $0.retries.bodyByteCountMax = 40_000
        }
        let short = String(repeating: "s", count: 40_000)
        for _ in 0..<4 {
            #expect(try tandem.client().exchange("/", method: "PUT", body: short).status == 200)
        }
        #expect(good.log.requests.allSatisfy { $0.body == Array(short.utf8) })
        #expect(bad.log.requests.count == 2)
        let long = String(repeating: "l", count: 40_001)
        let statuses = try (0..<4).map { _ in
            try tandem.client().exchange("/", method: "PUT", body: long).status
        }
        #expect(Set(statuses) == [200, 503])
        #expect(tandem.pool.refused("unsafe") == 2)
    }

    @Test func whatIsNotIdempotentIsNotSentAgain() throws {
        let (bad, good) = (try Self.busy(), try Self.good())
        let tandem = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = Self.all
        }
        let statuses = try (0..<4).map { _ in
            try tandem.client().exchange("/", method: "POST", body: "pay").status
        }
        #expect(Set(statuses) == [200, 503])
        #expect(bad.log.requests.count + good.log.requests.count == 4)
    }

    @Test func aClientThatSawAnInterimAnswerGetsTheRest() throws {
        let bad = try TestBackend { _ in
            [.text("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")] + Self.refusal(503)
        }
        let good = try Self.good()
        let tandem = try Self.plane([bad.endpoint, good.endpoint]) {
            $0.retries.conditions = Self.all
        }
        let statuses = try (0..<4).map { _ in try tandem.client().exchange("/").status }
        #expect(Set(statuses) == [200, 503])
    }

    @Test func anAnswerThatDoesNotBeginInTimeIsAskedForElsewhere() throws {
        let mute = try TestBackend { _ in [] }
        let good = try Self.good()
        let tandem = try Self.plane([mute.endpoint, good.endpoint]) {
            $0.retries.perTryTimeout = .milliseconds(80)
        }
        for _ in 0..<4 { #expect(try tandem.client().exchange("/").text == "ok") }
        #expect(tandem.pool.retries("timeout") == 2)
        #expect(eventually { mute.log.endedConnections == 2 })
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func aSlowBackendIsNotAskedTwiceForTheSame() throws {
        let mute = try TestBackend { _ in [] }
        let tandem = try Self.plane([mute.endpoint]) {
            $0.retries.perTryTimeout = .milliseconds(80)
        }
        #expect(try tandem.client().exchange("/").status == 504)
        #expect(mute.log.requests.count == 1)
        #expect(tandem.pool.refused("no_backend") == 1)
    }

    @Test func theOnlyBackendIsAskedAgainAfterAPause() throws {
        let backend = try TestBackend { request in
            request.number == 0 ? Self.refusal(503) : ReplyStep.ok("better")
        }
        let tandem = try Self.plane([backend.endpoint]) {
            $0.retries.conditions = [.gatewayError]
        }
        #expect(try tandem.client().exchange("/").text == "better")
        #expect(backend.log.requests.count == 2)
        #expect(backend.log.connectionCount == 1)
    }

    @Test func aBackendThatAsksForALongPauseIsLeftAlone() throws {
        let backend = try TestBackend { _ in Self.refusal(503, fields: "Retry-After: 30\r\n") }
        let tandem = try Self.plane([backend.endpoint]) {
            $0.retries.conditions = [.gatewayError]
        }
        let response = try tandem.client().exchange("/")
        #expect(response.status == 503)
        #expect(response.field("retry-after") == "30")
        #expect(response.text == "no")
        #expect(backend.log.requests.count == 1)
    }

    @Test func aShortPauseThatIsAskedForIsMade() throws {
        let backend = try TestBackend { request in
            request.number == 0
                ? Self.refusal(503, fields: "retry-after: 1\r\n") : ReplyStep.ok("better")
        }
        let tandem = try Self.plane([backend.endpoint]) {
            $0.retries.conditions = [.gatewayError]
        }
        let began = Clock.now()
        #expect(try tandem.client().exchange("/").text == "better")
        #expect(Clock.now() - began >= .seconds(1))
    }

    @Test func asManyAttemptsAsConfigured() throws {
        let backends = try (0..<4).map { _ in try Self.busy() }
        for attempts in 0...3 {
            let tandem = try Self.plane(backends.map(\.endpoint)) {
                $0.retries.conditions = Self.all
                $0.retries.attempts = attempts
                $0.retries.backoff = .milliseconds(1)
            }
            let before = backends.reduce(0) { $0 + $1.log.requests.count }
            let response = try tandem.client().exchange("/")
            #expect(response.status == 503)
            #expect(response.text == "no")
            let after = backends.reduce(0) { $0 + $1.log.requests.count }
            #expect(after - before == attempts + 1)
            #expect(tandem.pool.retriesTotal == UInt64(attempts))
        }
    }

    @Test func theBudgetBoundsAStorm() throws {
        let backends = try (0..<3).map { _ in try Self.busy() }
        let tandem = try Self.plane(backends.map(\.endpoint)) {
            $0.retries.conditions = Self.all
            $0.retries.attempts = 3
            $0.retries.backoff = .milliseconds(1)
            $0.retries.budgetPercent = 20
            $0.retries.budgetFloor = 0
        }
        let client = try tandem.client()
        for _ in 0..<200 {
            let response = try client.exchange("/")
            #expect(response.status == 503)
            #expect(response.text == "no")
        }
        let sent = backends.reduce(0) { $0 + $1.log.requests.count }
        #expect(sent <= 200 + 40)
        #expect(tandem.pool.retriesTotal == UInt64(sent - 200))
        #expect(tandem.pool.retriesTotal >= 30)
        #expect(tandem.pool.refused("budget") > 0)
    }

    @Test func theLimitOfRetriesAtATimeHolds() throws {
        let bad = try Self.busy()
        let slow = try ManualBackend()
        let tandem = try Self.plane([bad.endpoint, slow.endpoint]) {
            $0.retries.conditions = Self.all
            $0.limits.retries = 1
        }
        let first = try tandem.client()
        try first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try slow.accept()
        _ = try connection.takeHead()
        #expect(tandem.pool.retriesInFlight == 1)
        // One of two requests has its turn with the bad one.
        let others = try (0..<2).map { _ in try tandem.client() }
        for client in others { try client.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n") }
        #expect(
            eventually {
                tandem.pool.refused("breaker") == 1
            })
        #expect(tandem.pool.retriesInFlight == 1)
        #expect(tandem.pool.opened("retries") == 1)
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try first.response().status == 200)
        #expect(eventually { tandem.pool.retriesInFlight == 0 })
    }

    @Test func aRefusedConnectionIsTriedOnceMore() throws {
        let tandem = try Self.plane([try deadEndpoint()]) { _ in }
        #expect(try tandem.client().exchange("/", method: "POST", body: "x").status == 502)
        #expect(tandem.backend(0).connectFailures == 2)
        #expect(tandem.pool.retries("connect_failure") == 1)
        let strict = try Self.plane([try deadEndpoint()]) { $0.retries.conditions = [] }
        #expect(try strict.client().exchange("/").status == 502)
        #expect(strict.backend(0).connectFailures == 1)
    }

    @Test func aReloadBeforeARetryLeavesTheBooksInOrder() throws {
        let stuck = try ManualBackend()
        let others = try (0..<3).map { _ in try Self.good() }
        var endpoints = others.map(\.endpoint)
        endpoints.insert(stuck.endpoint, at: 2)
        var pool = TestPlane.pool("web", endpoints)
        pool.outlierDetection = nil
        pool.retries.conditions = [.gatewayError]
        let tandem = try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")], pools: [pool])
        for name in ["be0", "be1", "be3"] {
            tandem.plane.setBackendAvailability(pool: "web", backend: name, isUp: false)
        }
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try stuck.accept()
        _ = try connection.takeHead()
        // Its index is beyond the end of the pool that comes now.
        pool.backends = Array(pool.backends.suffix(2))
        _ = try tandem.reload(pools: [pool])
        tandem.plane.setBackendAvailability(pool: "web", backend: "be3", isUp: true)
        tandem.plane.setBackendAvailability(pool: "web", backend: "be2", isUp: false)
        #expect(tandem.pool.requestsInFlight == 1)
        try connection.send("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")
        #expect(try client.response().text == "ok")
        #expect(tandem.pool.retries("bad_answer") == 1)
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
        #expect(tandem.plane.statistics().backends.allSatisfy { $0.requestsInFlight == 0 })
        #expect(eventually { tandem.pool.retriesInFlight == 0 })
    }

    @Test func aTunnelThatARetryBeganIsNoRetry() throws {
        let listener = try TunnelListener()
        var pool = TestPlane.pool("tcp", [try deadEndpoint(), listener.endpoint])
        pool.outlierDetection = nil
        let tandem = try TestPlane(service: .tcp(pool: "tcp"), pools: [pool])
        var peers: [TunnelPeer] = []
        for _ in 0..<2 {
            let peer = try TunnelPeer(connectingTo: tandem.endpoint)
            let backend = try listener.accept()
            try peer.send("hello")
            try backend.expect("hello")
            peers += [peer, backend]
        }
        #expect(tandem.pool.retries("connect_failure") >= 1)
        #expect(tandem.pool.retriesInFlight == 0)
        withExtendedLifetime(peers) {}
    }
}
