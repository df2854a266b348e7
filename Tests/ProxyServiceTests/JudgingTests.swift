// SPDX-License-Identifier: Apache-2.0
//
// What traffic shows about backends reaches the control thread: failures in a row as all workers
// see them, and the one request of a trial, whatever becomes of it.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import ProxyService
import Testing
import WireCore

/// The events of a data plane as the control thread would see them.
final class TrafficWatch {
    private let loop: EventLoop
    private(set) var events: [TrafficEvent] = []

    init(_ plane: DataPlane) throws {
        loop = try EventLoop()
        try plane.watchTraffic(on: loop) { [unowned self] in events.append($0) }
    }

    deinit {
        loop.close()
    }

    /// Waits for so many events.
    func wait(for count: Int) -> Bool {
        loop.run(until: Clock.now() + .seconds(10)) { events.count >= count }
    }

    /// Takes what is there.
    func look() {
        _ = loop.run(until: Clock.now() + .milliseconds(50)) { false }
    }

    var findings: [TrafficEvent.Finding] { events.map(\.finding) }

    func forget() { events = [] }
}

struct JudgingTests {
    /// Answers the status that the target names.
    private static func statusBackend() throws -> TestBackend {
        try TestBackend { request in
            let status = request.target.dropFirst()
            return [.text("HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n")]
        }
    }

    private static func plane(
        _ endpoints: [Endpoint], workers: Int = 1,
        _ change: (inout PoolConfiguration) -> Void = { _ in }
    ) throws -> TestPlane {
        var pool = TestPlane.pool("web", endpoints)
        change(&pool)
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        return try TestPlane(
            routes: routes, pools: [pool], workers: workers,
            timeouts: TimeoutConfiguration(responseHead: .milliseconds(300)))
    }

    @Test func failuresInARowAreCountedByAllWorkersTogether() throws {
        let backend = try Self.statusBackend()
        let tandem = try Self.plane([backend.endpoint], workers: 3)
        let watch = try TrafficWatch(tandem.plane)
        // Connections spread over the workers: none of them sees five failures.
        for _ in 0..<4 { #expect(try tandem.client().exchange("/500").status == 500) }
        #expect(try tandem.client().exchange("/404").status == 404)
        for _ in 0..<4 { #expect(try tandem.client().exchange("/500").status == 500) }
        watch.look()
        #expect(watch.events.isEmpty)
        #expect(try tandem.client().exchange("/500").status == 500)
        #expect(watch.wait(for: 1))
        #expect(
            watch.events == [
                TrafficEvent(
                    pool: "web", backend: "be0",
                    finding: .failedInARow(.serverErrors(count: 5)))
            ])
        let traffic = try #require(tandem.plane.traffic(pool: "web").first).traffic
        #expect(traffic.successes == 1 && traffic.serverErrors == 9 && traffic.requests == 10)
        #expect(traffic.gatewayErrors == 0 && traffic.localFailures == 0)
    }

    @Test func gatewayErrorsHaveARowOfTheirOwn() throws {
        let backend = try Self.statusBackend()
        let tandem = try Self.plane([backend.endpoint]) {
            $0.outlierDetection?.consecutiveServerErrors = 0
            $0.outlierDetection?.consecutiveGatewayErrors = 3
        }
        let watch = try TrafficWatch(tandem.plane)
        let client = try tandem.client()
        for status in [502, 503, 500, 504, 502, 503] {
            #expect(try client.exchange("/\(status)").status == UInt16(status))
        }
        #expect(watch.wait(for: 1))
        #expect(watch.findings == [.failedInARow(.gatewayErrors(count: 3))])
        #expect(tandem.plane.traffic(pool: "web")[0].traffic.gatewayErrors == 5)
    }

    @Test func whoDoesNotAnswerFailsInARow() throws {
        let dead = try deadEndpoint()
        let tandem = try Self.plane([dead])
        let watch = try TrafficWatch(tandem.plane)
        let client = try tandem.client()
        for _ in 0..<5 { #expect(try client.exchange("/").status == 502) }
        #expect(watch.wait(for: 1))
        #expect(watch.findings == [.failedInARow(.refusedConnections(count: 5))])
        // Read, so the next row is told again.
        for _ in 0..<5 { #expect(try client.exchange("/").status == 502) }
        #expect(watch.wait(for: 2))
    }

    @Test func aStormIsToldOnceUntilItIsRead() throws {
        let backend = try Self.statusBackend()
        let tandem = try Self.plane([backend.endpoint])
        let watch = try TrafficWatch(tandem.plane)
        let client = try tandem.client()
        for _ in 0..<60 { #expect(try client.exchange("/500").status == 500) }
        watch.look()
        #expect(watch.events.count == 1)
    }

    @Test func oneRequestIsTheTrial() throws {
        let good = try TestBackend { _ in ReplyStep.ok("good") }
        let ejected = try TestBackend { _ in
            [.wait(.milliseconds(100))] + ReplyStep.ok("ejected")
        }
        let tandem = try Self.plane([ejected.endpoint, good.endpoint], workers: 2)
        let watch = try TrafficWatch(tandem.plane)
        tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding(admission: .trial))
        let post = try tandem.client()
        #expect(try post.exchange("/", method: "POST", body: "x").text == "good")
        let clients = try (0..<10).map { _ in try tandem.client() }
        for client in clients { try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
        let texts = try clients.map { try $0.response().text }
        #expect(texts.filter { $0 == "ejected" }.count == 1)
        #expect(watch.wait(for: 2))
        #expect(watch.findings == [.trialBegan, .trialEnded(.succeeded)])
        for client in clients { #expect(try client.exchange("/").text == "good") }
        // The same decision again grants one more.
        tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding(admission: .trial))
        #expect(try post.exchange("/").text == "ejected")
        #expect(try post.exchange("/").text == "good")
        #expect(watch.wait(for: 4))
    }

    @Test func aTrialThatFailsIsToldAndItsRequestGoesElsewhere() throws {
        let good = try TestBackend { _ in ReplyStep.ok("good") }
        let tandem = try Self.plane([try deadEndpoint(), good.endpoint])
        let watch = try TrafficWatch(tandem.plane)
        tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding(admission: .trial))
        let client = try tandem.client()
        for _ in 0..<3 { #expect(try client.exchange("/").text == "good") }
        #expect(watch.wait(for: 2))
        #expect(watch.findings == [.trialBegan, .trialEnded(.failed)])
    }

    @Test func aTrialWhoseClientLeavesTeachesNothing() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint])
        let watch = try TrafficWatch(tandem.plane)
        tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding(admission: .trial))
        // The backend's end stays open: only the client leaves.
        var connection: ManualConnection?
        do {
            let client = try tandem.client()
            try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            connection = try backend.accept()
            _ = try connection?.takeHead()
            client.resetOnClose()
        }
        #expect(watch.wait(for: 2))
        withExtendedLifetime(connection) {}
        #expect(watch.findings == [.trialBegan, .trialEnded(.abandoned)])
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
    }

    @Test func aTrialOfAnEarlierTimeHasNoSay() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint])
        let watch = try TrafficWatch(tandem.plane)
        tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding(admission: .trial))
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try backend.accept()
        _ = try connection.takeHead()
        tandem.plane.setStanding(
            pool: "web", backend: "be0", BackendStanding(admission: .maintenance))
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        #expect(try client.response().status == 200)
        watch.look()
        #expect(watch.findings == [.trialBegan])
    }

    @Test func anEventAboutABackendThatIsGoneIsDropped() throws {
        let backend = try Self.statusBackend()
        let other = try Self.statusBackend()
        let tandem = try Self.plane([backend.endpoint])
        let client = try tandem.client()
        for _ in 0..<5 { #expect(try client.exchange("/500").status == 500) }
        _ = try tandem.reload(pools: [TestPlane.pool("web", [other.endpoint])])
        let watch = try TrafficWatch(tandem.plane)
        watch.look()
        #expect(watch.events.isEmpty)
    }

    @Test func whoAsksForTimeGetsIt() throws {
        let busy = try TestBackend { _ in
            [.text("HTTP/1.1 503 X\r\nrEtry-After: 300\r\nContent-Length: 0\r\n\r\n")]
        }
        let slow = try TestBackend { _ in
            [.wait(.milliseconds(1_200))] + ReplyStep.ok("slow")
        }
        var pool = TestPlane.pool("web", [busy.endpoint, slow.endpoint])
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool])
        let client = try tandem.client()
        for _ in 0..<2 { _ = try client.exchange("/") }
        #expect(busy.log.requests.count == 1)
        pool.balance = .leastTime
        _ = try tandem.reload(pools: [pool])
        // A failure without a hint counts a second, which is less than the other one takes.
        for _ in 0..<3 { #expect(try client.exchange("/").text == "slow") }
        #expect(busy.log.requests.count == 1)
    }

    @Test func theLimitFollowsTheLatency() throws {
        let backend = try TestBackend { request in
            request.target == "/slow"
                ? [.wait(.milliseconds(40))] + ReplyStep.ok("slow") : ReplyStep.ok("ok")
        }
        var pool = TestPlane.pool("web", [backend.endpoint])
        pool.limits.requests = 100
        pool.adaptiveConcurrency = AdaptiveConcurrencyConfiguration(
            requestsMin: 4, interval: .milliseconds(50))
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool])
        #expect(tandem.plane.statistics().pools[0].adaptiveLimit == 100)
        let clients = try (0..<12).map { _ in try tandem.client() }
        for _ in 0..<6 { for client in clients { _ = try client.exchange("/") } }
        for _ in 0..<6 {
            for client in clients { try client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") }
            for client in clients { #expect(try client.response().status == 200) }
        }
        let limit = try #require(tandem.plane.statistics().pools[0].adaptiveLimit)
        #expect(limit < 100 && limit >= 4)
        // What was learned outlives a reload that does not change the rules.
        pool.balance = .random
        _ = try tandem.reload(pools: [pool])
        #expect(try clients[0].exchange("/").status == 200)
        let kept = try #require(tandem.plane.statistics().pools[0].adaptiveLimit)
        #expect(kept < 100)
        pool.adaptiveConcurrency = nil
        _ = try tandem.reload(pools: [pool])
        #expect(eventually { tandem.plane.statistics().pools[0].adaptiveLimit == nil })
    }
}
