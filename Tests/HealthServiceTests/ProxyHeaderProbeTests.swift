// SPDX-License-Identifier: Apache-2.0
//
// Checks of pools that want a PROXY header: each connection begins with one that speaks for
// nobody but the probe.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import HealthService

@Suite struct ProxyHeaderProbeTests {
    private static func pool(
        _ endpoint: Endpoint, _ version: ProxyHeaderVersion,
        probe: HealthCheckConfiguration.Probe
    ) -> PoolConfiguration {
        var pool = HealthBench.pool([endpoint], probe: probe)
        pool.sendsProxyHeader = version
        return pool
    }

    @Test(arguments: ProxyHeaderVersion.allCases)
    func httpProbesAskBehindAHeader(version: ProxyHeaderVersion) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(
            on: bench.loop, .answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        bench.service.apply(
            [
                Self.pool(
                    backend.endpoint, version, probe: .http(HTTPProbe(path: "/healthz", host: nil)))
            ])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        let bytes = Array(try #require(backend.requests.first).utf8)
        guard case .complete(let header) = ProxyHeader.decode(bytes.span.bytes) else {
            Issue.record("no header: \(bytes)")
            return
        }
        let request = String(decoding: bytes.dropFirst(header.byteCount), as: UTF8.self)
        #expect(request.hasPrefix("GET /healthz HTTP/1.1\r\n"))
        switch version {
        case .v1:
            #expect(header.connection?.source.address == .v4(.loopback))
            #expect(header.connection?.destination == backend.endpoint)
        case .v2:
            #expect(header.connection == nil)
            #expect(bytes[12] == 0x20)
        }
        bench.service.stop()
    }

    @Test(arguments: ProxyHeaderVersion.allCases)
    func tcpProbesSendTheHeaderAndPass(version: ProxyHeaderVersion) throws {
        let bench = try HealthBench()
        let listener = try StreamSocket.listen(on: Endpoint(address: .v4(.loopback), port: 0))
        let endpoint = try #require(try StreamSocket.localEndpoint(listener))
        bench.service.apply([Self.pool(endpoint, version, probe: .tcp(PayloadProbe()))])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        guard let accepted = try StreamSocket.accept(from: listener) else {
            Issue.record("nothing accepted")
            return
        }
        let bytes = try accepted.takeSocket().read(upTo: 4_096) ?? []
        guard case .complete(let header) = ProxyHeader.decode(bytes.span.bytes) else {
            Issue.record("no header: \(bytes)")
            return
        }
        #expect(header.byteCount == bytes.count)
        bench.service.stop()
    }
}
