// SPDX-License-Identifier: Apache-2.0
//
// Goal: with every limit, the queue, retries and second attempts at work at once, nothing hangs and
// nothing is left. Method: the clients and backends of ChaosTests, tight limits, reloads and orders
// of the control thread all the while. Afterwards every number is back at zero.

import BalancerCore
import ConfigurationCore
import LinuxIO
import ProxyService
import Synchronization
import Testing
import WireCore

@Suite(.serialized)
struct AttemptChaosTests {
    private static func pool(
        _ endpoints: [Endpoint], _ generator: inout SeededGenerator
    ) -> PoolConfiguration {
        let policies = BalancePolicy.allCases
        var pool = TestPlane.pool(
            "web", endpoints, balance: policies[Int(generator.next() % UInt64(policies.count))])
        pool.limits = PoolLimits(
            requests: 2 + Int(generator.next() % 4),
            connections: generator.next() % 2 == 0 ? 5 : nil, retries: 2)
        pool.queue = QueueConfiguration(length: 4, timeout: .milliseconds(60))
        pool.retries = RetryConfiguration(
            attempts: 3, conditions: Set(RetryConfiguration.Condition.allCases),
            perTryTimeout: .milliseconds(80), backoff: .milliseconds(5),
            budgetPercent: 50, bodyByteCountMax: 20_000)
        pool.hedging = HedgingConfiguration(after: .milliseconds(20), budgetPercent: 50)
        pool.backends[0].maxRequests = 1
        pool.backends[1].maxConnections = 1
        return pool
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func nothingIsLeftOfAnEvenWorseDay(seed: UInt64) throws {
        let backends = try (0..<3).map { _ in try TestBackend(ChaosTests.reply) }
        let endpoints = backends.map(\.endpoint) + [try deadEndpoint()]
        var generator = SeededGenerator(seed: seed)
        let tandem = try TestPlane(
            routes: [RouteConfiguration(host: nil, pathPrefix: nil, pool: "web")],
            pools: [Self.pool(endpoints, &generator)], workers: 3,
            timeouts: TimeoutConfiguration(
                requestHead: .milliseconds(200), keepAlive: .milliseconds(300),
                bodyIdle: .milliseconds(200), bodyGrace: .milliseconds(300),
                responseHead: .milliseconds(300), streamIdle: .milliseconds(300)),
            limits: LimitConfiguration(bodyByteCount: 60_000, bufferByteCount: 16 << 20))
        let remaining = Atomic<Int>(8)
        let threads = try (0..<8).map { number in
            let endpoint = tandem.endpoint
            return try KernelThread.start(name: "chaos") {
                var generator = SeededGenerator(seed: seed &* 1_000 &+ UInt64(number))
                for _ in 0..<30 { try? ChaosTests.misbehave(&generator, endpoint) }
                remaining.subtract(1, ordering: .relaxed)
            }
        }
        #expect(
            eventually(within: .seconds(120)) {
                disturb(tandem, endpoints, &generator)
                return remaining.load(ordering: .relaxed) == 0
            })
        for thread in threads { thread.join() }
        tandem.plane.setAdaptiveLimit(pool: "web", requests: .max)
        _ = try tandem.reload(pools: [TestPlane.pool("web", endpoints)])
        for index in endpoints.indices {
            tandem.plane.setStanding(pool: "web", backend: "be\(index)", BackendStanding())
        }
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
        #expect(eventually { tandem.pool.requestsInFlight == 0 })
        #expect(
            eventually {
                tandem.plane.statistics().backends.allSatisfy { $0.requestsInFlight == 0 }
            })
        #expect(tandem.pool.waiting == 0)
        #expect(tandem.pool.retriesInFlight == 0)
        #expect(eventually { tandem.plane.statistics().bufferByteCount == 0 })
        #expect(!tandem.plane.isStalled(now: Clock.now()))
        #expect(tandem.pool.queued > 0)
        #expect(tandem.pool.retriesTotal > 0)
        #expect(try tandem.client().exchange("/10").text == "xxxxxxxxxx")
        tandem.plane.stop()
        #expect(
            eventually {
                backends.allSatisfy { $0.log.connectionCount == $0.log.endedConnections }
            })
        #expect(tandem.pool.connections == 0)
    }

    /// Reloads, moves backends in and out, and cuts what is under way.
    private func disturb(
        _ tandem: TestPlane, _ endpoints: [Endpoint], _ generator: inout SeededGenerator
    ) {
        let index = Int(generator.next() % UInt64(endpoints.count))
        let name = "be\(index)"
        switch generator.next() % 8 {
        case 0:
            let members = [endpoints[index], endpoints[(index + 1) % endpoints.count]]
            _ = try? tandem.reload(pools: [Self.pool(members, &generator)])
        case 1: _ = try? tandem.reload(pools: [Self.pool(endpoints, &generator)])
        case 2:
            var standing = BackendStanding()
            let all = BackendStanding.Admission.allCases
            standing.admission = all[Int(generator.next() % UInt64(all.count))]
            tandem.plane.setStanding(pool: "web", backend: name, standing)
        case 3: tandem.plane.setStanding(pool: "web", backend: name, BackendStanding())
        case 4: _ = tandem.plane.forceClose(pool: "web", backends: [name], tunnelsToo: true)
        case 5: tandem.plane.setAdaptiveLimit(pool: "web", requests: 1)
        case 6: tandem.plane.setAdaptiveLimit(pool: "web", requests: .max)
        default: break
        }
    }
}
