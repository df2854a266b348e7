// SPDX-License-Identifier: Apache-2.0
//
// Goal: what checks, traffic and the operator say becomes the right orders, in the right order, and
// is shown. The rules themselves are tested with the governor, in virtual time.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import HealthService

@Suite struct GovernorDriverTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    private static let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

    /// A pool whose checks always pass: nothing listens, nobody asks.
    private static func unchecked(_ count: Int) -> PoolConfiguration {
        let address = Endpoint(address: .v4(.loopback), port: 9)
        var pool = HealthBench.pool([Endpoint](repeating: address, count: count))
        pool.healthCheck = nil
        return pool
    }

    private static func lines(_ bench: HealthBench) -> [String] {
        var text = MetricsText()
        bench.service.metrics.collect(into: &text)
        return text.rendered.split(separator: "\n").map(String.init)
    }

    private func health(_ bench: HealthBench, _ backend: String) throws -> BackendHealth {
        try #require(bench.service.snapshot().first { $0.backend == backend })
    }

    // MARK: Two checks

    @Test func readinessTakesNewWorkAndKeepsConnections() throws {
        let bench = try HealthBench()
        let live = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        let ready = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        var pool = HealthBench.pool([live.endpoint], fall: 2)
        pool.readinessCheck = pool.healthCheck
        pool.readinessCheck?.port = ready.endpoint.port
        pool.readinessCheck?.fall = 1
        bench.service.apply([pool])
        bench.poll(for: "both passes") {
            bench.first.verdict == .up && bench.first.readiness?.verdict == .up
        }
        ready.behaviour = .serve(Self.busy, requestsMax: 1_000)
        bench.poll(for: "not ready") { bench.first.readiness?.verdict == .down }
        #expect(bench.admissions() == [.serving, .unhealthy])
        #expect(bench.first.verdict == .up)
        #expect(bench.first.state == .notBalanced)
        #expect(bench.first.why == "readiness check: status 503")
        #expect(bench.orders.idleClosed.isEmpty)
        // A failure of the other kind means dead: connections go as well.
        live.behaviour = .serve(Self.busy, requestsMax: 1_000)
        bench.poll(for: "dead") { bench.first.verdict == .down }
        #expect(bench.first.state == .down)
        #expect(bench.first.why == "liveness check: status 503")
        #expect(bench.orders.idleClosed == ["be1"])
        live.behaviour = .serve(Self.ok, requestsMax: 1_000)
        ready.behaviour = .serve(Self.ok, requestsMax: 1_000)
        bench.poll(for: "both back") { bench.first.state == .up }
        #expect(bench.admissions() == [.serving, .unhealthy, .serving])
        let flaps = Self.lines(bench).filter { $0.hasPrefix("tandem_backend_flaps_total") }
        #expect(flaps == ["tandem_backend_flaps_total{pool=\"web\",backend=\"be1\"} 1"])
        bench.service.stop()
    }

    /// Whether nothing listens any more matters to the guard against shared causes.
    @Test func anotherReasonIsSaidAsWell() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.busy, requestsMax: 1_000))
        bench.service.apply([HealthBench.pool([backend.endpoint])])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.why == "liveness check: status 503")
        backend.stopAccepting()
        bench.poll(for: "the other reason") {
            bench.first.why == "liveness check: connection refused"
        }
        #expect(bench.admissions() == [.serving, .unhealthy])
        bench.service.stop()
    }

    @Test func eachCheckIsCountedByItself() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        var pool = HealthBench.pool([backend.endpoint])
        pool.readinessCheck = HealthCheckConfiguration(
            probe: .tcp(PayloadProbe()), interval: .milliseconds(5), timeout: .seconds(1))
        pool.readinessCheck?.port = try ScriptedBackend.unusedEndpoint().port
        bench.service.apply([pool])
        bench.poll(for: "both verdicts") {
            bench.first.verdict == .up && bench.first.readiness?.verdict == .down
        }
        let lines = Self.lines(bench)
        let labels = "pool=\"web\",backend=\"be1\""
        #expect(lines.contains("tandem_health_check_passing{\(labels),check=\"liveness\"} 1"))
        #expect(lines.contains("tandem_health_check_passing{\(labels),check=\"readiness\"} 0"))
        #expect(lines.contains("tandem_backend_up{\(labels)} 0"))
        bench.service.stop()
    }

    // MARK: Shared causes

    @Test func whenAllFailAtOnceAllServe() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        var pool = HealthBench.pool([Endpoint](repeating: backend.endpoint, count: 6))
        pool.cascadeGuard = CascadeConfiguration()
        bench.service.apply([pool])
        bench.poll(for: "passes") { bench.service.snapshot().allSatisfy { $0.verdict == .up } }
        backend.behaviour = .serve(Self.busy, requestsMax: 1_000)
        bench.poll(for: "failures") { bench.service.snapshot().allSatisfy { $0.verdict == .down } }
        #expect(bench.service.poolSnapshot().first?.status.cascadeSince != nil)
        #expect(bench.service.snapshot().allSatisfy { $0.state == .up })
        #expect(bench.service.snapshot().allSatisfy { $0.why.contains("the cause is shared") })
        #expect(Self.lines(bench).contains("tandem_pool_cascade_active{pool=\"web\"} 1"))
        // Who fell with the last ones was never out, and keeps its connections.
        #expect(bench.orders.idleClosed.count <= 3)
        bench.service.stop()
    }

    // MARK: Traffic

    @Test func trafficEjectsTriesAndReturns() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(4)
        pool.outlierDetection = OutlierConfiguration(ejectionTime: .milliseconds(30))
        pool.slowStart = SlowStartConfiguration(window: .milliseconds(200), minPercent: 10)
        bench.service.apply([pool])
        bench.service.traffic(
            pool: "web", backend: "be2", .failedInARow(.serverErrors(count: 5)))
        bench.poll(for: "the ejection") { true }
        var ejected = try health(bench, "be2")
        #expect(ejected.state == .notBalanced)
        #expect(ejected.why == "ejected: 5 answers 5xx in a row")
        #expect(ejected.ejectedUntil != nil)
        let labels = "pool=\"web\",backend=\"be2\""
        #expect(Self.lines(bench).contains("tandem_backend_ejected{\(labels)} 1"))
        #expect(
            Self.lines(bench).contains(
                "tandem_backend_ejections_total{\(labels),cause=\"server_errors\"} 1"))
        bench.poll(for: "the trial") { bench.admissions("be2").last == .trial }
        bench.service.traffic(pool: "web", backend: "be2", .trialBegan)
        bench.service.traffic(pool: "web", backend: "be2", .trialEnded(.failed))
        bench.poll(for: "the verdict") { true }
        #expect(bench.admissions("be2") == [.serving, .unhealthy, .trial, .unhealthy])
        bench.poll(for: "the next trial") { bench.admissions("be2").last == .trial }
        bench.service.traffic(pool: "web", backend: "be2", .trialBegan)
        bench.service.traffic(pool: "web", backend: "be2", .trialEnded(.succeeded))
        bench.poll(for: "the return") { true }
        #expect(bench.admissions("be2").last == .serving)
        ejected = try health(bench, "be2")
        #expect(ejected.state == .up)
        #expect(ejected.why.hasPrefix("slow start: "))
        #expect(Self.lines(bench).contains("tandem_backend_ejected{\(labels)} 0"))
        bench.poll(for: "the whole share") {
            bench.orders.standings.last { $0.change.backend == "be2" }?.change.standing
                .rampPercent == 100
        }
        let ramp = bench.orders.standings.filter { $0.change.backend == "be2" }
            .map(\.change.standing).filter { $0.admission == .serving }.map(\.rampPercent)
        #expect(ramp.dropFirst().first.map { $0 < 50 } == true)
        #expect(zip(ramp.dropFirst(), ramp.dropFirst(2)).allSatisfy { $0 <= $1 })
        bench.service.stop()
    }

    @Test func ratesAreJudgedByTheWorkersCounts() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(6)
        pool.outlierDetection = OutlierConfiguration(
            interval: .milliseconds(20), successRateFactorMilli: 1_900)
        bench.service.apply([pool])
        var requests: UInt64 = 0
        let orders = bench.orders
        // Each look finds 1,000 more requests at each; one backend fails half of them.
        func count() {
            requests += 1_000
            orders.tallies = (1...6).reversed().map { number in
                NamedTally(
                    backend: "be\(number)",
                    tally: BackendTally(
                        requests: requests, failures: number == 3 ? requests / 2 : 0))
            }
            bench.loop.schedule(after: .milliseconds(5)) { count() }
        }
        count()
        bench.poll(for: "the ejection") { bench.admissions("be3").last == .unhealthy }
        #expect(try health(bench, "be3").why.contains("of requests succeed"))
        for number in [1, 2, 4, 5, 6] { #expect(bench.admissions("be\(number)") == [.serving]) }
        bench.service.stop()
    }

    /// Requests that may not be risked on a trial end it all the same, with rates judged or not.
    @Test func aTrialThatNobodyTakesEnds() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(4)
        pool.outlierDetection = OutlierConfiguration(
            interval: .milliseconds(20), successRateFactorMilli: 0, failurePercent: 0,
            ejectionTime: .milliseconds(20))
        bench.service.apply([pool])
        bench.service.traffic(
            pool: "web", backend: "be2", .failedInARow(.serverErrors(count: 5)))
        bench.poll(for: "the trial") { bench.admissions("be2").last == .trial }
        // The level panics: requests go to it without asking for the one of the trial.
        var requests: UInt64 = 0
        let orders = bench.orders
        func count() {
            requests += 1_000
            orders.tallies = (1...4).map { number in
                NamedTally(
                    backend: "be\(number)", tally: BackendTally(requests: requests, failures: 0))
            }
            bench.loop.schedule(after: .milliseconds(5)) { count() }
        }
        count()
        bench.poll(for: "the return") { bench.admissions("be2").last == .serving }
        bench.service.stop()
    }

    /// What came in one turn is weighed and told together.
    @Test func findingsOfOneTurnAreToldTogether() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(40)
        pool.outlierDetection = OutlierConfiguration(ejectedPercentMax: 100)
        bench.service.apply([pool])
        bench.orders.batches = []
        for number in 1...30 {
            bench.service.traffic(
                pool: "web", backend: "be\(number)", .failedInARow(.serverErrors(count: 5)))
        }
        bench.poll(for: "the ejections") { bench.admissions("be30").last == .unhealthy }
        #expect(bench.orders.batches == [30])
        bench.service.stop()
    }

    /// Findings about the backend that had a name until now are none about the next one.
    @Test func aFindingIsAboutTheBackendOfItsTime() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(4)
        pool.outlierDetection = OutlierConfiguration()
        bench.service.apply([pool])
        bench.service.traffic(
            pool: "web", backend: "be2", .failedInARow(.serverErrors(count: 5)))
        pool.backends[1].location = .endpoint(Endpoint(address: .v4(.loopback), port: 10))
        bench.service.apply([pool])
        bench.poll(for: "what is known") { true }
        #expect(bench.admissions("be2").last == .serving)
        bench.service.stop()
    }

    @Test func theMetricSaysWhenAPoolFailedOpen() throws {
        let bench = try HealthBench()
        var pool = HealthBench.pool([try ScriptedBackend.unusedEndpoint()])
        pool.cascadeGuard = CascadeConfiguration()
        bench.service.apply([pool])
        bench.poll(for: "the verdict") { bench.first.verdict == .down }
        #expect(bench.first.state == .up)
        #expect(Self.lines(bench).contains("tandem_pool_cascade_active{pool=\"web\"} 1"))
        bench.service.stop()
    }

    @Test func eventsOfUnknownBackendsAreIgnored() throws {
        let bench = try HealthBench()
        bench.service.apply([Self.unchecked(2)])
        let told = bench.orders.standings.count
        bench.service.traffic(pool: "web", backend: "be9", .trialBegan)
        bench.service.traffic(pool: "nobody", backend: "be1", .trialEnded(.failed))
        bench.poll(for: "what is known") { true }
        #expect(!bench.service.setAdminState(pool: "web", backend: "be9", .drain))
        #expect(!bench.service.setWeight(pool: "nobody", backend: "be1", 3))
        #expect(!bench.service.setForcedHealth(pool: "web", backend: "", .up))
        #expect(bench.orders.standings.count == told)
        bench.service.stop()
    }

    // MARK: The operator

    @Test func aDrainEndsWhenNothingIsLeft() throws {
        let bench = try HealthBench()
        bench.service.apply([Self.unchecked(3)])
        bench.orders.work["be1"] = BackendWork(exchanges: 2, tunnels: 1)
        #expect(bench.service.setAdminState(pool: "web", backend: "be1", .drain))
        #expect(bench.admissions() == [.serving, .draining])
        #expect(bench.orders.idleClosed == ["be1"])
        #expect(bench.first.state == .drain)
        #expect(bench.first.why == "draining: 2 requests and 1 tunnels left")
        bench.orders.work["be1"] = BackendWork()
        bench.poll(for: "the end") { bench.first.governed?.drain?.isComplete == true }
        #expect(bench.first.why == "draining: nothing left")
        #expect(bench.orders.cut.isEmpty && bench.orders.cutWithTunnels.isEmpty)
        let labels = "pool=\"web\",backend=\"be1\""
        let lines = Self.lines(bench)
        #expect(lines.contains("tandem_backend_drained{\(labels)} 1"))
        #expect(lines.contains("tandem_backend_drains_total{\(labels),outcome=\"complete\"} 1"))
        #expect(lines.contains { $0.hasPrefix("tandem_backend_drain_duration_seconds{\(labels)}") })
        #expect(bench.service.setAdminState(pool: "web", backend: "be1", .ready))
        #expect(bench.admissions() == [.serving, .draining, .serving])
        bench.service.stop()
    }

    @Test func whatOutlivesItsTimeIsCut() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(3)
        pool.drain = DrainConfiguration(
            timeout: .milliseconds(20), tunnelTimeout: .milliseconds(1_500))
        bench.service.apply([pool])
        bench.orders.work["be1"] = BackendWork(exchanges: 2, tunnels: 1)
        #expect(bench.service.setAdminState(pool: "web", backend: "be1", .maintenance))
        #expect(bench.first.state == .maintenance)
        bench.poll(for: "requests cut") { bench.orders.cut == ["be1"] }
        #expect(bench.orders.cutWithTunnels.isEmpty)
        bench.orders.work["be1"] = BackendWork(exchanges: 0, tunnels: 1)
        bench.poll(for: "tunnels cut") { bench.orders.cutWithTunnels == ["be1"] }
        bench.orders.work["be1"] = BackendWork()
        bench.poll(for: "the end") { bench.first.governed?.drain?.isComplete == true }
        let labels = "pool=\"web\",backend=\"be1\""
        let forced = Self.lines(bench).first {
            $0.hasPrefix("tandem_backend_drain_forced_closes_total{\(labels)} ")
        }
        #expect(forced?.hasSuffix(" 3") == true)
        bench.service.stop()
    }

    @Test func weightsAndForcedHealthAreToldAtOnce() throws {
        let bench = try HealthBench()
        bench.service.apply([Self.unchecked(3)])
        #expect(bench.service.setWeight(pool: "web", backend: "be1", 40))
        #expect(bench.orders.standings.last?.change.standing.weight == 40)
        #expect(bench.service.setWeight(pool: "web", backend: "be1", nil))
        #expect(bench.orders.standings.last?.change.standing.weight == 1)
        #expect(bench.service.setForcedHealth(pool: "web", backend: "be2", .down))
        #expect(bench.admissions("be2") == [.serving, .unhealthy])
        #expect(try health(bench, "be2").state == .down)
        #expect(try health(bench, "be2").why == "said to be down")
        #expect(bench.service.setForcedHealth(pool: "web", backend: "be2", nil))
        #expect(bench.admissions("be2").last == .serving)
        #expect(bench.service.holdHealth(pool: "web", backend: "be2", .stopping))
        #expect(try health(bench, "be2").state == .notBalanced)
        #expect(bench.service.holdHealth(pool: "web", backend: "be2", nil))
        #expect(bench.admissions("be2").last == .serving)
        bench.service.stop()
    }

    // MARK: Reload

    @Test func whatIsKnownStaysWithTheNameAndIsToldInOneBatch() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(4)
        pool.outlierDetection = OutlierConfiguration()
        bench.service.apply([pool])
        bench.service.traffic(
            pool: "web", backend: "be3", .failedInARow(.serverErrors(count: 5)))
        bench.poll(for: "the ejection") { true }
        _ = bench.service.setAdminState(pool: "web", backend: "be1", .drain)
        bench.orders.standings = []
        bench.orders.batches = []
        pool.backends.swapAt(0, 2)
        pool.backends.remove(at: 1)
        bench.service.apply([pool])
        #expect(bench.orders.batches == [3])
        #expect(bench.admissions("be3") == [.unhealthy])
        #expect(bench.admissions("be1") == [.draining])
        #expect(bench.service.snapshot().map(\.backend) == ["be3", "be1", "be4"])
        #expect(bench.service.snapshot().map(\.state) == [.notBalanced, .drain, .up])
        #expect(!Self.lines(bench).contains { $0.contains("backend=\"be2\"") })
        bench.service.stop()
    }

    @Test func aPoolThatNobodyJudgesIsLeftAlone() throws {
        let bench = try HealthBench()
        var pool = Self.unchecked(2)
        pool.cascadeGuard = CascadeConfiguration()
        bench.service.apply([pool])
        for _ in 0..<3 {
            bench.service.traffic(
                pool: "web", backend: "be1", .failedInARow(.serverErrors(count: 5)))
            bench.poll(for: "what is known") { true }
        }
        #expect(bench.admissions() == [.serving])
        #expect(bench.service.snapshot().allSatisfy { $0.state == .up && !$0.isChecked })
        bench.service.stop()
    }
}
