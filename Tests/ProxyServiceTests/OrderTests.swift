// SPDX-License-Identifier: Apache-2.0
//
// A backend is drained: what idles closes, what works may end, and what does not end is cut without
// harm to requests that can go elsewhere. Whatever happens, nothing stays in flight in the books.

import BalancerCore
import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

struct OrderTests {
    private static let draining = BackendStanding(admission: .draining)

    private static func isEmpty(_ tandem: TestPlane) -> Bool {
        let numbers = tandem.plane.statistics()
        return numbers.pools.allSatisfy { $0.requestsInFlight == 0 }
            && numbers.backends.allSatisfy { $0.requestsInFlight == 0 && $0.tunnelsInFlight == 0 }
    }

    @Test func idleConnectionsCloseAtOnce() throws {
        let backends = try (0..<2).map { _ in try TestBackend { _ in ReplyStep.ok("ok") } }
        let tandem = try TestPlane(backends.map(\.endpoint), workers: 2)
        for _ in 0..<8 { #expect(try tandem.client().exchange("/").status == 200) }
        #expect(tandem.plane.inFlight(pool: "web", backend: "be0").connections > 0)
        tandem.plane.setStanding(pool: "web", backend: "be0", Self.draining)
        #expect(tandem.plane.closeIdle(pool: "web", backends: ["be0"]))
        #expect(eventually { tandem.plane.inFlight(pool: "web", backend: "be0").connections == 0 })
        #expect(backends[0].log.connectionCount == backends[0].log.endedConnections)
        #expect(tandem.plane.inFlight(pool: "web", backend: "be1").connections > 0)
        #expect(
            tandem.plane.statistics().pools[0].connections
                == tandem.plane.inFlight(pool: "web", backend: "be1").connections)
    }

    @Test func aRequestInFlightEndsAndItsConnectionIsNotKept() throws {
        let backend = try ManualBackend()
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try backend.accept()
        _ = try connection.takeHead()
        tandem.plane.setStanding(pool: "web", backend: "be0", Self.draining)
        #expect(
            tandem.plane.inFlight(pool: "web", backend: "be0")
                == BackendInFlight(requests: 1, tunnels: 0, connections: 1))
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(try client.response().text == "ok")
        #expect(connection.isClosedByPeer())
        #expect(
            eventually {
                tandem.plane.inFlight(pool: "web", backend: "be0") == BackendInFlight()
            })
    }

    @Test func aRequestThatMayBeRepeatedGoesElsewhereWhenItIsCut() throws {
        let stuck = try ManualBackend()
        let good = try TestBackend { _ in ReplyStep.ok("good") }
        let tandem = try TestPlane([stuck.endpoint, good.endpoint])
        tandem.plane.setStanding(
            pool: "web", backend: "be1", BackendStanding(admission: .maintenance))
        let reader = try tandem.client()
        let writer = try tandem.client()
        try reader.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let first = try stuck.accept()
        _ = try first.takeHead()
        try writer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        let second = try stuck.accept()
        _ = try second.take(until: "hi")
        tandem.plane.setStandings(
            pool: "web", [("be0", Self.draining), ("be1", BackendStanding())])
        #expect(tandem.plane.forceClose(pool: "web", backends: ["be0"], tunnelsToo: false))
        #expect(try reader.response().text == "good")
        #expect(try writer.response().status == 502)
        #expect(eventually { Self.isEmpty(tandem) })
        let numbers = tandem.backend(0)
        #expect(numbers.cutRequests == 2 && numbers.cutTunnels == 0)
        // The backend is not to blame.
        #expect(numbers.failures == 0)
        #expect(tandem.plane.traffic(pool: "web")[0].traffic.localFailures == 0)
    }

    @Test func anAnswerThatHasBegunIsSeenToBeShort() throws {
        let stuck = try ManualBackend()
        let tandem = try TestPlane([stuck.endpoint])
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let connection = try stuck.accept()
        _ = try connection.takeHead()
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        #expect(eventually { tandem.listener.bytesSent > 0 })
        #expect(tandem.plane.forceClose(pool: "web", backends: ["be0"], tunnelsToo: true))
        #expect(throws: TestFailure.self) { try client.response() }
        #expect(eventually { Self.isEmpty(tandem) })
        #expect(tandem.backend(0).cutRequests == 1)
    }

    @Test func tunnelsAreCutOnlyWhenAsked() throws {
        let backend = try ManualBackend()
        let tandem = try TestPlane(
            service: .tcp(pool: "web"), pools: [TestPlane.pool("web", [backend.endpoint])])
        let client = try tandem.client()
        let connection = try backend.accept()
        try client.send("hello")
        _ = try connection.take(until: "hello")
        #expect(
            tandem.plane.inFlight(pool: "web", backend: "be0")
                == BackendInFlight(requests: 0, tunnels: 1, connections: 1))
        #expect(tandem.plane.statistics().pools[0].requestsInFlight == 0)
        tandem.plane.setStanding(pool: "web", backend: "be0", Self.draining)
        #expect(tandem.plane.forceClose(pool: "web", backends: ["be0"], tunnelsToo: false))
        try client.send("again")
        _ = try connection.take(until: "again")
        #expect(tandem.plane.forceClose(pool: "web", backends: ["be0"], tunnelsToo: true))
        #expect(connection.isClosedByPeer())
        #expect(client.isClosedByPeer())
        #expect(eventually { Self.isEmpty(tandem) })
        #expect(tandem.backend(0).cutTunnels == 1)
        #expect(tandem.plane.inFlight(pool: "web", backend: "be0") == BackendInFlight())
    }
}
