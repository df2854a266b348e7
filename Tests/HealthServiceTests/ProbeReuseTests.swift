// SPDX-License-Identifier: Apache-2.0
//
// Goal: probes go on with a connection as long as that tells the truth: not after a failure, not
// for more than ten probes; and a connection that ended by itself is no fault of the backend.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import HealthService

@Suite struct ProbeReuseTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test func tenProbesShareAConnectionAndTheLastOneSaysSo() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        bench.service.apply([HealthBench.pool([backend.endpoint])])
        bench.poll(for: "25 passes") { bench.first.consecutivePasses >= 25 }
        #expect(backend.acceptedCount == 3)
        let closing = backend.requests.map { $0.contains("\r\nConnection: close\r\n") }
        #expect(Array(closing.prefix(20).enumerated().filter(\.element).map(\.offset)) == [9, 19])
        #expect(bench.admissions() == [.serving])
        bench.service.stop()
    }

    @Test func withoutReuseEachProbeConnects() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        var pool = HealthBench.pool([backend.endpoint])
        pool.healthCheck?.reusesConnection = false
        bench.service.apply([pool])
        bench.poll(for: "five passes") { bench.first.consecutivePasses >= 5 }
        #expect(backend.acceptedCount == backend.requests.count)
        #expect(backend.requests.allSatisfy { $0.contains("\r\nConnection: close\r\n") })
        bench.service.stop()
    }

    /// The backend closes while the question is on its way: RFC 9112 §9.3.1.
    @Test func aKeptConnectionThatEndsIsNoFailure() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 3))
        bench.service.apply([HealthBench.pool([backend.endpoint], fall: 1)])
        bench.poll(for: "20 passes") { bench.first.consecutivePasses >= 20 }
        #expect(backend.acceptedCount >= 6)
        #expect(bench.admissions() == [.serving])
        bench.service.stop()
    }

    /// The question is put once more over a new connection; its end is then a failure.
    @Test func aNewConnectionThatEndsIsAFailure() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        bench.service.apply([HealthBench.pool([backend.endpoint], fall: 1)])
        bench.poll(for: "a pass") { bench.first.consecutivePasses >= 2 }
        backend.behaviour = .serve(Self.ok, requestsMax: 0)
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .connectionClosed)
        bench.service.stop()
    }

    @Test func aFailureEndsTheConnectionAtOnce() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        bench.service.apply([HealthBench.pool([backend.endpoint], fall: 100)])
        bench.poll(for: "a pass") { bench.first.consecutivePasses >= 2 }
        let before = backend.acceptedCount
        backend.behaviour = .serve(
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", requestsMax: 1_000)
        bench.poll(for: "four failures") { bench.first.consecutiveFailures >= 4 }
        // The first one came over the kept connection.
        #expect(backend.acceptedCount >= before + 3)
        bench.service.stop()
    }

    /// What is in the kernel's queue may be accepted by nobody: only a new connection shows it.
    @Test func aBackendThatNoLongerAcceptsIsFound() throws {
        let bench = try HealthBench()
        var backend: ScriptedBackend? = try ScriptedBackend(
            on: bench.loop, .serve(Self.ok, requestsMax: 1_000))
        let endpoint = try #require(backend?.endpoint)
        bench.service.apply([HealthBench.pool([endpoint], fall: 2)])
        bench.poll(for: "a pass") { bench.first.consecutivePasses >= 2 }
        backend?.stopAccepting()
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .connectionRefused)
        #expect((backend?.requests.count ?? 0) <= ProbeConnection.probesMax)
        backend = nil
        bench.service.stop()
    }

    /// The head passes the probe; what is left of the body is read when the next one begins.
    @Test func theRestOfABodyDoesNotPreventReuse() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(
            on: bench.loop,
            .serveInParts("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", "def"))
        bench.service.apply([HealthBench.pool([backend.endpoint])])
        bench.poll(for: "five passes") { bench.first.consecutivePasses >= 5 }
        #expect(backend.acceptedCount == 1)
        bench.service.stop()
    }

    @Test(arguments: [
        // More than was announced, an end that nobody knows, an answer nobody asked for.
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 408 Late\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ])
    func anAnswerThatForbidsReuseIsObeyed(answer: String) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .serve(answer, requestsMax: 1_000))
        bench.service.apply([HealthBench.pool([backend.endpoint], fall: 1)])
        bench.poll(for: "four passes") { bench.first.consecutivePasses >= 4 }
        #expect(backend.acceptedCount >= 4)
        #expect(bench.admissions() == [.serving])
        bench.service.stop()
    }

    @Test func keptConnectionsAreBounded() {
        let kept = KeptConnections(capacity: 2)
        #expect(kept.admit() && kept.admit())
        #expect(!kept.admit())
        kept.release()
        #expect(kept.admit())
    }
}
