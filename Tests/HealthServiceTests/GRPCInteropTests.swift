// SPDX-License-Identifier: Apache-2.0
//
// The gRPC probe against a server of the gRPC project itself. Runs when TANDEM_GRPC_PORT names one
// on the loopback address (for example grpcio with grpcio-health-checking) that knows the services
// "" and "up" (SERVING), "down" (NOT_SERVING), "unknown" (UNKNOWN); and TANDEM_GRPC_BARE_PORT one
// without the health service.

import BalancerCore
import ConfigurationCore
import Glibc
import Testing
import WireCore

@testable import HealthService

private func port(_ name: String) -> UInt16? {
    getenv(name).flatMap { UInt16(String(cString: $0)) }
}

@Suite(.enabled(if: port("TANDEM_GRPC_PORT") != nil)) struct GRPCInteropTests {
    private func endpoint(_ name: String) throws -> Endpoint {
        Endpoint(address: .v4(.loopback), port: try #require(port(name)))
    }

    @Test(arguments: ["", "up"])
    func servingPassesAndKeepsItsConnection(service: String) throws {
        let bench = try HealthBench()
        let endpoint = try endpoint("TANDEM_GRPC_PORT")
        bench.service.apply([HealthBench.pool([endpoint], probe: .grpc(service: service), fall: 1)])
        bench.poll(for: "25 passes") { bench.first.consecutivePasses >= 25 }
        #expect(bench.admissions() == [.serving])
        bench.service.stop()
    }

    @Test(arguments: [
        ("down", "gRPC health NOT_SERVING"), ("unknown", "gRPC health UNKNOWN"),
        ("missing", "gRPC status NOT_FOUND"),
    ])
    func anythingElseFails(service: String, reason: String) throws {
        let bench = try HealthBench()
        let endpoint = try endpoint("TANDEM_GRPC_PORT")
        bench.service.apply([HealthBench.pool([endpoint], probe: .grpc(service: service))])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure.map { "\($0)" } == reason)
        bench.service.stop()
    }

    @Test(.enabled(if: port("TANDEM_GRPC_BARE_PORT") != nil))
    func aServerWithoutTheServiceSaysSo() throws {
        let bench = try HealthBench()
        let endpoint = try endpoint("TANDEM_GRPC_BARE_PORT")
        bench.service.apply([HealthBench.pool([endpoint], probe: .grpc(service: ""))])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure.map { "\($0)" } == "gRPC status UNIMPLEMENTED")
        bench.service.stop()
    }
}
