// SPDX-License-Identifier: Apache-2.0
//
// Goal: a backend goes down and comes back for the right reason, whatever it answers. Method: the
// service and scripted backends share one loop; every wait polls with a deadline.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Telemetry
import Testing
import WireCore

@testable import HealthService

@Suite struct HealthServiceTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test(arguments: [
        ScriptedBehaviour.answer(ok),
        .answer("HTTP/1.1 204 No Content\r\n\r\n"),
        .answer("HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n"),
        // An interim answer comes first (RFC 9110 §15.2).
        .answer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok),
        // The body is none of the probe's business, nor is its end.
        .answerAndStay("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx"),
        .trickle(ok),
    ])
    func anAnswerOf2xxOr3xxSettlesTheBackendUp(behaviour: ScriptedBehaviour) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, behaviour)
        bench.service.apply([HealthBench.pool([backend.endpoint])])
        #expect(bench.first.verdict == .unverified)
        #expect(bench.first.isChecked)
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        #expect(bench.first.lastFailure == nil)
        #expect(bench.first.lastCheckedAt != nil)
        #expect(bench.first.consecutivePasses >= 1)
        #expect(bench.admissions() == [.serving])
        #expect(bench.first.state == .up)
        bench.service.stop()
    }

    @Test(arguments: [
        (ScriptedBehaviour.answer("HTTP/1.1 500 Oops\r\n\r\n"), ProbeFailure.unexpectedStatus(500)),
        (.answer("HTTP/1.1 404 Not Found\r\n\r\n"), .unexpectedStatus(404)),
        (.answer("HTTP/1.1 101 Switching Protocols\r\n\r\n"), .unexpectedStatus(101)),
        (.answer("SSH-2.0-OpenSSH_9.2\r\n"), .malformedResponse),
        (.answer("HTTP/1.1 200 OK\nbare: line feed\n\n"), .malformedResponse),
        (.answer("HTTP/1.1 200"), .connectionClosed),
        (.answer(""), .connectionClosed),
        (.close, .connectionClosed),
        (.reset, .connectionClosed),
        (.endlessHead, .responseTooLong),
    ])
    func anyOtherAnswerTakesTheBackendDown(
        behaviour: ScriptedBehaviour, failure: ProbeFailure
    ) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, behaviour)
        bench.service.apply([HealthBench.pool([backend.endpoint])])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == failure)
        #expect(bench.admissions() == [.serving, .unhealthy])
        #expect(bench.first.state == .down)
        #expect(bench.first.why == "liveness check: \(failure)")
        bench.service.stop()
    }

    @Test(arguments: [
        HealthCheckConfiguration.Probe.tcp(PayloadProbe()),
        .http(HTTPProbe(path: "/", host: "example.org")),
    ])
    func aRefusedConnectionTakesTheBackendDown(probe: HealthCheckConfiguration.Probe) throws {
        let bench = try HealthBench()
        let endpoint = try ScriptedBackend.unusedEndpoint()
        bench.service.apply([HealthBench.pool([endpoint], probe: probe, fall: 3)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.why == "liveness check: connection refused")
        #expect(bench.first.consecutiveFailures == 3)
        #expect(bench.orders.idleClosed == ["be1"])
        bench.service.stop()
    }

    @Test func aBackendThatHangsTimesOutAndHoldsOneConnectionAtATime() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .hang)
        bench.service.apply([HealthBench.pool([backend.endpoint], timeoutMilliseconds: 20)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .timedOut)
        #expect(bench.first.lastLatency >= .milliseconds(20))
        bench.poll(for: "more checks") { backend.acceptedCount >= 4 }
        #expect(backend.openMax <= 2)
        bench.service.stop()
    }

    @Test func aHangingBackendPassesATCPCheck() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .hang)
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .tcp(PayloadProbe()))])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        bench.poll(for: "three passes") { bench.first.consecutivePasses >= 3 }
        #expect(backend.requests.isEmpty)
        bench.service.stop()
    }

    @Test(arguments: [nil, "app.example.org"])
    func theRequestNamesHostAndPath(host: String?) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .answer(Self.ok))
        bench.service.apply([
            HealthBench.pool(
                [backend.endpoint], probe: .http(HTTPProbe(path: "/ready?deep=1", host: host)))
        ])
        bench.poll(for: "a request") { !backend.requests.isEmpty }
        let request = try #require(backend.requests.first)
        let lines = request.split(separator: "\r\n").map(String.init)
        #expect(lines.first == "GET /ready?deep=1 HTTP/1.1")
        #expect(lines.contains("Host: \(host ?? backend.endpoint.description)"))
        #expect(!lines.contains("Connection: close"))
        bench.service.stop()
    }

    @Test func fallAndRiseDampFlapping() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .answer(Self.ok))
        let failing = ScriptedBehaviour.answer("HTTP/1.1 503 Busy\r\n\r\n")
        bench.service.apply([HealthBench.pool([backend.endpoint], fall: 3, rise: 3)])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        for _ in 0..<5 {
            backend.behaviour = failing
            bench.poll(for: "two failures") { bench.first.consecutiveFailures >= 1 }
            backend.behaviour = .answer(Self.ok)
            bench.poll(for: "a pass") { bench.first.consecutivePasses >= 1 }
        }
        #expect(bench.admissions() == [.serving])
        backend.behaviour = failing
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.consecutiveFailures == 3)
        backend.behaviour = .answer(Self.ok)
        bench.poll(for: "the verdict up") { bench.first.verdict == .up }
        #expect(bench.first.consecutivePasses == 3)
        #expect(bench.admissions() == [.serving, .unhealthy, .serving])
        bench.service.stop()
    }

    @Test func aPoolWithoutAHealthCheckIsNeverProbed() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .answer(Self.ok))
        var unchecked = HealthBench.pool([backend.endpoint])
        unchecked.name = "free"
        unchecked.healthCheck = nil
        let checked = HealthBench.pool([backend.endpoint])
        bench.service.apply([unchecked, checked])
        let health = bench.service.snapshot()
        #expect(health.map(\.pool) == ["free", "web"])
        #expect(health.map(\.isChecked) == [false, true])
        bench.poll(for: "a check of the other pool") {
            bench.service.snapshot()[1].consecutivePasses >= 3
        }
        #expect(bench.service.snapshot()[0].lastCheckedAt == nil)
        bench.service.stop()
    }
}
