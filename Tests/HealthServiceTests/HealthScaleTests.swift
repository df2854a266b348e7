// SPDX-License-Identifier: Apache-2.0
//
// What 10,000 backends cost: applying, checking, falling together, reloading. Run by hand in a
// release build with TANDEM_BENCH=1; the smaller size beside it shows that cost grows with the
// number of backends and not with its square.

import BalancerCore
import ConfigurationCore
import EventLoop
import Glibc
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import HealthService

/// Processor time of the calling thread in milliseconds.
private func threadMilliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1_000 + Double(time.tv_nsec / 1_000) / 1_000
}

private let isWanted = getenv("TANDEM_BENCH") != nil

@Suite(.serialized, .enabled(if: isWanted))
struct HealthScaleTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private static func milliseconds(_ body: () -> Void) -> Double {
        let start = Clock.now()
        body()
        return Double((Clock.now() - start).microseconds) / 1_000
    }

    @Test(arguments: [2_500, 10_000])
    func costOfALargePool(count: Int) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        var pool = HealthBench.pool([Endpoint](repeating: backend.endpoint, count: count))
        pool.cascadeGuard = CascadeConfiguration()
        pool.outlierDetection = OutlierConfiguration()
        pool.healthCheck?.interval = .seconds(5)
        pool.healthCheck?.downInterval = .seconds(5)
        pool.healthCheck?.fastInterval = .milliseconds(500)
        let service = bench.service
        let applied = Self.milliseconds { service.apply([pool]) }
        let metrics = service.metrics
        func total(_ prefix: String) -> Int {
            var text = MetricsText()
            metrics.collect(into: &text)
            return text.rendered.split(separator: "\n").lazy.filter { $0.hasPrefix(prefix) }
                .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
        }
        let cpu = threadMilliseconds()
        let checked = Self.milliseconds {
            bench.poll(for: "all requests") { backend.requests.count >= count }
        }
        let checkCPU = threadMilliseconds() - cpu
        backend.stopAccepting()
        backend.behaviour = .close
        let fallCPU = threadMilliseconds()
        let told = bench.orders.standings.count
        _ = bench.loop.run(until: Clock.now() + .seconds(8)) { false }
        let fall = threadMilliseconds() - fallCPU
        let toldAfter = bench.orders.standings.count - told
        let down = total("tandem_health_transitions_total{")
        var pictures = 0
        let snapshot = Self.milliseconds { pictures = service.snapshot().count }
        pool.healthCheck?.interval = .seconds(6)
        let kept = Self.milliseconds { service.apply([pool]) }
        pool.healthCheck?.probe = .http(HTTPProbe(path: "/other"))
        let changed = Self.milliseconds { service.apply([pool]) }
        var text = MetricsText()
        let collected = Self.milliseconds { metrics.collect(into: &text) }
        let drained = Self.milliseconds {
            for number in 1...(count / 2) {
                _ = service.setAdminState(pool: "web", backend: "be\(number)", .maintenance)
            }
        }
        let stopped = Self.milliseconds { service.stop() }
        print(
            """
            \(count) backends: apply \(applied) ms; every backend asked once in \(checked) ms \
            (thread \(checkCPU) ms, the scripted backend included); all refused for 8 s: thread \
            \(fall) ms, transitions \(down), standings told \(toldAfter); snapshot of \(pictures) \
            \(snapshot) ms; reload \(kept) ms; reload with another check \(changed) ms; metrics \
            \(collected) ms; maintenance of half, one by one \(drained) ms; stop \(stopped) ms
            """)
        #expect(pictures == count)
    }
}
