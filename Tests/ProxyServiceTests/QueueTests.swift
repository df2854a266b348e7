// SPDX-License-Identifier: Apache-2.0
//
// Requests for which there is no room: who waits, for how long, who is let in when, and that no
// limit is exceeded and nobody is forgotten.

import AccessLogLaboratory
import BalancerCore
import ConfigurationCore
import LinuxIO
import Synchronization
import Testing
import WireCore

@testable import ProxyService

@Suite(.serialized)
struct QueueTests {
    private static func plane(
        _ backends: [Endpoint], workers: Int = 1, balance: BalancePolicy = .roundRobin,
        _ change: (inout PoolConfiguration) -> Void
    ) throws -> TestPlane {
        var pool = TestPlane.pool("web", backends, balance: balance)
        change(&pool)
        return try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            pools: [pool], workers: workers)
    }

    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test func requestBeyondTheLimitWaitsForItsTurn() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) { $0.limits.requests = 1 }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        let second = try tandem.client()
        try second.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        #expect(eventually { tandem.pool.waiting == 1 })
        #expect(tandem.pool.requestsInFlight == 1)
        try connection.send(Self.ok)
        #expect(try first.response().text == "ok")
        #expect(try connection.take(until: "body").hasPrefix("POST /2 "))
        try connection.send(Self.ok)
        #expect(try second.response().text == "ok")
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
        #expect(tandem.pool.waiting == 0)
        #expect(tandem.pool.queued == 1)
        #expect(tandem.pool.opened("requests") == 1)
    }

    @Test func thoseWhoWaitAreServedInTurn() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) { $0.limits.requests = 1 }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        var waiting: [TestClient] = []
        for number in 0..<5 {
            let client = try tandem.client()
            try client.send("GET /\(number) HTTP/1.1\r\nHost: a\r\n\r\n")
            waiting.append(client)
            #expect(eventually { tandem.pool.waiting == number + 1 })
        }
        try connection.send(Self.ok)
        for (number, client) in waiting.enumerated() {
            #expect(try connection.takeHead().hasPrefix("GET /\(number) "))
            try connection.send(Self.ok)
            #expect(try client.response().status == 200)
        }
    }

    @Test func oneThatWaitsTooLongIsToldWhenToComeBack() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) {
            $0.limits.requests = 1
            $0.queue.timeout = .milliseconds(100)
            $0.queue.retryAfter = .milliseconds(1_500)
        }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        let second = try tandem.client()
        let response = try second.exchange("/", method: "POST", body: "short")
        #expect(response.status == 503)
        #expect(response.field("retry-after") == "2")
        #expect(tandem.pool.queueTimeouts == 1)
        try connection.send(Self.ok)
        #expect(try first.response().status == 200)
        // The body was thrown away, the connection lives.
        try second.send(Self.get)
        _ = try connection.takeHead()
        try connection.send(Self.ok)
        #expect(try second.response().status == 200)
    }

    @Test(arguments: [0, 1])
    func oneTooManyIsRefusedAtOnce(length: Int) throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) {
            $0.limits.requests = 1
            $0.queue.length = length
            $0.queue.timeout = .seconds(60)
        }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        var waiting: [TestClient] = []
        for _ in 0..<length {
            let client = try tandem.client()
            try client.send(Self.get)
            waiting.append(client)
        }
        #expect(eventually { tandem.pool.waiting == length })
        let response = try tandem.client().exchange("/")
        #expect(response.status == 503)
        #expect(response.field("retry-after") == "1")
        #expect(tandem.pool.shed == 1)
        #expect(tandem.pool.waiting == length)
    }

    @Test func theLogTellsOfTheQueue() throws {
        let file = AccessLogFile()
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) {
            $0.limits.requests = 1
            $0.queue = QueueConfiguration(length: 1, timeout: .milliseconds(150))
        }
        try tandem.reload(accessLog: file.configuration)
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        let second = try tandem.client()
        try second.send(Self.get)
        #expect(eventually { tandem.pool.waiting == 1 })
        #expect(try tandem.client().exchange("/").status == 503)
        #expect(try second.response().status == 503)
        let lines = try file.lines(2)
        #expect(lines[0]["termination"] == "RQ")
        #expect(lines[1]["termination"] == "sQ")
        #expect(lines[1]["pool"] == "web")
        #expect(lines[1]["backend"] == nil)
        let queued = lines[1]["queue_us"].flatMap { UInt64($0) } ?? 0
        #expect(queued >= 150_000 && queued < 5_000_000)
    }

    @Test func clientThatLeavesWhileItWaitsIsForgotten() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) { $0.limits.requests = 1 }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        do {
            let second = try tandem.client()
            try second.send(Self.get)
            #expect(eventually { tandem.pool.waiting == 1 })
            second.resetOnClose()
        }
        #expect(eventually { tandem.pool.waiting == 0 })
        #expect(tandem.pool.queueAborts == 1)
        try connection.send(Self.ok)
        #expect(try first.response().status == 200)
        try first.send(Self.get)
        _ = try connection.takeHead()
        try connection.send(Self.ok)
        #expect(try first.response().status == 200)
    }

    @Test func aBackendAtItsLimitLetsRequestsGoElsewhereAndThenWait() throws {
        let backends = [try ManualBackend(), try ManualBackend()]
        let tandem = try Self.plane(backends.map(\.endpoint)) { pool in
            for index in pool.backends.indices { pool.backends[index].maxRequests = 1 }
        }
        let clients = try (0..<3).map { _ in try tandem.client() }
        for client in clients { try client.send(Self.get) }
        let connections = try backends.map { try $0.accept() }
        for connection in connections { _ = try connection.takeHead() }
        #expect(eventually { tandem.pool.waiting == 1 })
        #expect(tandem.backend(0).requestsInFlight == 1)
        #expect(tandem.backend(1).requestsInFlight == 1)
        try connections[1].send(Self.ok)
        _ = try connections[1].takeHead()
        #expect(tandem.pool.waiting == 0)
        try connections[0].send(Self.ok)
        try connections[1].send(Self.ok)
        for client in clients { #expect(try client.response().status == 200) }
        #expect(tandem.pool.opened("backends") == 1)
    }

    @Test func requestsThatWaitMoveToTheReloadedPool() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) { $0.limits.requests = 1 }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        let second = try tandem.client()
        try second.send(Self.get)
        #expect(eventually { tandem.pool.waiting == 1 })
        // The new limit has room for it at once.
        var wider = TestPlane.pool("web", [backend.endpoint])
        wider.limits.requests = 2
        _ = try tandem.reload(pools: [wider])
        let other = try backend.accept()
        _ = try other.takeHead()
        try other.send(Self.ok)
        #expect(try second.response().status == 200)
        try connection.send(Self.ok)
        #expect(try first.response().status == 200)
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
    }

    @Test func requestsThatWaitForAPoolThatIsRemovedAreAnswered() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) { $0.limits.requests = 1 }
        let first = try tandem.client()
        try first.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        let second = try tandem.client()
        try second.send(Self.get)
        #expect(eventually { tandem.pool.waiting == 1 })
        _ = try tandem.reload(
            pools: [TestPlane.pool("other", [backend.endpoint])],
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "other")])
        #expect(try second.response().status == 503)
        try connection.send(Self.ok)
        #expect(try first.response().status == 200)
    }

    @Test func aWiderLimitLetsThoseInWhoWait() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint], workers: 2) { _ in }
        #expect(tandem.plane.setAdaptiveLimit(pool: "web", requests: 1))
        let clients = try (0..<4).map { _ in try tandem.client() }
        for client in clients { try client.send(Self.get) }
        #expect(eventually { tandem.pool.waiting == 3 })
        #expect(tandem.pool.requestLimit == 1)
        #expect(tandem.plane.setAdaptiveLimit(pool: "web", requests: .max))
        for _ in clients {
            let connection = try backend.accept()
            _ = try connection.takeHead()
            try connection.send(Self.ok)
        }
        for client in clients { #expect(try client.response().status == 200) }
    }

    @Test func tcpClientsWaitForAConnection() throws {
        let listener = try TunnelListener()
        var pool = TestPlane.pool("tcp", [listener.endpoint])
        pool.limits.connections = 1
        let tandem = try TestPlane(service: .tcp(pool: "tcp"), pools: [pool], workers: 2)
        let first = try TunnelPeer(connectingTo: tandem.endpoint)
        let backend = try listener.accept()
        try first.send("one")
        try backend.expect("one")
        let second = try TunnelPeer(connectingTo: tandem.endpoint)
        try second.send("two")
        #expect(eventually { tandem.pool.waiting == 1 })
        #expect(tandem.pool.connections == 1)
        // A tunnel is no request.
        #expect(tandem.pool.requestsInFlight == 0)
        try first.finishSending()
        #expect(try backend.end() == .ended)
        try backend.finishSending()
        #expect(try first.end() == .ended)
        let next = try listener.accept()
        try next.expect("two")
        #expect(tandem.pool.connections == 1)
    }

    @Test func aConnectionThatIdlesElsewhereGivesWay() throws {
        let backends = try (0..<2).map { _ in try TestBackend { _ in ReplyStep.ok("ok") } }
        let tandem = try Self.plane(backends.map(\.endpoint), workers: 2) { pool in
            pool.limits.connections = 1
        }
        // Whichever worker and backend the connection is with, each of these finds one.
        for _ in 0..<40 {
            #expect(try tandem.client().exchange("/").status == 200)
            #expect(tandem.pool.connections <= 1)
        }
    }

    /// Goal: no lost wake-up and no request beyond the limit.
    ///
    /// Method: many clients on two workers for one place.
    @Test(arguments: [1, 3])
    func nobodyIsForgotten(limit: Int) throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try Self.plane([backend.endpoint], workers: 2) {
            $0.limits.requests = limit
            $0.queue.timeout = .seconds(60)
        }
        let requestCount = 400
        let answered = Atomic<Int>(0)
        let remaining = Atomic<Int>(12)
        let threads = try (0..<12).map { _ in
            let endpoint = tandem.endpoint
            return try KernelThread.start(name: "client") {
                if let client = try? TestClient(endpoint) {
                    for _ in 0..<requestCount {
                        guard let response = try? client.exchange("/"), response.status == 200
                        else { break }
                        answered.wrappingAdd(1, ordering: .relaxed)
                    }
                }
                remaining.subtract(1, ordering: .relaxed)
            }
        }
        var most = 0
        #expect(
            eventually(within: .seconds(120)) {
                most = max(most, tandem.pool.requestsInFlight)
                return remaining.load(ordering: .relaxed) == 0
            })
        for thread in threads { thread.join() }
        #expect(answered.load(ordering: .relaxed) == 12 * requestCount)
        #expect(most <= limit)
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
        #expect(tandem.pool.waiting == 0)
        #expect(tandem.pool.queued > 0)
        #expect(tandem.pool.queueTimeouts == 0)
    }

    @Test func theConnectionOfADroppedAnswerGoesToWhoWaits() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) {
            $0.outlierDetection = nil
            $0.limits.connections = 1
            $0.retries.conditions = [.gatewayError]
            $0.retries.backoff = .milliseconds(1)
        }
        let client = try tandem.client()
        try client.send(Self.get)
        let connection = try backend.accept()
        _ = try connection.takeHead()
        try connection.send("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n")
        #expect(eventually { tandem.pool.waiting == 1 })
        try connection.send("no")
        #expect(try connection.takeHead().hasPrefix("GET / "))
        try connection.send(Self.ok)
        #expect(try client.response().text == "ok")
    }

    @Test func oneSentAgainWaitsForTheSameBackend() throws {
        let backend = try ManualBackend()
        let tandem = try Self.plane([backend.endpoint]) { $0.backends[0].maxConnections = 2 }
        let clients = try (0..<3).map { _ in try tandem.client() }
        func send(_ index: Int) throws {
            try clients[index].send("GET /\(index) HTTP/1.1\r\nHost: a\r\n\r\n")
        }
        try send(0)
        let older = try backend.accept()
        _ = try older.takeHead()
        try send(1)
        let newer = try backend.accept()
        _ = try newer.takeHead()
        for (index, connection) in [older, newer].enumerated() {
            try connection.send(Self.ok)
            #expect(try clients[index].response().text == "ok")
            #expect(eventually { tandem.backend(0).idleConnections == index + 1 })
        }
        // Last used first.
        try send(0)
        #expect(try newer.takeHead().hasPrefix("GET /0 "))
        try send(1)
        #expect(try older.takeHead().hasPrefix("GET /1 "))
        tandem.plane.setStanding(
            pool: "web", backend: "be0", BackendStanding(rampPercent: 50))
        try send(2)
        #expect(eventually { tandem.pool.waiting == 1 })
        older.finishSending()
        #expect(eventually { tandem.pool.waiting == 2 })
        try newer.send(Self.ok)
        #expect(try clients[0].response().text == "ok")
        for index in [2, 1] {
            #expect(try newer.takeHead().hasPrefix("GET /\(index) "))
            try newer.send(Self.ok)
            #expect(try clients[index].response().text == "ok")
        }
    }
}
