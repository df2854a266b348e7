// SPDX-License-Identifier: Apache-2.0
//
// What every test of the service needs: a loop, the service on it, the verdicts it announced.

import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import HealthService

/// A service with a loop of its own.
final class HealthBench {
    /// Collects what the service announces.
    final class VerdictLog {
        var verdicts: [BackendVerdict] = []
    }

    let loop: EventLoop
    let service: HealthService
    private let log: VerdictLog

    init(probesAtOnceMax: Int = 256) throws {
        let log = VerdictLog()
        let loop = try EventLoop()
        self.log = log
        self.loop = loop
        service = HealthService(
            on: loop, logger: Logger("health", sink: nil), seed: 7,
            probesAtOnceMax: probesAtOnceMax
        ) { verdict in
            log.verdicts.append(verdict)
        }
    }

    var verdicts: [BackendVerdict] { log.verdicts }

    /// The first backend as the service sees it.
    var first: BackendHealth { service.snapshot()[0] }

    /// Runs the loop until `condition` holds; fails the test after ten seconds.
    func poll(
        for what: String, at location: SourceLocation = #_sourceLocation, _ condition: () -> Bool
    ) {
        let isMet = loop.run(until: Clock.now() + .seconds(10), condition)
        #expect(isMet, "waited in vain for \(what)", sourceLocation: location)
    }

    /// A pool `web` with backends `be1` and so on, checked every ten milliseconds.
    static func pool(
        _ endpoints: [Endpoint],
        probe: HealthCheckConfiguration.Probe = .http(HTTPProbe(path: "/healthz", host: nil)),
        fall: Int = 2, rise: Int = 2, timeoutMilliseconds: UInt64 = 2_000
    ) -> PoolConfiguration {
        PoolConfiguration(
            name: "web", balance: .leastTime,
            backends: endpoints.enumerated().map { number, endpoint in
                BackendConfiguration(name: "be\(number + 1)", address: endpoint, weight: 1)
            },
            healthCheck: HealthCheckConfiguration(
                probe: probe, interval: .milliseconds(10),
                timeout: .milliseconds(timeoutMilliseconds), fall: fall, rise: rise))
    }
}
