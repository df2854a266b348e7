// SPDX-License-Identifier: Apache-2.0
//
// What a reload finds changed between two configurations.

import Testing
import WireCore

@testable import ConfigurationCore

@Suite struct ConfigurationDifferenceTests {
    private func endpoint(_ last: UInt8, _ port: UInt16) -> Endpoint {
        Endpoint(address: .v4(IPv4Address(10, 0, 0, last)), port: port)
    }

    private func backend(_ name: String, _ last: UInt8, weight: Int = 1) -> BackendConfiguration {
        BackendConfiguration(name: name, address: endpoint(last, 8080), weight: weight)
    }

    private func pool(_ name: String, _ backends: [BackendConfiguration]) -> PoolConfiguration {
        PoolConfiguration(
            name: name, balance: .leastTime, backends: backends, healthCheck: nil)
    }

    private func listener(_ name: String, port: UInt16) -> ListenerConfiguration {
        ListenerConfiguration(
            name: name, bind: endpoint(1, port),
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")])
    }

    private var base: Configuration {
        let router = VirtualRouterConfiguration(
            id: 51, addresses: [IPAddress(10, 0, 0, 100)], interface: "eth0",
            advertiseInterval: .seconds(1),
            preempt: false, preemptDelay: .zero, lease: .seconds(2), transport: .multicast)
        return Configuration(
            workers: .automatic,
            pair: PairConfiguration(
                interface: "eth0",
                nodes: [
                    NodeConfiguration(name: "a", address: IPv4Address(10, 0, 0, 1), priority: 2),
                    NodeConfiguration(name: "b", address: IPv4Address(10, 0, 0, 2), priority: 1),
                ],
                link: PairLinkConfiguration(
                    port: 7946, secretFile: nil, heartbeatInterval: .milliseconds(100)),
                virtualRouters: [router]),
            listeners: [listener("web", port: 80)],
            pools: [pool("web", [backend("be1", 21), backend("be2", 22)])],
            admin: AdminConfiguration(http: nil, socket: nil), timeouts: TimeoutConfiguration())
    }

    private func difference(
        _ change: (inout Configuration) -> Void
    ) -> ConfigurationDifference {
        var new = base
        change(&new)
        return ConfigurationDifference(from: base, to: new)
    }

    @Test func equalConfigurationsHaveNoDifference() {
        #expect(ConfigurationDifference(from: base, to: base).isEmpty)
        #expect(ConfigurationDifference(from: base, to: base).isApplicableLive)
        #expect(ConfigurationDifference(from: base, to: base).refusal == nil)
    }

    @Test func backendsAreAddedChangedAndRemovedLive() {
        let result = difference {
            $0.pools[0].backends = [backend("be1", 21, weight: 5), backend("be3", 23)]
        }
        #expect(result.isApplicableLive)
        #expect(
            result.render() == """
                pools.web.backends.be1: 10.0.0.21:8080, weight 1 -> 10.0.0.21:8080, weight 5
                pools.web.backends.be2: removed (10.0.0.22:8080, weight 1)
                pools.web.backends.be3: added (10.0.0.23:8080, weight 1)

                """)
    }

    @Test func aNewPoolIsOneLiveChange() {
        let result = difference { $0.pools.append(pool("api", [backend("be1", 31)])) }
        #expect(result.changes.map(\.path) == ["pools.api"])
        #expect(result.isApplicableLive)
        let removed = difference { $0.pools = [] }
        #expect(removed.changes.map(\.path) == ["pools.web"])
        #expect(removed.changes[0].after == nil)
    }

    @Test func routesTimeoutsHealthChecksAndBalanceChangeLive() {
        let result = difference {
            $0.listeners[0].routes.insert(
                RouteConfiguration(host: "x", pathPrefix: "/a", pool: "web"), at: 0)
            $0.timeouts.connect = .seconds(1)
            $0.pools[0].balance = .random
            $0.pools[0].healthCheck = HealthCheckConfiguration(
                probe: .tcp(PayloadProbe()), interval: .seconds(5), timeout: .seconds(3), fall: 3,
                rise: 2)
        }
        #expect(result.isApplicableLive)
        #expect(
            result.changes.map(\.path) == [
                "listeners.web.routes[1]", "pools.web.balance", "pools.web.health_check",
                "timeouts.connect", "listeners.web.routes[2]",
            ])
    }

    @Test func everythingThatNeedsARestartIsNamedInTheRefusal() {
        let result = difference {
            $0.workers = .exactly(2)
            $0.pair?.interface = "eth1"
            $0.pair?.nodes[0].priority = 9
            $0.pair?.link.port = 7947
            $0.pair?.link.secretFile = "/k"
            $0.pair?.link.heartbeatInterval = .seconds(1)
            $0.pair?.virtualRouters[0].advertiseInterval = .milliseconds(10)
            $0.pair?.virtualRouters[0].lease = .seconds(3)
            $0.listeners[0].bind.port = 81
            $0.admin.http = endpoint(1, 9900)
            $0.admin.socket = "/run/t"
            $0.timeouts.drain = .seconds(1)
        }
        #expect(!result.isApplicableLive)
        #expect(result.live.map(\.path) == ["timeouts.drain"])
        #expect(
            result.refusal == """
                reload refused, the configuration in force stays: these keys need a restart
                  workers: auto -> 2
                  pair.interface: "eth0" -> "eth1"
                  pair.nodes.a: 10.0.0.1, priority 2 -> 10.0.0.1, priority 9
                  pair.link.port: 7946 -> 7947
                  pair.link.secret_file: none -> "/k"
                  pair.link.heartbeat_interval: 100ms -> 1s
                  pair.virtual_routers[51].advertise_interval: 1s -> 10ms
                  pair.virtual_routers[51].lease: 2s -> 3s
                  listeners.web.bind: 10.0.0.1:80 -> 10.0.0.1:81
                  admin.http: none -> 10.0.0.1:9900
                  admin.socket: none -> "/run/t"

                """)
    }

    @Test func listenersComeAndGoOnlyWithARestart() {
        let added = difference { $0.listeners.append(listener("shop", port: 81)) }
        #expect(added.restartOnly.map(\.path) == ["listeners.shop"])
        let removed = difference { $0.listeners = [] }
        #expect(removed.restartOnly.map(\.path) == ["listeners.web"])
    }

    @Test func aPairComesAndGoesOnlyWithARestart() {
        #expect(!difference { $0.pair = nil }.isApplicableLive)
        var single = base
        single.pair = nil
        let added = ConfigurationDifference(from: single, to: base)
        #expect(!added.isApplicableLive)
        #expect(added.live.isEmpty)
    }

    @Test func orderOfPoolsAndBackendsDoesNotMatterButOrderOfRoutesDoes() {
        let swapped = difference { $0.pools[0].backends.reverse() }
        #expect(swapped.isEmpty)
        var two = base
        two.listeners[0].routes.append(
            RouteConfiguration(host: nil, pathPrefix: "/a", pool: "web"))
        var reversed = two
        reversed.listeners[0].routes.reverse()
        #expect(ConfigurationDifference(from: two, to: reversed).changes.count == 2)
    }

    @Test func namesWithDotsStayDistinct() {
        var one = base
        one.pools = [pool("a.backends.b", [backend("c", 1)])]
        var other = base
        other.pools = [pool("a", [backend("b.backends.c", 1)])]
        #expect(ConfigurationHash(one) != ConfigurationHash(other))
        #expect(!ConfigurationDifference(from: one, to: other).isEmpty)
    }

    @Test func hashFollowsMeaningAndNotOrder() {
        var reordered = base
        reordered.pools[0].backends.reverse()
        #expect(ConfigurationHash(reordered) == ConfigurationHash(base))
        var heavier = base
        heavier.pools[0].backends[0].weight = 2
        #expect(ConfigurationHash(heavier) != ConfigurationHash(base))
        #expect(ConfigurationHash(base).description.utf8.count == 16)
    }
}
