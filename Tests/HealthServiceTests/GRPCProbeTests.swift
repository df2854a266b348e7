// SPDX-License-Identifier: Apache-2.0
//
// Goal: the gRPC probe passes what says SERVING and gives a readable reason for all else; a server
// that breaks or abuses HTTP/2 costs a bounded amount of work.

import BalancerCore
import ConfigurationCore
import EventLoop
import LinuxIO
import Testing
import WireCore

@testable import HealthService

@Suite struct GRPCProbeTests {
    private static func pool(
        _ endpoint: Endpoint, service: String = "", fall: Int = 2,
        timeoutMilliseconds: UInt64 = 2_000
    ) -> PoolConfiguration {
        HealthBench.pool(
            [endpoint], probe: .grpc(service: service), fall: fall,
            timeoutMilliseconds: timeoutMilliseconds)
    }

    @Test(arguments: ["", "web.Api"])
    func servingPassesOverOneConnection(service: String) throws {
        let bench = try HealthBench()
        let backend = try ScriptedHTTP2Backend(on: bench.loop, .health([0x08, 0x01]))
        bench.service.apply([Self.pool(backend.endpoint, service: service)])
        bench.poll(for: "eight passes") { bench.first.consecutivePasses >= 8 }
        #expect(backend.acceptedCount == 1)
        #expect(backend.requests.prefix(4).map(\.stream) == [1, 3, 5, 7])
        // gRPC's prefix, then field 1 of the request; its default value is not sent.
        let name = Array(service.utf8)
        let message = name.isEmpty ? [] : [0x0A, UInt8(name.count)] + name
        let count = UInt8(message.count)
        #expect(backend.requests.first?.body == [0, 0, 0, 0, count] + message)
        bench.service.stop()
    }

    @Test func theEleventhProbeConnectsAnew() throws {
        let bench = try HealthBench()
        let backend = try ScriptedHTTP2Backend(on: bench.loop, .health([0x08, 0x01]))
        bench.service.apply([Self.pool(backend.endpoint)])
        bench.poll(for: "21 passes") { bench.first.consecutivePasses >= 21 }
        #expect(backend.acceptedCount == 3)
        bench.service.stop()
    }

    /// What a server says, and what the operator reads.
    private static let refusals: [(HTTP2Script, String)] = [
        (.health([0x08, 0x02]), "gRPC health NOT_SERVING"),
        (.health([0x08, 0x03]), "gRPC health SERVICE_UNKNOWN"),
        // proto3 does not send 0: an empty message says UNKNOWN.
        (.health([]), "gRPC health UNKNOWN"),
        (.health([0x08, 0x00]), "gRPC health UNKNOWN"),
        (.trailersOnly(status: "12"), "gRPC status UNIMPLEMENTED"),
        (.trailersOnly(status: "5"), "gRPC status NOT_FOUND"),
        (.health([0x08, 0x01], status: "14"), "gRPC status UNAVAILABLE"),
        (.trailersOnly(status: "99"), "gRPC status 99"),
        // Not a gRPC server at all.
        (
            HTTP2Script { Frame.headers($0, isLast: true, [":status": "404"]) }, "status 404"
        ),
        // Answers that are none.
        (.health([0x08]), "malformed response"),
        (.health([0x08, 0x04]), "malformed response"),
        (.health([0x0A, 0x05, 0x01]), "malformed response"),
        (.health([0x08, 0x01], status: "x"), "malformed response"),
        (.health([0x08, 0x01], status: "-1"), "malformed response"),
        (.trailersOnly(status: "0"), "malformed response"),
        (
            HTTP2Script { stream in
                Frame.headers(stream, [":status": "200"])
                    + Frame.data(stream, isLast: true, [0, 0, 0, 0, 2, 0x08, 0x01])
            }, "malformed response"
        ),
        // A compressed message, a length that lies.
        (
            HTTP2Script { stream in
                Frame.headers(stream, [":status": "200"])
                    + Frame.data(stream, [1, 0, 0, 0, 2, 0x08, 0x01])
                    + Frame.headers(stream, isLast: true, ["grpc-status": "0"])
            }, "malformed response"
        ),
        (
            HTTP2Script { stream in
                Frame.headers(stream, [":status": "200"])
                    + Frame.data(stream, [0, 0xFF, 0xFF, 0xFF, 0xFF, 0x08, 0x01])
                    + Frame.headers(stream, isLast: true, ["grpc-status": "0"])
            }, "malformed response"
        ),
        (HTTP2Script { Frame.reset($0, code: 0x2) }, "connection closed"),
        (HTTP2Script { Frame.reset($0, code: 0x7) }, "connection closed"),
        (HTTP2Script { _ in Frame.goAway(lastStream: 0) }, "connection closed"),
        (HTTP2Script(answer: { _ in [] }, closes: true), "connection closed"),
    ]

    @Test(arguments: refusals.indices)
    func anythingElseFailsForAReason(index: Int) throws {
        let (script, reason) = Self.refusals[index]
        let bench = try HealthBench()
        let backend = try ScriptedHTTP2Backend(on: bench.loop, script)
        bench.service.apply([Self.pool(backend.endpoint)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure.map { "\($0)" } == reason)
        bench.service.stop()
    }

    /// What breaks HTTP/2 itself, by the rule it breaks.
    private static let violations: [HTTP2Script] = [
        // RFC 9113 §3.4: a server begins with SETTINGS.
        .raw("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
        .raw("SSH-2.0-OpenSSH_9.2\r\n"),
        HTTP2Script(
            greeting: Frame.bytes(0x6, [UInt8](repeating: 0, count: 8)), answer: { _ in [] }),
        // §6.5: settings that are no multiple of six bytes.
        HTTP2Script(greeting: Frame.bytes(0x4, [1, 2, 3]), answer: { _ in [] }),
        // §5.1.1: a stream that the client never opened.
        HTTP2Script { Frame.headers($0 + 8, [":status": "200"]) },
        // §4.2: longer than the client allows.
        HTTP2Script { Frame.data($0, [UInt8](repeating: 0, count: 20_000)) },
        // RFC 7541 §2.3.3: an index beyond the table.
        HTTP2Script { Frame.bytes(0x1, flags: 0x5, stream: $0, [0xFF, 0xFF, 0x7F]) },
        // §8.4: a push, which the client has forbidden.
        HTTP2Script { Frame.bytes(0x5, flags: 0x4, stream: $0, Frame.number(2) + [0x88]) },
    ]

    @Test(arguments: violations.indices)
    func aViolationIsAMalformedAnswer(index: Int) throws {
        let bench = try HealthBench()
        let backend = try ScriptedHTTP2Backend(on: bench.loop, Self.violations[index])
        bench.service.apply([Self.pool(backend.endpoint)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .malformedResponse)
        bench.service.stop()
    }

    /// Frames that cost the client work for nothing, without end.
    private static let floods: [[UInt8]] = [
        Frame.settings,
        Frame.bytes(0x4, [0, 3, 0, 0, 0, 100]),
        Frame.bytes(0x6, [1, 2, 3, 4, 5, 6, 7, 8]),
        // A frame of an unknown type, which must be ignored (RFC 9113 §5.5).
        Frame.bytes(0x42, [UInt8](repeating: 0, count: 1_000)),
        Frame.bytes(0x8, Frame.number(1)),
    ]

    @Test(arguments: floods.indices)
    func aFloodIsCutOff(index: Int) throws {
        let bench = try HealthBench()
        let script = HTTP2Script(answer: { _ in [] }, flood: Self.floods[index])
        let backend = try ScriptedHTTP2Backend(on: bench.loop, script)
        bench.service.apply([Self.pool(backend.endpoint, timeoutMilliseconds: 5_000)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .responseTooLong)
        bench.service.stop()
    }

    @Test func anEndlessHeaderBlockIsCutOff() throws {
        let bench = try HealthBench()
        let field = Frame.fields(["x-more": String(repeating: "m", count: 100)])
        let script = HTTP2Script { stream in
            Frame.bytes(0x1, stream: stream, [0x88] + field)
                + (0..<50).flatMap { _ in Frame.bytes(0x9, stream: stream, field) }
        }
        let backend = try ScriptedHTTP2Backend(on: bench.loop, script)
        bench.service.apply([Self.pool(backend.endpoint)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .responseTooLong)
        bench.service.stop()
    }

    @Test func anEndlessMessageIsCutOff() throws {
        let bench = try HealthBench()
        let script = HTTP2Script { stream in
            Frame.headers(stream, [":status": "200"])
                + (0..<6).flatMap { _ in Frame.data(stream, [UInt8](repeating: 0, count: 1_000)) }
        }
        let backend = try ScriptedHTTP2Backend(on: bench.loop, script)
        bench.service.apply([Self.pool(backend.endpoint)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .responseTooLong)
        bench.service.stop()
    }

    @Test func aServerThatSaysNothingTimesOut() throws {
        let bench = try HealthBench()
        let backend = try ScriptedHTTP2Backend(
            on: bench.loop, HTTP2Script { _ in [] })
        bench.service.apply([Self.pool(backend.endpoint, timeoutMilliseconds: 20)])
        bench.poll(for: "the verdict down") { bench.first.verdict == .down }
        #expect(bench.first.lastFailure == .timedOut)
        bench.service.stop()
    }

    /// A server that leaves a connection in good order is asked over another one, at once.
    @Test func aConnectionThatIsLeftIsNoFailure() throws {
        let bench = try HealthBench()
        let serving = HTTP2Script.health([0x08, 0x01])
        let backend = try ScriptedHTTP2Backend(on: bench.loop, serving)
        // The third stream of a connection is not looked at: GOAWAY names the one before.
        backend.script.answer = { stream in
            stream >= 5 ? Frame.goAway(lastStream: 3) : serving.answer(stream)
        }
        bench.service.apply([Self.pool(backend.endpoint, fall: 1)])
        bench.poll(for: "nine passes") { bench.first.consecutivePasses >= 9 }
        #expect(backend.acceptedCount >= 4)
        #expect(bench.admissions() == [.serving])
        bench.service.stop()
    }

    @Test func aGoAwayBetweenProbesIsObeyed() throws {
        let bench = try HealthBench()
        let serving = HTTP2Script.health([0x08, 0x01])
        let backend = try ScriptedHTTP2Backend(on: bench.loop, serving)
        backend.script.answer = { serving.answer($0) + Frame.goAway(lastStream: $0) }
        bench.service.apply([Self.pool(backend.endpoint, fall: 1)])
        bench.poll(for: "four passes") { bench.first.consecutivePasses >= 4 }
        #expect(backend.requests.allSatisfy { $0.stream == 1 })
        bench.service.stop()
    }

    @Test func aRefusedStreamOfAKeptConnectionIsAskedAgain() throws {
        let bench = try HealthBench()
        let serving = HTTP2Script.health([0x08, 0x01])
        let backend = try ScriptedHTTP2Backend(on: bench.loop, serving)
        backend.script.answer = { stream in
            stream > 1 ? Frame.reset(stream, code: 0x7) : serving.answer(stream)
        }
        bench.service.apply([Self.pool(backend.endpoint, fall: 1)])
        bench.poll(for: "four passes") { bench.first.consecutivePasses >= 4 }
        #expect(bench.admissions() == [.serving])
        bench.service.stop()
    }
}

@Suite struct GRPCHealthMessageTests {
    @Test(arguments: [
        ([0, 0, 0, 0, 2, 0x08, 0x01], ServingStatus.serving),
        ([0, 0, 0, 0, 0], .unknown),
        // A later value of a field wins, and fields of later versions are skipped.
        ([0, 0, 0, 0, 4, 0x08, 0x02, 0x08, 0x01], .serving),
        ([0, 0, 0, 0, 6, 0x12, 0x02, 0x61, 0x62, 0x08, 0x02], .notServing),
        ([0, 0, 0, 0, 7, 0x1D, 1, 2, 3, 4, 0x08, 0x03], .serviceUnknown),
    ])
    func answersAreRead(body: [UInt8], status: ServingStatus) {
        #expect(GRPCHealthMessage.servingStatus(of: body) == status)
    }

    @Test(arguments: [
        [], [0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 2, 0x08, 0x01],
        [0, 0, 0, 0, 2, 0x08, 0x80],
        // A number that does not end, a length beyond the message, a group.
        [0, 0, 0, 0, 12, 0x08] + [UInt8](repeating: 0xFF, count: 11),
        [0, 0, 0, 0, 11, 0x12] + [UInt8](repeating: 0xFF, count: 9) + [0x01],
        [0, 0, 0, 0, 1, 0x0B],
    ])
    func whatIsNoAnswerIsRefused(body: [UInt8]) {
        #expect(GRPCHealthMessage.servingStatus(of: body) == nil)
    }

    @Test func longNamesHaveALengthOfTwoBytes() {
        let bytes = GRPCHealthMessage.request(service: String(repeating: "s", count: 300))
        #expect(Array(bytes.prefix(8)) == [0, 0, 0, 1, 0x2F, 0x0A, 0xAC, 0x02])
        #expect(bytes.count == 8 + 300)
    }
}
