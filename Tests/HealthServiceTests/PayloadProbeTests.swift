// SPDX-License-Identifier: Apache-2.0
//
// Goal: TCP and UDP probes send their bytes and judge what comes back; silence, refusal and floods
// end as they should.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import HealthService

/// A UDP backend on the test's own loop.
private final class ScriptedDatagramBackend: EventHandler {
    let endpoint: Endpoint
    /// The answer to each datagram; `nil` says nothing.
    var answer: [UInt8]?
    /// Datagrams that are left unanswered before the next answer.
    var ignoredCount = 0
    private(set) var received: [[UInt8]] = []
    private let socket: FileDescriptor

    init(on loop: EventLoop, answer: [UInt8]?) throws {
        self.answer = answer
        let socket = try DatagramSocket.bind(to: Endpoint(address: .v4(.loopback), port: 0))
        guard let endpoint = try StreamSocket.localEndpoint(socket) else {
            throw Errno.addressNotAvailable
        }
        self.endpoint = endpoint
        self.socket = socket
        _ = try loop.add(self.socket, .readable, handler: self)
    }

    func handle(_ events: EpollEvents, from source: EventSource) {
        while let (bytes, peer) = try? DatagramSocket.receiveWithSource(socket, upTo: 2_048) {
            received.append(bytes)
            guard ignoredCount == 0 else {
                ignoredCount -= 1
                continue
            }
            if let answer, let peer { _ = try? DatagramSocket.send(socket, answer, to: peer) }
        }
    }
}

@Suite struct PayloadProbeTests {
    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: TCP

    @Test func bytesAreSentAndTheAnswerIsSearched() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(
            on: bench.loop, .converse(hear: "PING\r\n", say: "-LOADING\r\n+PONG\r\n"))
        let probe = PayloadProbe(send: Self.bytes("PING\r\n"), expect: Self.bytes("+PONG"))
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .tcp(probe))])
        bench.poll(for: "two passes") { bench.first.consecutivePasses >= 2 }
        bench.service.stop()
    }

    @Test func aGreetingNeedsNoQuestion() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .greet("SSH-2.0-OpenSSH_9.2\r\n"))
        let probe = PayloadProbe(expect: Self.bytes("SSH-2.0"))
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .tcp(probe))])
        bench.poll(for: "two passes") { bench.first.consecutivePasses >= 2 }
        bench.service.stop()
    }

    @Test(arguments: [
        (ScriptedBehaviour.close, ProbeFailure.connectionClosed),
        (.greet("220 busy\r\n"), .timedOut),
        (.hang, .timedOut),
    ])
    func withoutTheBytesItFails(behaviour: ScriptedBehaviour, failure: ProbeFailure) throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, behaviour)
        let probe = PayloadProbe(expect: Self.bytes("+PONG"))
        bench.service.apply([
            HealthBench.pool([backend.endpoint], probe: .tcp(probe), timeoutMilliseconds: 30)
        ])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == failure)
        bench.service.stop()
    }

    @Test func anEndlessAnswerIsCutOff() throws {
        let bench = try HealthBench()
        let backend = try ScriptedBackend(on: bench.loop, .endlessBody("hello"))
        let probe = PayloadProbe(
            send: Self.bytes("GET / HTTP/1.1\r\n\r\n"), expect: Self.bytes("never said"))
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .tcp(probe))])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .unexpectedAnswer)
        bench.service.stop()
    }

    // MARK: UDP

    @Test(arguments: [[], Array("PONG".utf8)])
    func aDatagramThatAnswersPasses(expect: [UInt8]) throws {
        let bench = try HealthBench()
        let backend = try ScriptedDatagramBackend(
            on: bench.loop, answer: Self.bytes("\u{1}PONG\u{0}"))
        let probe = PayloadProbe(send: Self.bytes("PING"), expect: expect)
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .udp(probe))])
        bench.poll(for: "two passes") { bench.first.consecutivePasses >= 2 }
        #expect(backend.received.first == Self.bytes("PING"))
        bench.service.stop()
    }

    @Test func aDatagramWithoutTheBytesFails() throws {
        let bench = try HealthBench()
        let backend = try ScriptedDatagramBackend(on: bench.loop, answer: Self.bytes("SERVFAIL"))
        let probe = PayloadProbe(send: Self.bytes("PING"), expect: Self.bytes("PONG"))
        bench.service.apply([HealthBench.pool([backend.endpoint], probe: .udp(probe))])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .unexpectedAnswer)
        bench.service.stop()
    }

    @Test func anEmptyAnswerIsAnAnswer() throws {
        let bench = try HealthBench()
        let backend = try ScriptedDatagramBackend(on: bench.loop, answer: [])
        bench.service.apply([
            HealthBench.pool([backend.endpoint], probe: .udp(PayloadProbe()))
        ])
        bench.poll(for: "the first pass") { bench.first.verdict == .up }
        bench.service.stop()
    }

    @Test func silenceTimesOutAfterThreeQuestions() throws {
        let bench = try HealthBench()
        let backend = try ScriptedDatagramBackend(on: bench.loop, answer: nil)
        let probe = PayloadProbe(send: Self.bytes("PING"))
        bench.service.apply([
            HealthBench.pool(
                [backend.endpoint], probe: .udp(probe), fall: 1, timeoutMilliseconds: 600)
        ])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .timedOut)
        #expect(bench.first.lastLatency >= .milliseconds(600))
        #expect(backend.received.count >= DatagramProbe.sendCount)
        bench.service.stop()
    }

    @Test func oneLostDatagramIsNoFailure() throws {
        let bench = try HealthBench()
        let backend = try ScriptedDatagramBackend(on: bench.loop, answer: Self.bytes("PONG"))
        backend.ignoredCount = 2
        let probe = PayloadProbe(send: Self.bytes("PING"))
        bench.service.apply([
            HealthBench.pool(
                [backend.endpoint], probe: .udp(probe), fall: 1, timeoutMilliseconds: 3_000)
        ])
        bench.poll(for: "a verdict") { bench.first.verdict != .unverified }
        #expect(bench.first.verdict == .up)
        bench.service.stop()
    }

    /// ICMP says that nobody listens: no need to wait.
    @Test func aRefusalByTheHostFailsAtOnce() throws {
        let bench = try HealthBench()
        var endpoint: Endpoint
        do {
            let socket = try DatagramSocket.bind(to: Endpoint(address: .v4(.loopback), port: 0))
            endpoint = try #require(try StreamSocket.localEndpoint(socket))
        }
        let probe = PayloadProbe(send: Self.bytes("PING"))
        bench.service.apply([
            HealthBench.pool(
                [endpoint], probe: .udp(probe), timeoutMilliseconds: 60_000)
        ])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .connectionRefused)
        bench.service.stop()
    }
}
