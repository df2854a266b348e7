// SPDX-License-Identifier: Apache-2.0
//
// Starting, reloading under load, draining, stopping, and what other threads can see meanwhile.

import ConfigurationCore
import LinuxIO
import ProxyService
import Synchronization
import Telemetry
import Testing
import WireCore

@Suite(.serialized)
struct LifecycleTests {
    @Test func portInUseNamesItsListenerBeforeAnythingStarts() throws {
        let taken = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let endpoint = try #require(try StreamSocket.localEndpoint(taken))
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let listeners = ["first", "second"].map {
            ListenerConfiguration(name: $0, bind: endpoint, routes: routes)
        }
        let configuration = Configuration(
            workers: .exactly(1), pair: nil, listeners: listeners,
            pools: [TestPlane.pool("web", [endpoint])],
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: TimeoutConfiguration())
        let plane = try DataPlane(
            configuration: configuration, nodeName: "test",
            logger: Logger("proxy", sink: nil), descriptorLimit: 1_024)
        let error = #expect(throws: DataPlaneError.self) { try plane.start() }
        #expect(error?.problems.count == 2)
        #expect(error?.problems[0].contains("listener first") == true)
        #expect(error?.problems[1].contains("\(endpoint)") == true)
    }

    @Test func addressesThatTheHostDoesNotHoldCanBeBound() throws {
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let bind = Endpoint(address: .v4(IPv4Address(203, 0, 113, 7)), port: 18_099)
        let configuration = Configuration(
            workers: .exactly(2), pair: nil,
            listeners: [ListenerConfiguration(name: "vip", bind: bind, routes: routes)],
            pools: [TestPlane.pool("web", [bind])],
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: TimeoutConfiguration())
        let plane = try DataPlane(
            configuration: configuration, nodeName: "test",
            logger: Logger("proxy", sink: nil), descriptorLimit: 1_024)
        try plane.start()
        #expect(plane.boundEndpoint(listener: "vip") == bind)
        plane.stop()
    }

    @Test func idleWorkersShowThatTheyLive() throws {
        let tandem = try TestPlane([try deadEndpoint()], workers: 2)
        let first = (0..<2).map { tandem.plane.lastTurn(worker: $0) }
        #expect(
            eventually(within: .seconds(2)) {
                (0..<2).allSatisfy { tandem.plane.lastTurn(worker: $0) > first[$0] }
            })
        #expect(!tandem.plane.isStalled(now: Clock.now()))
        #expect(tandem.plane.isStalled(now: Clock.now() + .seconds(2)))
    }

    @Test func reloadsUnderLoadDropNoRequest() throws {
        let backends = try (0..<3).map { index in
            try TestBackend { _ in [.wait(.milliseconds(UInt64(index)))] + ReplyStep.ok("\(index)")
            }
        }
        let endpoints = backends.map(\.endpoint)
        let tandem = try TestPlane([endpoints[0]], workers: 2)
        let load = try RequestLoad(clientCount: 8, endpoint: tandem.endpoint)
        for turn in 0..<60 {
            let reached = load.successCount + 10
            #expect(eventually { load.successCount >= reached })
            let pool = TestPlane.pool(
                "web", [endpoints[turn % 3], endpoints[(turn + 1) % 3]],
                balance: turn % 2 == 0 ? .leastTime : .leastRequests)
            _ = try tandem.reload(pools: [pool])
        }
        #expect(load.finish() == [])
        for backend in backends { #expect(!backend.log.requests.isEmpty) }
        #expect(eventually { tandem.backend(0).requestsInFlight == 0 })
        #expect(eventually { tandem.backend(1).requestsInFlight == 0 })
    }

    @Test func removedBackendFinishesItsRequestsAndLosesItsIdleConnections() throws {
        let old = try TestBackend { request in
            request.target == "/slow"
                ? [.wait(.milliseconds(300))] + ReplyStep.ok("old") : ReplyStep.ok("old")
        }
        let new = try TestBackend { _ in ReplyStep.ok("new") }
        let tandem = try TestPlane([old.endpoint])
        let idle = try tandem.client()
        let busy = try tandem.client()
        try busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { old.log.requests.count == 1 })
        #expect(try idle.exchange("/").text == "old")
        #expect(old.log.connectionCount == 2)
        let report = try tandem.reload(pools: [TestPlane.pool("web", [new.endpoint])])
        #expect(report.addedBackends == ["web/be0"])
        #expect(report.removedBackends == ["web/be0"])
        #expect(eventually { old.log.endedConnections == 1 })
        #expect(try idle.exchange("/").text == "new")
        #expect(try busy.response().text == "old")
        #expect(eventually { old.log.endedConnections == 2 })
        // Neither client noticed anything.
        #expect(try busy.exchange("/").text == "new")
        #expect(try idle.exchange("/").text == "new")
    }

    @Test func unchangedBackendKeepsItsVerdictAndNumbersOverAReload() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        var pool = TestPlane.pool("web", [backend.endpoint])
        pool.healthCheck = HealthCheckConfiguration(
            probe: .tcp(PayloadProbe()), interval: .seconds(5), timeout: .seconds(3), fall: 3,
            rise: 2)
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool])
        let client = try tandem.client()
        #expect(try client.exchange("/").status == 200)
        tandem.plane.setBackendAvailability(pool: "web", backend: "be0", isUp: false)
        pool.balance = .random
        _ = try tandem.reload(pools: [pool])
        #expect(!tandem.backend(0).isUp)
        #expect(tandem.backend(0).requests == 1)
        #expect(try client.exchange("/").status == 503)
    }

    @Test func badReloadLeavesTheOldConfigurationInForce() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint])
        var bad = tandem.configuration
        bad.listeners[0].routes[0].action = .pool("nowhere")
        let error = #expect(throws: DataPlaneError.self) { try tandem.plane.apply(bad) }
        #expect(error?.problems.first?.contains("nowhere") == true)
        #expect(try tandem.client().exchange("/").status == 200)
    }

    @Test func listenersComeAndGoWithAReload() throws {
        let backend = try TestBackend { _ in
            [.wait(.milliseconds(30))] + ReplyStep.ok("ok")
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        #expect(try client.exchange("/").status == 200)
        var changed = tandem.configuration
        changed.listeners[0].name = "other"
        let report = try tandem.plane.apply(changed)
        #expect(report.addedListeners == ["other"])
        #expect(report.removedListeners == ["web"])
        // The client of the removed listener is served on.
        #expect(try client.exchange("/").status == 200)
        let endpoint = try #require(tandem.plane.boundEndpoint(listener: "other"))
        #expect(try TestClient(endpoint).exchange("/").status == 200)
        #expect(eventually { (try? TestClient(tandem.endpoint)) == nil })
    }

    @Test func farewellPartsFromClientsButServesNewOnes() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint], workers: 1)
        let idle = try tandem.client()
        #expect(try idle.exchange("/").status == 200)
        tandem.plane.sayFarewell()
        #expect(idle.isClosedByPeer())
        for _ in 0..<2 {
            let client = try tandem.client()
            let response = try client.exchange("/")
            #expect(response.status == 200)
            #expect(response.field("connection") == "close")
            #expect(client.isClosedByPeer())
        }
        #expect(!tandem.plane.isDrained)
    }

    @Test func farewellPartsFromClientsWhoseRequestIsInFlight() throws {
        let backend = try TestBackend { _ in
            [.wait(.milliseconds(300))] + ReplyStep.ok("late")
        }
        let tandem = try TestPlane([backend.endpoint], workers: 1)
        let busy = try tandem.client()
        try busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { backend.log.requests.count == 1 })
        tandem.plane.sayFarewell()
        let response = try busy.response()
        #expect(response.text == "late")
        #expect(response.field("connection") == "close")
        #expect(busy.isClosedByPeer())
    }

    @Test func partingTakesOneMoreRequestFromEachClient() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint], workers: 1)
        let idle = try tandem.client()
        #expect(try idle.exchange("/").field("connection") != "close")
        tandem.plane.beginParting()
        let fresh = try tandem.client()
        #expect(try fresh.exchange("/").field("connection") == "close")
        // Promised to go on: what was on its way, or comes within the grace, is served.
        let last = try idle.exchange("/")
        #expect(last.status == 200 && last.field("connection") == "close")
        #expect(idle.isClosedByPeer())
    }

    @Test func partingClosesWhoAsksNothingAndCanBeTakenBack() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane([backend.endpoint], workers: 1)
        let idle = try tandem.client()
        #expect(try idle.exchange("/").status == 200)
        tandem.plane.beginParting()
        #expect(idle.isClosedByPeer())
        tandem.plane.endParting()
        let staying = try tandem.client()
        for _ in 0..<2 {
            #expect(try staying.exchange("/").field("connection") != "close")
        }
    }

    @Test func drainFinishesWhatIsInFlightAndClosesTheRest() throws {
        let backend = try TestBackend { _ in
            [.wait(.milliseconds(300))] + ReplyStep.ok("late")
        }
        let tandem = try TestPlane([backend.endpoint], workers: 2)
        let idle = try tandem.client()
        #expect(try idle.exchange("/").status == 200)
        let busy = try tandem.client()
        try busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { backend.log.requests.count == 2 })
        #expect(!tandem.plane.isDrained)
        tandem.plane.beginDrain(deadline: Clock.now() + .seconds(10))
        #expect(idle.isClosedByPeer())
        let response = try busy.response()
        #expect(response.text == "late")
        #expect(response.field("connection") == "close")
        #expect(busy.isClosedByPeer())
        #expect(throws: Errno.self) { try tandem.client() }
        #expect(eventually { tandem.plane.isDrained })
    }

    @Test func drainDeadlineCutsWhatIsLeft() throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(eventually { backend.log.requests.count == 1 })
        tandem.plane.beginDrain(deadline: Clock.now() + .milliseconds(200))
        #expect(client.isClosedByPeer())
        #expect(eventually { tandem.plane.isDrained })
        let cuts = tandem.plane.statistics().limits.first { $0.limit == "drain_deadline" }
        #expect(cuts?.count == 1)
    }

    @Test func connectionLimitMakesClientsWaitInsteadOfFailing() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(
            routes: routes, pools: [TestPlane.pool("web", [backend.endpoint])],
            descriptorLimit: DataPlane.reservedDescriptorCount + 5 + 24)
        var clients = try (0..<40).map { _ in try tandem.client() }
        #expect(eventually { tandem.plane.openConnectionCount == 20 })
        var answered = 0
        while !clients.isEmpty {
            #expect(try clients.removeFirst().exchange("/").status == 200)
            answered += 1
            #expect(tandem.plane.openConnectionCount <= 24)
        }
        #expect(answered == 40)
        let hits = tandem.plane.statistics().limits.first { $0.limit == "connections" }
        #expect((hits?.count ?? 0) > 0)
    }
}
