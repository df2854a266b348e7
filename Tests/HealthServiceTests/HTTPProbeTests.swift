// SPDX-License-Identifier: Apache-2.0
//
// Goal: the HTTP probe asks what it was told to, judges status and body whatever way the answer is
// framed and cut, and never reads without end.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import HealthService

@Suite struct HTTPProbeTests {
    private static let text = "all systems nominal"

    private static func chunked(_ pieces: [String]) -> String {
        let chunks = pieces.map { "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n" }
        return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks.joined()
    }

    private static func length(_ body: String) -> String {
        "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test(arguments: [
        ScriptedBehaviour.answer(length("<p>\(text)</p>")),
        .answer("HTTP/1.1 200 OK\r\n\r\n<p>\(text)"),
        .answer(chunked(["all sys", "tems", " nominal"]) + "0\r\n\r\n"),
        .trickle(chunked(["all sys", "tems", " nominal"]) + "0\r\n\r\n"),
        // Found is found, wherever the body ends and whatever comes then.
        .answerAndStay("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n\(text)"),
        .answerAndStay(chunked(["all systems nominal"]) + "garbage"),
        // The last byte of the first 64 KiB.
        .answerAndStay(
            length(String(repeating: ".", count: HTTPDialogue.bodyByteCountMax - 19) + text)),
    ])
    func aBodyWithTheTextPasses(behaviour: ScriptedBehaviour) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, behaviour)
        bench.service.apply([
            HealthBench.pool([backend.endpoint], probe: .http(HTTPProbe(body: Self.text)))
        ])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        bench.service.stop()
    }

    @Test(arguments: [
        (ScriptedBehaviour.answer(length("all systems nominaL")), ProbeFailure.bodyMismatch),
        (.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .bodyMismatch),
        (.answer("HTTP/1.1 204 No Content\r\n\r\n"), .bodyMismatch),
        (.answer("HTTP/1.1 200 OK\r\n\r\nall systems"), .bodyMismatch),
        (.answer(chunked(["all systems"]) + "0\r\n\r\n"), .bodyMismatch),
        (.answer(chunked(["all systems"])), .connectionClosed),
        (.answer("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nall"), .connectionClosed),
        (.answer(chunked(["all systems"]) + "zz\r\n"), .malformedResponse),
        (.endlessBody("HTTP/1.1 200 OK\r\n\r\n"), .bodyMismatch),
        (.endlessBody("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), .bodyMismatch),
        // One byte too late.
        (
            .answerAndStay(
                length(String(repeating: ".", count: HTTPDialogue.bodyByteCountMax - 18) + text)),
            .bodyMismatch
        ),
    ])
    func aBodyWithoutTheTextFails(behaviour: ScriptedBehaviour, failure: ProbeFailure) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, behaviour)
        bench.service.apply([
            HealthBench.pool([backend.endpoint], probe: .http(HTTPProbe(body: Self.text)))
        ])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == failure)
        bench.service.stop()
    }

    @Test(arguments: [
        (200, true), (299, true), (300, false), (404, true), (405, false), (500, false),
    ])
    func onlyListedStatusesPass(status: Int, passes: Bool) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(
            on: bench.loop, .answer("HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n"))
        let probe = HTTPProbe(statuses: [200...299, 404...404])
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .http(probe))])
        bench.poll(for: "a verdict") { bench.first.verdict != .unverified }
        #expect((bench.first.verdict == .up) == passes)
        #expect(bench.first.lastFailure == (passes ? nil : .unexpectedStatus(status)))
        bench.service.stop()
    }

    @Test func methodHostAndFieldsAreThoseOfTheCheck() throws {
        let bench = try HealthBench()
        // A HEAD is answered with a length and no body (RFC 9110 §9.3.2).
        let backend = try ScriptedBackend(
            on: bench.loop,
            .serve("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", requestsMax: 100))
        let probe = HTTPProbe(
            method: "HEAD", path: "/live?full=1", host: "app.example.org",
            headers: [
                HeaderEdits.Header(name: "Authorization", value: "Basic Zm9vOmJhcg=="),
                HeaderEdits.Header(name: "user-agent", value: "probe/1"),
            ])
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .http(probe))])
        bench.poll(for: "three passes") { bench.first.consecutivePasses >= 3 }
        #expect(
            backend.requests.first?.split(separator: "\r\n").map(String.init) == [
                "HEAD /live?full=1 HTTP/1.1", "Host: app.example.org", "Accept: */*",
                "Authorization: Basic Zm9vOmJhcg==", "user-agent: probe/1",
            ])
        // The length belongs to a body that does not come: the connection goes on.
        #expect(backend.acceptedCount == 1)
        bench.service.stop()
    }

    @Test func interimHeadsWithoutEndAreTooLong() throws {
        let bench = try HealthBench()
        let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
        let backend = try ScriptedBackend(
            on: bench.loop, .answerAndStay(String(repeating: hint, count: 400)))
        bench.service.apply([HealthBench.pool([backend.endpoint])])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .responseTooLong)
        bench.service.stop()
    }

    @Test func aPortOfItsOwnIsAskedWithoutThePoolsProxyHeader() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .answer(Self.length("ok")))
        var pool = HealthBench.pool([try ScriptedBackend.unusedEndpoint()])
        pool.sendsProxyHeader = .v1
        pool.healthCheck?.port = backend.endpoint.port
        bench.service.apply([pool])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        #expect(backend.requests.first?.hasPrefix("GET /healthz HTTP/1.1\r\n") == true)
        bench.service.stop()
    }
}
