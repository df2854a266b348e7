// SPDX-License-Identifier: Apache-2.0
//
// Second attempts made to be fast: when they begin, who wins, and that the loser leaves nothing.

import AccessLogLaboratory
import BalancerCore
import ConfigurationCore
import LinuxIO
import Testing
import WireCore

@testable import ProxyService

@Suite(.serialized)
struct HedgingTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private static func plane(
        _ backends: [Endpoint], after: TimeSpan? = .milliseconds(30), budgetPercent: Int = 100
    ) throws -> TestPlane {
        var pool = TestPlane.pool("web", backends)
        pool.outlierDetection = nil
        pool.hedging = HedgingConfiguration(after: after, budgetPercent: budgetPercent)
        return try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            pools: [pool])
    }

    private static func expectNothingLeft(of tandem: TestPlane) {
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
        #expect(
            eventually {
                tandem.plane.statistics().backends.allSatisfy { $0.requestsInFlight == 0 }
            })
    }

    @Test func aLateAnswerIsAskedForElsewhere() throws {
        let mute = try TestBackend { _ in [] }
        let good = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try Self.plane([mute.endpoint, good.endpoint])
        let client = try tandem.client()
        for _ in 0..<6 { #expect(try client.exchange("/").text == "ok") }
        let asked = mute.log.requests.count
        #expect(asked >= 2)
        #expect(tandem.pool.hedges == UInt64(asked))
        #expect(tandem.pool.hedgesWon == UInt64(asked))
        // The connection of the one that lost is closed, nobody reads its answer.
        #expect(eventually { mute.log.endedConnections == asked })
        #expect(good.log.requests.count == 6)
        #expect(tandem.pool.retriesTotal == 0)
        Self.expectNothingLeft(of: tandem)
    }

    @Test func anAnswerInTimeIsNotAskedForTwice() throws {
        let backends = try (0..<2).map { _ in try TestBackend { _ in ReplyStep.ok("ok") } }
        let tandem = try Self.plane(backends.map(\.endpoint), after: .seconds(5))
        let client = try tandem.client()
        for _ in 0..<20 { #expect(try client.exchange("/").text == "ok") }
        #expect(tandem.pool.hedges == 0)
        Self.expectNothingLeft(of: tandem)
    }

    @Test func theBudgetHolds() throws {
        let backends = try (0..<2).map { _ in
            try TestBackend { _ in [.wait(.milliseconds(60))] + ReplyStep.ok("ok") }
        }
        let tandem = try Self.plane(
            backends.map(\.endpoint), after: .milliseconds(1), budgetPercent: 10)
        let client = try tandem.client()
        for _ in 0..<25 { #expect(try client.exchange("/").text == "ok") }
        #expect(tandem.pool.hedges <= 2)
        #expect(tandem.pool.hedges >= 1)
        #expect(tandem.pool.hedgesOverBudget >= 10)
        Self.expectNothingLeft(of: tandem)
    }

    @Test(arguments: ["POST", "PUT"])
    func requestsThatCostSomethingAreSentOnce(method: String) throws {
        let backends = try (0..<2).map { _ in
            try TestBackend { _ in [.wait(.milliseconds(80))] + ReplyStep.ok("ok") }
        }
        let tandem = try Self.plane(backends.map(\.endpoint))
        let response = try tandem.client().exchange("/", method: method, body: "body")
        #expect(response.text == "ok")
        #expect(backends.reduce(0) { $0 + $1.log.requests.count } == 1)
        #expect(tandem.pool.hedges == 0)
    }

    @Test func aBadSecondAnswerDoesNotBeatALateGoodOne() throws {
        let slow = try ManualBackend()
        let bad = try TestBackend { _ in
            [.text("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")]
        }
        let tandem = try Self.plane([slow.endpoint, bad.endpoint])
        let client = try tandem.client()
        var hedged = false
        // One of two requests goes to the slow backend first.
        for _ in 0..<2 where !hedged {
            try client.send(Self.get)
            if let connection = try? slow.accept(within: .milliseconds(500)) {
                _ = try connection.takeHead()
                #expect(eventually { tandem.backend(1).responses.serverError >= 1 })
                #expect(eventually { tandem.backend(1).requestsInFlight == 0 })
                try connection.send(Self.ok)
                #expect(try client.response().text == "ok")
                hedged = true
            } else {
                #expect(try client.response().status == 503)
            }
        }
        #expect(hedged)
        #expect(tandem.pool.hedges == 1)
        #expect(tandem.pool.hedgesWon == 0)
        Self.expectNothingLeft(of: tandem)
    }

    @Test(arguments: [true, false])
    func oneThatBreaksLeavesItToTheOther(firstBreaks: Bool) throws {
        let backends = [try ManualBackend(), try ManualBackend()]
        let tandem = try Self.plane(backends.map(\.endpoint))
        let client = try tandem.client()
        try client.send(Self.get)
        let connections = try backends.map { try $0.accept() }
        for connection in connections { _ = try connection.takeHead() }
        #expect(tandem.pool.hedges == 1)
        let breaking = firstBreaks ? 0 : 1
        connections[breaking].finishSending()
        #expect(eventually { tandem.backend(breaking).requestsInFlight == 0 })
        #expect(tandem.backend(breaking).failures == 1)
        #expect(tandem.backend(1 - breaking).requestsInFlight == 1)
        try connections[1 - breaking].send(Self.ok)
        #expect(try client.response().text == "ok")
        Self.expectNothingLeft(of: tandem)
        #expect(tandem.pool.retriesTotal == 0)
    }

    @Test func aClientThatLeavesEndsBoth() throws {
        let backends = [try ManualBackend(), try ManualBackend()]
        let tandem = try Self.plane(backends.map(\.endpoint))
        do {
            let client = try tandem.client()
            try client.send(Self.get)
            let connections = try backends.map { try $0.accept() }
            for connection in connections { _ = try connection.takeHead() }
            client.resetOnClose()
            withExtendedLifetime(connections) {}
        }
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        Self.expectNothingLeft(of: tandem)
        #expect(tandem.pool.connections == 0)
        #expect(eventually { tandem.plane.statistics().bufferByteCount == 0 })
    }

    @Test func theLogNamesTheBackendThatAnswered() throws {
        let file = AccessLogFile()
        let backends = [try ManualBackend(), try ManualBackend()]
        let tandem = try Self.plane(backends.map(\.endpoint))
        try tandem.reload(accessLog: file.configuration)
        let client = try tandem.client()
        try client.send(Self.get)
        let connections = try backends.map { try $0.accept() }
        for connection in connections { _ = try connection.takeHead() }
        // Which of them is the first attempt is the balancer's business.
        try connections[1].send(Self.ok)
        #expect(try client.response().text == "ok")
        let line = try file.line()
        #expect(line["backend"] == "be1")
        #expect(line["retries"] == "1")
        #expect(line["termination"] == "--")
    }

    @Test func theDelayFollowsTheLatencyOfAllButAFew() throws {
        var delay = HedgeDelay(allBut: 5)
        var generator = SeededGenerator(seed: 7)
        #expect(delay.span == nil)
        // Uniform between 0 and 100 ms: 95 of 100 are below 95 ms.
        for _ in 0..<5_000 {
            delay.learn(.microseconds(1 + generator.next() % 100_000))
        }
        let span = try #require(delay.span)
        #expect(span > .milliseconds(85) && span < .milliseconds(105), "\(span)")
        // Ten times faster from now on.
        for _ in 0..<5_000 {
            delay.learn(.microseconds(1 + generator.next() % 10_000))
        }
        let faster = try #require(delay.span)
        #expect(faster > .microseconds(8_500) && faster < .microseconds(10_500), "\(faster)")
    }

    @Test func aBodyThatWentElsewhereBeforeIsStillABody() throws {
        let stuck = try ManualBackend()
        let slow = try (0..<2).map { _ in
            try TestBackend { _ in [.wait(.milliseconds(120))] + ReplyStep.ok("ok") }
        }
        let tandem = try Self.plane([stuck.endpoint] + slow.map(\.endpoint))
        for name in ["be1", "be2"] {
            tandem.plane.setBackendAvailability(pool: "web", backend: name, isUp: false)
        }
        let client = try tandem.client()
        try client.send("PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        let connection = try stuck.accept()
        _ = try connection.take(until: "body")
        tandem.plane.setStandings(
            pool: "web",
            [
                ("be0", BackendStanding(admission: .draining)), ("be1", BackendStanding()),
                ("be2", BackendStanding()),
            ])
        #expect(tandem.plane.forceClose(pool: "web", backends: ["be0"], tunnelsToo: false))
        #expect(try client.response().text == "ok")
        #expect(tandem.pool.hedges == 0)
        let requests = slow.flatMap(\.log.requests)
        #expect(requests.count == 1)
        #expect(requests.first?.body == Array("body".utf8))
        #expect(try client.exchange("/2").text == "ok")
    }

    @Test func aClientThatIsTiedIsNotSentElsewhere() throws {
        let backends = try (0..<2).map { _ in
            try TestBackend { _ in [.wait(.milliseconds(80))] + ReplyStep.ok("ok") }
        }
        var pool = TestPlane.pool("web", backends.map(\.endpoint))
        pool.outlierDetection = nil
        pool.hedging = HedgingConfiguration(after: .milliseconds(10), budgetPercent: 100)
        pool.sticky = StickyConfiguration()
        let tandem = try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            pools: [pool])
        let first = try tandem.client().exchange("/")
        let cookie = try #require(first.field("Set-Cookie")).prefix { $0 != ";" }
        let hedges = tandem.pool.hedges
        #expect(hedges == 1)
        let client = try tandem.client()
        for _ in 0..<3 {
            try client.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: \(cookie)\r\n\r\n")
            #expect(try client.response().text == "ok")
        }
        #expect(tandem.pool.hedges == hedges)
    }
}
