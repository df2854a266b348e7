// SPDX-License-Identifier: Apache-2.0
//
// Hash policies through a data plane: each kind of key leads to one backend, whichever worker and
// connection the request comes on.

import BalancerCore
import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite struct HashKeyTests {
    private static func pool(
        _ backends: [TestBackend], _ key: HashConfiguration.Key,
        _ balance: BalancePolicy = .maglev
    ) -> PoolConfiguration {
        var pool = TestPlane.pool("web", backends.map(\.endpoint), balance: balance)
        pool.hash = HashConfiguration(key: key, boundPercent: nil)
        return pool
    }

    private static func backends(_ count: Int) throws -> [TestBackend] {
        try (0..<count).map { index in try TestBackend { _ in ReplyStep.ok("\(index)") } }
    }

    private static func plane(_ pool: PoolConfiguration, workers: Int = 2) throws -> TestPlane {
        let routes = [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")]
        return try TestPlane(routes: routes, pools: [pool], workers: workers)
    }

    private static func ask(
        _ tandem: TestPlane, _ target: String = "/", _ fields: String = ""
    ) throws -> String {
        let client = try tandem.client()
        try client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
        return try client.response().text
    }

    @Test(arguments: [
        HashConfiguration.Key.header("x-tenant"), .cookie("id"), .path,
    ])
    func equalKeysMeetAndOthersSpread(key: HashConfiguration.Key) throws {
        let backends = try Self.backends(4)
        let tandem = try Self.plane(Self.pool(backends, key))
        func ask(_ value: Int) throws -> String {
            switch key {
            case .header: try Self.ask(tandem, "/", "X-Tenant: t\(value)\r\n")
            case .cookie: try Self.ask(tandem, "/", "Cookie: a=b; id=\"t\(value)\"\r\n")
            default: try Self.ask(tandem, "/t\(value)?n=\(Int.random(in: 0...99))")
            }
        }
        let homes = try (0..<24).map { try ask($0) }
        #expect(Set(homes).count == 4)
        for value in 0..<24 { #expect(try ask(value) == homes[value]) }
    }

    @Test(arguments: [
        (BalancePolicy.maglev, HashConfiguration.Key.client), (.ipHash, .path),
        // Without the field the client's address is the key.
        (.ringHash, .header("x-none")), (.maglev, .cookie("none")),
    ])
    func oneAddressHasOneBackend(policy: BalancePolicy, key: HashConfiguration.Key) throws {
        let backends = try Self.backends(4)
        let tandem = try Self.plane(Self.pool(backends, key, policy))
        let answers = try (0..<8).map { try Self.ask(tandem, "/\($0)") }
        #expect(Set(answers).count == 1)
    }

    @Test func aTupleIsAnotherForEachConnection() throws {
        let backends = try Self.backends(4)
        let tandem = try Self.plane(Self.pool(backends, .tuple))
        let answers = try (0..<40).map { _ in try Self.ask(tandem) }
        #expect(Set(answers).count > 1)
        let client = try tandem.client()
        let onOne = try (0..<6).map { _ in try client.exchange("/").text }
        #expect(Set(onOne).count == 1)
    }

    @Test func aKeyMovesWhileItsBackendIsAwayAndComesBack() throws {
        let backends = try Self.backends(4)
        let tandem = try Self.plane(Self.pool(backends, .path))
        let homes = try (0..<16).map { try Self.ask(tandem, "/\($0)") }
        tandem.plane.setBackendAvailability(pool: "web", backend: "be\(homes[0])", isUp: false)
        for value in 0..<16 {
            let now = try Self.ask(tandem, "/\(value)")
            #expect((now == homes[value]) == (homes[value] != homes[0]))
        }
        tandem.plane.setBackendAvailability(pool: "web", backend: "be\(homes[0])", isUp: true)
        for value in 0..<16 { #expect(try Self.ask(tandem, "/\(value)") == homes[value]) }
    }

    @Test(arguments: [HashConfiguration.Key.client, .header("x"), .path])
    func streamsGoByTheirClientsAddress(key: HashConfiguration.Key) throws {
        let listeners = try (0..<3).map { _ in try TunnelListener() }
        var pool = TestPlane.pool("tcp", listeners.map(\.endpoint), balance: .maglev)
        pool.hash = HashConfiguration(key: key, boundPercent: nil)
        let tandem = try TestPlane(service: .tcp(pool: "tcp"), pools: [pool], workers: 2)
        var peers: [TunnelPeer] = []
        for _ in 0..<6 {
            peers.append(try TunnelPeer(connectingTo: tandem.endpoint))
            #expect(eventually { tandem.listener.tunnels == peers.count })
        }
        var counts: [Int] = []
        for listener in listeners {
            var count = 0
            while let peer = try listener.tryAccept() {
                peers.append(peer)
                count += 1
            }
            counts.append(count)
        }
        #expect(counts.sorted() == [0, 0, 6])
    }
}
