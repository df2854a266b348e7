// SPDX-License-Identifier: Apache-2.0
//
// Goal: a reload keeps what is known about backends that did not change and forgets the rest; the
// number of probes at once is bounded; every outcome is counted.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import HealthService

@Suite struct HealthReloadTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test func unchangedBackendsKeepTheirVerdictAndItIsAnnouncedAgain() throws {
        let bench = try HealthBench()
        let dead = try ScriptedBackend.unusedEndpoint()
        let alive = try ScriptedBackend(on: bench.loop, .answer(Self.ok))
        let pool = HealthBench.pool([dead, alive.endpoint])
        bench.service.apply([pool])
        bench.poll(for: "both verdicts") {
            bench.service.snapshot().map(\.verdict) == [.down, .up]
        }
        let before = bench.service.snapshot()
        bench.orders.standings = []
        var changed = pool
        changed.healthCheck?.interval = .milliseconds(20)
        bench.service.apply([changed])
        #expect(bench.service.snapshot() == before)
        #expect(bench.admissions("be1") == [.unhealthy])
        #expect(bench.admissions("be2") == [.serving])
        bench.service.stop()
    }

    @Test func aBackendThatMovedStartsAnewAndServes() throws {
        let bench = try HealthBench()
        let dead = try ScriptedBackend.unusedEndpoint()
        let alive = try ScriptedBackend(on: bench.loop, .answer(Self.ok))
        bench.service.apply([HealthBench.pool([dead])])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        bench.service.apply([HealthBench.pool([alive.endpoint])])
        #expect(bench.first.verdict == .unverified)
        #expect(bench.admissions().last == .serving)
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        bench.service.stop()
    }

    @Test func aBackendWhoseCheckWasRemovedServes() throws {
        let bench = try HealthBench()
        var pool = HealthBench.pool([try ScriptedBackend.unusedEndpoint()])
        bench.service.apply([pool])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        pool.healthCheck = nil
        bench.service.apply([pool])
        #expect(!bench.first.isChecked)
        #expect(bench.admissions().last == .serving)
        // One that left its pool altogether is not spoken of.
        let told = bench.orders.standings.count
        bench.service.apply([])
        #expect(bench.orders.standings.count == told)
        #expect(bench.service.snapshot().isEmpty)
    }

    @Test func aReloadDuringProbesLeavesNoneBehind() throws {
        let bench = try HealthBench(probesAtOnceMax: 2)
        let backend = try ScriptedBackend(on: bench.loop, .hang)
        let pool = HealthBench.pool([Endpoint](repeating: backend.endpoint, count: 6))
        bench.service.apply([pool])
        bench.poll(for: "two probes") { backend.acceptedCount >= 2 }
        backend.behaviour = .answer(Self.ok)
        var moved = pool
        moved.healthCheck?.probe = .http(HTTPProbe(path: "/other", host: nil))
        bench.service.apply([moved])
        bench.poll(for: "all verdicts up") {
            bench.service.snapshot().allSatisfy { $0.verdict == .up }
        }
        bench.service.stop()
    }

    @Test func probesAtOnceAreBoundedAndNobodyStarves() throws {
        let bench = try HealthBench(probesAtOnceMax: 3)
        let backend = try ScriptedBackend(on: bench.loop, .trickle(Self.ok))
        bench.service.apply([
            HealthBench.pool([Endpoint](repeating: backend.endpoint, count: 20))
        ])
        bench.poll(for: "two passes of everyone") {
            bench.service.snapshot().allSatisfy { $0.consecutivePasses >= 2 }
        }
        // A closed connection may be noticed one turn after the next was accepted.
        #expect(backend.openMax <= 6)
        bench.service.stop()
    }

    @Test func manyRefusedProbesDoNotNest() throws {
        let bench = try HealthBench(probesAtOnceMax: 1)
        let dead = try ScriptedBackend.unusedEndpoint()
        bench.service.apply([
            HealthBench.pool([Endpoint](repeating: dead, count: 500), fall: 1)
        ])
        // The first standings of all come with the configuration.
        bench.poll(for: "every verdict") { bench.orders.standings.count >= 1_000 }
        #expect(bench.service.snapshot().allSatisfy { $0.verdict == .down })
        bench.service.stop()
    }

    @Test func everyOutcomeIsCounted() throws {
        let bench = try HealthBench()
        let alive = try ScriptedBackend(on: bench.loop, .answer(Self.ok))
        let dead = try ScriptedBackend.unusedEndpoint()
        bench.service.apply([HealthBench.pool([alive.endpoint, dead])])
        bench.poll(for: "both verdicts") {
            bench.service.snapshot().map(\.verdict) == [.up, .down]
        }
        var text = MetricsText()
        bench.service.metrics.collect(into: &text)
        let lines = text.rendered.split(separator: "\n")
        let dying = "pool=\"web\",backend=\"be2\",check=\"liveness\""
        let living = "pool=\"web\",backend=\"be1\",check=\"liveness\""
        #expect(lines.contains("tandem_health_check_passing{\(living)} 1"))
        #expect(lines.contains("tandem_health_check_passing{\(dying)} 0"))
        let refused = "tandem_health_checks_total{\(dying),result=\"connection_refused\"} "
        let count = lines.first { $0.hasPrefix(refused) }.flatMap {
            Int($0.dropFirst(refused.count))
        }
        #expect(count ?? 0 >= 2)
        #expect(lines.contains("tandem_health_transitions_total{\(dying),to=\"down\"} 1"))
        bench.service.stop()
    }
}
