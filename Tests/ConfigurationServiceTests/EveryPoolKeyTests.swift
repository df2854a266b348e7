// SPDX-License-Identifier: Apache-2.0
//
// The golden file with every key of pools, value by value.

import ConfigurationCore
import ConfigurationService
import Testing
import WireCore

@Suite struct EveryPoolKeyTests {
    private static func everyKey() throws -> Configuration {
        try #require(GoldenFile.hasSecretFile)
        let text = try GoldenFile(name: "ok-every-pool-key").input
        return try ConfigurationLoader.load(Array(text.utf8), name: "t", node: .unchecked)
            .get().configuration
    }

    private static func pool(_ name: String) throws -> PoolConfiguration {
        try #require(try everyKey().pools.first { $0.name == name })
    }

    private static func endpoint(_ text: String) throws -> Endpoint {
        try #require(Endpoint(text))
    }

    @Test func backendsStandWhereTheySay() throws {
        let pool = try Self.pool("web")
        #expect(pool.balance == .leastRequests)
        #expect(pool.tunnelSource == IPAddress("10.77.0.100"))
        #expect(
            pool.backends == [
                BackendConfiguration(
                    name: "be1", address: try Self.endpoint("10.77.0.21:8080"), weight: 0,
                    zone: "east", priority: 1, maxRequests: 200, maxConnections: 500),
                BackendConfiguration(
                    name: "be2", location: .host(name: "app.internal", port: 8_080), weight: 1),
                BackendConfiguration(
                    name: "be3", location: .service(name: "_http._tcp.app.internal"), weight: 1),
            ])
    }

    @Test func nodesStandInTheirZoneOrInThatOfTheTop() throws {
        let configuration = try Self.everyKey()
        #expect(configuration.zone(ofNode: "lb1") == "east")
        #expect(configuration.zone(ofNode: "lb2") == "north")
        #expect(configuration.zone(ofNode: nil) == "north")
    }

    @Test func balancingKeysMeanWhatTheySay() throws {
        let pool = try Self.pool("web")
        #expect(
            pool.sticky
                == StickyConfiguration(
                    mode: .insert, cookie: "backend", maxAge: .seconds(43_200), isSecure: true,
                    sameSite: .none, domain: "example.org", path: "/app", forwards: true,
                    whileDraining: false))
        #expect(
            pool.sharing
                == SharingConfiguration(
                    panicPercent: 30, overprovisionPercent: 200, isZoneAware: false))
        #expect(
            pool.slowStart
                == SlowStartConfiguration(
                    window: .seconds(120), aggressionPercent: 150, minPercent: 20))
        let hash = try Self.pool("hash")
        #expect(hash.balance == .maglev)
        #expect(hash.hash == HashConfiguration(key: .header("x-user"), boundPercent: nil))
        #expect(
            hash.sticky
                == StickyConfiguration(
                    mode: .learn, cookie: "JSESSIONID", entriesMax: 2_048,
                    expire: .seconds(3_600)))
    }

    @Test func checksMeanWhatTheySay() throws {
        let pool = try Self.pool("web")
        #expect(
            pool.healthCheck
                == HealthCheckConfiguration(
                    probe: .http(
                        HTTPProbe(
                            method: "GET", path: "/healthz", host: "www.example.org",
                            headers: [
                                HeaderEdits.Header(name: "X-Probe", value: "1"),
                                HeaderEdits.Header(name: "X-Forwarded-Proto", value: "https"),
                            ],
                            statuses: [200...299, 404...404], body: "\"ok\"")),
                    interval: .seconds(10), timeout: .seconds(2), fall: 4, rise: 5,
                    fastInterval: .milliseconds(500), downInterval: .seconds(20),
                    jitterPercent: 0, port: 9_000, reusesConnection: false))
        #expect(
            pool.readinessCheck == HealthCheckConfiguration(probe: .grpc(service: "shop.v1.Cart")))
        let hash = try Self.pool("hash")
        #expect(
            hash.healthCheck
                == HealthCheckConfiguration(
                    probe: .tcp(
                        PayloadProbe(send: Array("PING\r\n".utf8), expect: Array("+PONG".utf8)))))
        #expect(
            hash.readinessCheck
                == HealthCheckConfiguration(
                    probe: .udp(PayloadProbe(send: [0, 0xFF], expect: Array("a\\b".utf8)))))
    }

    @Test func verdictsMeanWhatTheySay() throws {
        let pool = try Self.pool("web")
        #expect(
            pool.outlierDetection
                == OutlierConfiguration(
                    consecutiveServerErrors: 1, consecutiveGatewayErrors: 2,
                    consecutiveLocalErrors: 3, interval: .seconds(1),
                    successRateFactorMilli: 2_750, successRateHostsMin: 4,
                    successRateRequestsMin: 50, failurePercent: 85,
                    failurePercentRequestsMin: 20, ejectionTime: .seconds(10),
                    ejectionTimeMax: .seconds(600), growth: .double, ejectedPercentMax: 34))
        #expect(
            pool.cascadeGuard == CascadeConfiguration(thresholdPercent: 60, window: .seconds(30)))
    }

    @Test func limitsMeanWhatTheySay() throws {
        let pool = try Self.pool("web")
        #expect(pool.limits == PoolLimits(requests: 2_000, connections: 5_000, retries: 10))
        #expect(
            pool.queue
                == QueueConfiguration(length: 100, timeout: .seconds(2), retryAfter: .seconds(3)))
        #expect(
            pool.retries
                == RetryConfiguration(
                    attempts: 1, conditions: [.connectFailure, .gatewayError],
                    perTryTimeout: .seconds(2), backoff: .milliseconds(10),
                    backoffMax: .milliseconds(100), budgetPercent: 10, budgetFloor: 3,
                    bodyByteCountMax: 16 << 10))
        #expect(
            pool.hedging == HedgingConfiguration(after: .milliseconds(50), budgetPercent: 3))
        #expect(
            pool.adaptiveConcurrency
                == AdaptiveConcurrencyConfiguration(
                    requestsMin: 20, interval: .milliseconds(200), baselineInterval: .seconds(30)))
        #expect(
            pool.drain
                == DrainConfiguration(timeout: .seconds(60), tunnelTimeout: .seconds(600)))
        let hash = try Self.pool("hash")
        #expect(hash.limits == PoolLimits(requests: nil, connections: nil, retries: nil))
        #expect(hash.retries == RetryConfiguration(budgetPercent: nil))
        #expect(hash.hedging == HedgingConfiguration())
    }

    @Test func onMeansTheDefaultsAndOffMeansNone() throws {
        let hash = try Self.pool("hash")
        #expect(hash.slowStart == SlowStartConfiguration())
        #expect(hash.adaptiveConcurrency == AdaptiveConcurrencyConfiguration())
        var off = try Self.pool("off")
        #expect(off.outlierDetection == nil)
        #expect(off.cascadeGuard == nil)
        #expect(off.queue.length == 0)
        #expect(off.retries.attempts == 0)
        off.outlierDetection = OutlierConfiguration()
        off.cascadeGuard = CascadeConfiguration()
        off.queue = QueueConfiguration()
        off.retries = RetryConfiguration()
        #expect(
            off
                == PoolConfiguration(
                    name: "off", balance: .leastTime, backends: off.backends, healthCheck: nil))
    }

    @Test func theResolverIsAsked() throws {
        #expect(
            try Self.everyKey().resolver
                == ResolverConfiguration(
                    servers: [
                        try Self.endpoint("10.0.0.53:53"),
                        try Self.endpoint("[2001:db8::53]:5353"),
                        try Self.endpoint("[::1]:53"),
                    ],
                    timeout: .seconds(1), tries: 2, ttlMin: .seconds(2), ttlMax: .seconds(60),
                    hold: .zero))
    }

    /// Sections that may be left out mean the same when they are empty.
    @Test(arguments: [
        "hash: {}", "outlier_detection: {}", "outlier_detection: on", "cascade_guard: {}",
        "cascade_guard: on", "limits: {}", "queue: {}", "queue: on", "retries: {}", "retries: on",
        "drain: {}", "sticky: off", "hedging: off",
    ])
    func emptySectionsMeanTheDefaultsOfTheTypes(line: String) throws {
        let text = { (line: String) in
            """
            listeners: { web: { bind: 0.0.0.0:80, routes: [{ pool: web }] } }
            pools:
              web:
                balance: maglev
                backends: { be1: { address: 10.0.0.1:80 } }
                \(line)
            dns: {}
            """
        }
        let loaded = try ConfigurationLoader.load(
            Array(text(line).utf8), name: "t", node: .unchecked
        ).get()
        #expect(loaded.warningText == "")
        let configuration = loaded.configuration
        let pool = try #require(configuration.pools.first)
        #expect(
            pool
                == PoolConfiguration(
                    name: "web", balance: .maglev, backends: pool.backends, healthCheck: nil))
        #expect(configuration.resolver == ResolverConfiguration())
    }

    @Test(arguments: ["sticky", "slow_start", "health_check", "readiness_check", "hedging"])
    func aSectionThatIsOnHasTheDefaultsOfItsType(key: String) throws {
        let text = """
            listeners: { web: { bind: 0.0.0.0:80, routes: [{ pool: web }] } }
            pools:
              web:
                backends: { be1: { address: 10.0.0.1:80 }, be2: { address: 10.0.0.2:80 } }
                \(key): on
            """
        let loaded = try ConfigurationLoader.load(Array(text.utf8), name: "t", node: .unchecked)
            .get()
        #expect(loaded.warningText == "")
        let pool = try #require(loaded.configuration.pools.first)
        switch key {
        case "sticky": #expect(pool.sticky == StickyConfiguration())
        case "slow_start": #expect(pool.slowStart == SlowStartConfiguration())
        case "health_check":
            #expect(pool.healthCheck == HealthCheckConfiguration(probe: .http(HTTPProbe())))
        case "readiness_check":
            #expect(pool.readinessCheck == HealthCheckConfiguration(probe: .http(HTTPProbe())))
        default: #expect(pool.hedging == HedgingConfiguration())
        }
    }
}
