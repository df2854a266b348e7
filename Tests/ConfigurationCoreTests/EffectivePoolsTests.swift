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
        // 400 and 2, in the same proportion.
        #expect(backends.map(\.weight) == [256, 1])
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

    @Test func whoIsGoneMakesRoomWhenTooManyAreChanged() throws {
        let backend = BackendConfiguration(
            name: "be", address: try endpoint("10.0.0.1:80"), weight: 1)
        var overrides = RuntimeOverrides()
        var override = RuntimeOverride()
        override.weight = 7
        for number in 0..<RuntimeOverrides.countMax {
            overrides.set(override, for: name("be\(number)"), basis: backend)
        }
        let gone = name("be77")
        var isTaken = overrides.set(override, for: name("new"), basis: backend)
        #expect(!isTaken)
        isTaken = overrides.set(
            override, for: name("new"), basis: backend, isPresent: { $0 != gone })
        #expect(isTaken)
        #expect(overrides[gone].isEmpty)
        #expect(overrides[name("new")] == override)
        #expect(overrides.names.count == RuntimeOverrides.countMax)
    }

    @Test func aNameStandsForAtMostSixtyFourBackends() throws {
        let targets = (0..<100).map {
            UpstreamTarget(address: .v4(IPv4Address(10, 0, 0, UInt8($0))))
        }
        let written = pool(
            BackendConfiguration(
                name: "app", location: .host(name: "app.test", port: 80), weight: 1))
        let answers = ResolvedNames([.host("app.test"): targets])
        let backends = EffectivePools.resolve([written], answers: answers)[0].backends
        #expect(backends.count == EffectivePools.addressesMax)
    }

    @Test func addressesKeepTheirNamesWhateverTheOthersAre() throws {
        let written = pool(
            BackendConfiguration(
                name: "app", location: .host(name: "app.test", port: 80), weight: 1))
        let address = UpstreamTarget(address: try endpoint("10.0.0.5:1").address)
        let other = UpstreamTarget(address: try endpoint("10.0.0.4:1").address)
        let names = [[address], [address, other], [other, address]].map { targets in
            EffectivePools.resolve(
                [written], answers: ResolvedNames([.host("app.test"): targets]))[0]
                .backends.map(\.name)
        }
        #expect(names.allSatisfy { $0.contains("app@10.0.0.5:80") })
        #expect(EffectivePools.nameInFile("app@10.0.0.5:80") == "app")
        #expect(EffectivePools.nameInFile("app") == "app")
    }

    @Test(arguments: [
        ([1, 1], 1, [1, 1]), ([10, 30], 2, [20, 60]), ([256, 128], 256, [256, 128]),
        ([256, 1], 256, [256, 1]), ([5, 5], 0, [0, 0]),
    ])
    func weightsOfRecordsKeepTheirProportion(weights: [Int], written: Int, expected: [Int]) {
        let targets = weights.enumerated().map { index, weight in
            UpstreamTarget(
                address: .v4(IPv4Address(10, 0, 0, UInt8(index))), port: 80, weight: weight)
        }
        let pool = pool(
            BackendConfiguration(name: "svc", location: .service(name: "svc.test"), weight: written)
        )
        let answers = ResolvedNames([.service("svc.test"): targets])
        let backends = EffectivePools.resolve([pool], answers: answers)[0].backends
        #expect(backends.map(\.weight) == expected)
    }

    @Test func aServiceWithoutAPortIsNoBackend() throws {
        let written = pool(
            BackendConfiguration(name: "svc", location: .service(name: "svc.test"), weight: 1))
        let address = try endpoint("10.0.0.1:1").address
        let targets = [
            UpstreamTarget(address: address), UpstreamTarget(address: address, port: 0),
        ]
        let answers = ResolvedNames([.service("svc.test"): targets])
        #expect(EffectivePools.resolve([written], answers: answers)[0].backends.isEmpty)
    }

    @Test func anAddressOfANameIsJudgedByTheFile() throws {
        let host = BackendConfiguration(
            name: "app", location: .host(name: "app.test", port: 80), weight: 1)
        var overrides = RuntimeOverrides()
        var drained = RuntimeOverride()
        drained.state = .drain
        overrides.set(drained, for: name("app@10.0.0.1:80"), basis: host)
        // The name stands for nothing just now.
        let droppedNow = overrides.drop(contradictedBy: [pool(host)])
        #expect(droppedNow.isEmpty)
        var heavier = host
        heavier.weight = 2
        let dropped = overrides.drop(contradictedBy: [pool(heavier)])
        #expect(
            dropped.map(\.description) == [
                "web/app@10.0.0.1:80: state drain ends, the file says app.test:80, weight 2 "
                    + "(was app.test:80, weight 1)"
            ])
        #expect(overrides.names.isEmpty)
    }

    @Test func whatIsDroppedIsSaidInOrder() throws {
        var overrides = RuntimeOverrides()
        var drained = RuntimeOverride()
        drained.state = .drain
        for backend in ["be2", "be1"] {
            overrides.set(
                drained, for: name(backend),
                basis: BackendConfiguration(
                    name: backend, address: try endpoint("10.0.0.1:80"), weight: 1))
        }
        let dropped = overrides.drop(contradictedBy: [])
        #expect(
            dropped.map(\.description) == [
                "web/be1: state drain ends, the file has no such backend",
                "web/be2: state drain ends, the file has no such backend",
            ])
    }

    @Test func changesAreBounded() throws {
        var overrides = RuntimeOverrides()
        var drained = RuntimeOverride()
        drained.state = .drain
        let basis = BackendConfiguration(
            name: "be1", address: try endpoint("10.0.0.1:80"), weight: 1)
        let areSet = (0..<RuntimeOverrides.countMax).map {
            overrides.set(drained, for: name("be\($0)"), basis: basis)
        }
        #expect(areSet.allSatisfy { $0 })
        let isOneMoreSet = overrides.set(drained, for: name("more"), basis: basis)
        #expect(!isOneMoreSet)
        overrides.set(RuntimeOverride(), for: name("be0"), basis: basis)
        let isSetInItsPlace = overrides.set(drained, for: name("more"), basis: basis)
        #expect(isSetInItsPlace)
        #expect(overrides.names.count == RuntimeOverrides.countMax)
    }
}
