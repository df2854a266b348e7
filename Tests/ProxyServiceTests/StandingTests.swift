// SPDX-License-Identifier: Apache-2.0
//
// What the control thread decides about a backend is obeyed by every worker from its next choice
// on, survives a reload as it should, and is found whatever the number of backends.

import BalancerCore
import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

struct StandingTests {
    private static func backends(_ count: Int) throws -> [TestBackend] {
        try (0..<count).map { number in try TestBackend { _ in ReplyStep.ok("\(number)") } }
    }

    @Test func decisionsAreObeyedByEveryWorkerAtTheNextChoice() throws {
        let backends = try Self.backends(2)
        let tandem = try TestPlane(backends.map(\.endpoint), workers: 3)
        let clients = try (0..<12).map { _ in try tandem.client() }
        for client in clients { #expect(try client.exchange("/").status == 200) }
        for admission in [BackendStanding.Admission.draining, .maintenance, .unhealthy] {
            let standing = BackendStanding(admission: admission)
            #expect(tandem.plane.setStanding(pool: "web", backend: "be0", standing))
            for client in clients { #expect(try client.exchange("/").text == "1") }
            tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding())
            var texts: Set<String> = []
            for client in clients + clients { texts.insert(try client.exchange("/").text) }
            #expect(texts == ["0", "1"])
        }
        #expect(!tandem.plane.setStanding(pool: "web", backend: "be2", BackendStanding()))
        #expect(!tandem.plane.setStanding(pool: "other", backend: "be0", BackendStanding()))
        #expect(
            tandem.plane.setStandings(
                pool: "web", [("be1", BackendStanding()), ("no", BackendStanding())]) == 1)
    }

    @Test func weightsAreThoseOfTheOperatorUntilTheFileChangesThem() throws {
        let backends = try Self.backends(2)
        var pool = TestPlane.pool("web", backends.map(\.endpoint))
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool])
        tandem.plane.setStanding(pool: "web", backend: "be0", BackendStanding(weight: 0))
        let client = try tandem.client()
        for _ in 0..<4 { #expect(try client.exchange("/").text == "1") }
        pool.balance = .leastRequests
        _ = try tandem.reload(pools: [pool])
        for _ in 0..<4 { #expect(try client.exchange("/").text == "1") }
        pool.backends[0].weight = 3
        pool.backends[1].weight = 0
        _ = try tandem.reload(pools: [pool])
        #expect(eventually { tandem.backend(0).standing.weight == 3 })
        #expect(eventually { (try? client.exchange("/").text) == "0" })
        for _ in 0..<4 { #expect(try client.exchange("/").text == "0") }
    }

    @Test func anEjectedBackendStaysOutWhenItsAddressChanges() throws {
        let backends = try Self.backends(3)
        var pool = TestPlane.pool("web", [backends[0].endpoint, backends[1].endpoint])
        pool.healthCheck = HealthCheckConfiguration(probe: .tcp(PayloadProbe()))
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool])
        tandem.plane.setStanding(
            pool: "web", backend: "be0", BackendStanding(admission: .unhealthy))
        pool.backends[0] = BackendConfiguration(
            name: "be0", address: backends[2].endpoint, weight: 1)
        _ = try tandem.reload(pools: [pool])
        let client = try tandem.client()
        for _ in 0..<6 { #expect(try client.exchange("/").text == "1") }
        // A pool that loses its check cannot wait for it.
        pool.healthCheck = nil
        _ = try tandem.reload(pools: [pool])
        #expect(eventually { (try? client.exchange("/").text) == "2" })
    }

    @Test func aReloadThatFailsChangesNoStanding() throws {
        let backends = try Self.backends(1)
        let tandem = try TestPlane(backends.map(\.endpoint))
        var bad = tandem.configuration
        bad.pools[0].backends[0].weight = 7
        bad.listeners[0].routes[0].action = .pool("nowhere")
        #expect(throws: DataPlaneError.self) { try tandem.plane.apply(bad) }
        #expect(tandem.backend(0).standing.weight == 1)
    }

    @Test func theNodesOwnZoneIsPreferred() throws {
        let backends = try Self.backends(2)
        var pool = TestPlane.pool("web", backends.map(\.endpoint))
        pool.backends[0].zone = "a"
        pool.backends[1].zone = "b"
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool], zone: "b")
        let client = try tandem.client()
        for _ in 0..<8 { #expect(try client.exchange("/").text == "1") }
        tandem.plane.setStanding(
            pool: "web", backend: "be1", BackendStanding(admission: .maintenance))
        for _ in 0..<8 { #expect(try client.exchange("/").text == "0") }
    }

    @Test func manyBackendsAreTakenOverWithoutAStall() throws {
        let live = try Self.backends(1)
        let count = 10_000
        var pool = TestPlane.pool("web", live.map(\.endpoint))
        for index in 1..<count {
            let address = IPAddress.v4(
                IPv4Address(127, 1, UInt8(index >> 8), UInt8(index & 255)))
            pool.backends.append(
                BackendConfiguration(
                    name: "be\(index)", address: Endpoint(address: address, port: 1), weight: 0))
        }
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        let tandem = try TestPlane(routes: routes, pools: [pool], workers: 2)
        let client = try tandem.client()
        #expect(try client.exchange("/").text == "0")
        pool.balance = .leastTime
        pool.backends.swapAt(0, count - 1)
        _ = try tandem.reload(pools: [pool])
        #expect(eventually { (try? client.exchange("/").text) == "0" })
        let decisions = (0..<count).map { ("be\($0)", BackendStanding(weight: 0)) }
        #expect(tandem.plane.setStandings(pool: "web", decisions) == count)
        #expect(try client.exchange("/").status == 503)
        // The plane of a quadratic adoption would stand still for a second and more.
        #expect(tandem.plane.statistics().longestAdoption < .milliseconds(500))
        print("adoption of \(count) backends: \(tandem.plane.statistics().longestAdoption)")
    }
}
