// SPDX-License-Identifier: Apache-2.0
//
// Goal: names and run-time changes lead to the right backends, and a reload keeps what it should.
// Method: tables of small pools.

import ConfigurationCore
import Testing
import WireCore

@Suite struct EffectivePoolsTests {
    private func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

    private func pool(_ backends: BackendConfiguration...) -> PoolConfiguration {
        PoolConfiguration(name: "web", balance: .leastTime, backends: backends, healthCheck: nil)
    }

    private func name(_ backend: String) -> RuntimeOverrides.Name {
        RuntimeOverrides.Name(pool: "web", backend: backend)
    }

    @Test func aHostBecomesOneBackendForEachAddress() throws {
        let answers = ResolvedNames([
            .host("app.test"): [
                UpstreamTarget(address: try endpoint("10.0.0.1:1").address),
                UpstreamTarget(address: try endpoint("[2001:db8::1]:1").address),
            ]
        ])
        let written = pool(
            BackendConfiguration(
                name: "app", location: .host(name: "App.test", port: 80), weight: 3, zone: "a",
                priority: 1, maxRequests: 9),
            BackendConfiguration(name: "fixed", address: try endpoint("10.0.0.9:80"), weight: 1))
        let backends = EffectivePools.resolve([written], answers: answers)[0].backends
        #expect(
            backends.map(\.name) == ["app@10.0.0.1:80", "app@[2001:db8::1]:80", "fixed"])
        #expect(backends[0].address == (try endpoint("10.0.0.1:80")))
        #expect(backends[0].weight == 3)
        #expect(backends[0].zone == "a")
        #expect(backends[0].priority == 1)
        #expect(backends[0].maxRequests == 9)
    }

    @Test func aServiceBringsPortWeightAndPriority() throws {
        let answers = ResolvedNames([
            .service("_http._tcp.test"): [
                UpstreamTarget(
                    address: try endpoint("10.0.0.1:1").address, port: 8_080, weight: 200,
                    priority: 6),
                UpstreamTarget(
                    address: try endpoint("10.0.0.2:1").address, port: 8_081, weight: 1),
            ]
        ])
        let written = pool(
            BackendConfiguration(
                name: "svc", location: .service(name: "_http._tcp.test"), weight: 2, priority: 3))
        let backends = EffectivePools.resolve([written], answers: answers)[0].backends
        #expect(backends.map(\.name) == ["svc@10.0.0.1:8080", "svc@10.0.0.2:8081"])
        #expect(backends.map(\.weight) == [256, 2])
        #expect(backends.map(\.priority) == [7, 3])
    }

    @Test func anUnknownNameStandsForNobody() {
        let written = pool(
            BackendConfiguration(
                name: "app", location: .host(name: "app.test", port: 80), weight: 1))
        #expect(EffectivePools.resolve([written], answers: ResolvedNames())[0].backends.isEmpty)
    }

    @Test func anAddressSetAtRunTimeIsUsed() throws {
        let backend = BackendConfiguration(
            name: "be1", address: try endpoint("10.0.0.1:80"), weight: 1)
        var overrides = RuntimeOverrides()
        var override = RuntimeOverride()
        override.address = try endpoint("10.0.0.2:81")
        overrides.set(override, for: name("be1"), basis: backend)
        let moved = EffectivePools.apply(overrides, to: [pool(backend)])[0].backends[0]
        #expect(moved.address == (try endpoint("10.0.0.2:81")))
    }

    @Test func aReloadKeepsWhatItDoesNotContradict() throws {
        let first = BackendConfiguration(
            name: "be1", address: try endpoint("10.0.0.1:80"), weight: 1)
        let second = BackendConfiguration(
            name: "be2", address: try endpoint("10.0.0.2:80"), weight: 1)
        var overrides = RuntimeOverrides()
        var drained = RuntimeOverride()
        drained.state = .drain
        var weighed = RuntimeOverride()
        weighed.weight = 7
        overrides.set(drained, for: name("be1"), basis: first)
        overrides.set(weighed, for: name("be2"), basis: second)
        #expect(overrides.reconcile(with: [pool(second, first)]).isEmpty)
        #expect(overrides[name("be1")].state == .drain)
        var heavier = second
        heavier.weight = 3
        #expect(overrides.reconcile(with: [pool(first, heavier)]) == [name("be2"): weighed])
        #expect(overrides[name("be2")].isEmpty)
        #expect(overrides.reconcile(with: [pool(second)]) == [name("be1"): drained])
        #expect(overrides.names.isEmpty)
    }

    @Test func whatIsSetBackIsForgotten() throws {
        let backend = BackendConfiguration(
            name: "be1", address: try endpoint("10.0.0.1:80"), weight: 1)
        var overrides = RuntimeOverrides()
        var override = RuntimeOverride()
        override.state = .maintenance
        override.health = .down
        #expect(override.description == "state maint, health down")
        overrides.set(override, for: name("be1"), basis: backend)
        overrides.set(RuntimeOverride(), for: name("be1"), basis: backend)
        #expect(overrides.names.isEmpty)
    }
}
