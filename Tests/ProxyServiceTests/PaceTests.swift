// SPDX-License-Identifier: Apache-2.0
//
// Slow clients: who is cut off, who is not, and that nobody else notices either.

import ConfigurationCore
import LinuxIO
import ProxyService
import Testing
import WireCore

@Suite(.serialized)
struct PaceTests {
    private static let head = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"

    /// Lets time pass.
    private func rest(_ span: TimeSpan) {
        _ = eventually(within: span) { false }
    }

    @Test func slowReaderThatMakesProgressIsServed() throws {
        let backend = try TestBackend { _ in [.text(Self.head), .fill(byteCount: 1 << 26)] }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(bodyIdle: .milliseconds(600)))
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        // Far too slow for the kernel to report room in a large send buffer.
        var total = 0
        let began = Clock.now()
        while Clock.now() - began < .seconds(4) {
            total += try client.discardSome(upTo: 65_536)
            rest(.milliseconds(100))
        }
        #expect(tandem.listener.clientTimeouts == 0)
        while total < Self.head.utf8.count + 1 << 26 {
            let count = try client.discardSome(upTo: 1 << 20)
            guard count > 0 else { break }
            total += count
        }
        #expect(total >= Self.head.utf8.count + 1 << 26)
    }

    @Test func readerBelowTheMinimumRateIsCutOff() throws {
        let backend = try TestBackend { _ in [.text(Self.head), .fill(byteCount: 1 << 26)] }
        let tandem = try TestPlane(
            [backend.endpoint],
            timeouts: TimeoutConfiguration(
                bodyIdle: .seconds(1), bodyGrace: .milliseconds(300)),
            limits: LimitConfiguration(bodyRateMin: 20_000_000))
        let client = try tandem.client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(
            eventually {
                _ = try? client.discardSome(upTo: 65_536)
                rest(.milliseconds(50))
                return tandem.hits(of: "body_rate") == 1
            })
        #expect(tandem.listener.clientTimeouts == 1)
        #expect(eventually { tandem.plane.openConnectionCount == 0 })
    }

    @Test func senderBelowTheMinimumRateIsToldSo() throws {
        let backend = try TestBackend { _ in [] }
        let tandem = try TestPlane(
            [backend.endpoint],
            timeouts: TimeoutConfiguration(
                bodyIdle: .seconds(10), bodyGrace: .milliseconds(300)),
            limits: LimitConfiguration(bodyRateMin: 1_000))
        let client = try tandem.client()
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        #expect(
            eventually {
                try? client.send("b")
                rest(.milliseconds(20))
                return tandem.hits(of: "body_rate") == 1
            })
        #expect(try client.response().status == 408)
    }

    @Test func clientIsNotBlamedForASlowBackend() throws {
        let backend = try ManualBackend()
        let tandem = try TestPlane(
            [backend.endpoint],
            timeouts: TimeoutConfiguration(
                bodyIdle: .seconds(1), bodyGrace: .seconds(1)),
            limits: LimitConfiguration(bodyRateMin: 100_000))
        let client = try tandem.client()
        let endpoint = tandem.endpoint
        let sending = try KernelThread.start(name: "sender") {
            guard let client = try? TestClient(endpoint) else { return }
            try? client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
            try? client.send([UInt8](repeating: 0x62, count: 30_000_000))
            _ = try? client.response()
        }
        let connection = try backend.accept()
        rest(.seconds(3))
        var count = 0
        #expect(
            try eventually {
                count += try connection.discard()
                return count > 30_000_000
            })
        try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        sending.join()
        #expect(tandem.listener.clientTimeouts == 0)
        #expect(tandem.listener.responses.success == 1)
        _ = client
    }

    /// 500 clients that never finish their heads beside one that is in a hurry.
    @Test func slowHeadsDoNotDelayOthers() throws {
        let backend = try TestBackend { _ in ReplyStep.ok("ok") }
        let tandem = try TestPlane(
            [backend.endpoint], timeouts: TimeoutConfiguration(requestHead: .milliseconds(1_500)),
            descriptorLimit: 4_096)
        var slow: [FileDescriptorBox] = []
        for _ in 0..<500 {
            slow.append(FileDescriptorBox(try StreamSocket.connect(to: tandem.endpoint)))
        }
        let normal = try tandem.client()
        var slowest = TimeSpan.zero
        var text = Array("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ".utf8)
        for _ in 0..<60 {
            for box in slow { _ = try? StreamSocket.send(box.descriptor, text) }
            text = [0x78]
            let began = Clock.now()
            #expect(try normal.exchange("/").text == "ok")
            slowest = max(slowest, Clock.now() - began)
        }
        #expect(slowest < .milliseconds(500))
        #expect(eventually { tandem.listener.clientTimeouts == 500 })
        #expect(try normal.exchange("/").text == "ok")
        slow = []
    }

    // MARK: Expect: 100-continue

    private static let expecting =
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

    @Test func clientIsToldToContinueWhenTheBackendSaysNothing() throws {
        let backend = try TestBackend { request in
            ReplyStep.ok(String(decoding: request.body, as: UTF8.self))
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(Self.expecting)
        #expect(try client.response(keepsInterim: true).status == 100)
        try client.send("hello")
        #expect(try client.response(keepsInterim: true).text == "hello")
        // The connection goes on, and the next request may expect again.
        try client.send(Self.expecting)
        #expect(try client.response(keepsInterim: true).status == 100)
        try client.send("again")
        #expect(try client.response(keepsInterim: true).text == "again")
    }

    @Test func bodyThatComesUnaskedIsForwarded() throws {
        let backend = try TestBackend { request in
            ReplyStep.ok(String(decoding: request.body, as: UTF8.self))
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(Self.expecting)
        #expect(eventually { tandem.backend(0).requestsInFlight == 1 })
        try client.send("hello")
        #expect(try client.response(keepsInterim: true).text == "hello")
    }

    @Test func finalAnswerInsteadOfContinueEndsTheConnection() throws {
        // What follows may be the body or not (RFC 9110 §10.1.1): it must never be a request.
        let backend = try TestBackend(answersHead: true) { _ in
            [.text("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")]
        }
        let tandem = try TestPlane([backend.endpoint])
        let client = try tandem.client()
        try client.send(Self.expecting)
        let response = try client.response(keepsInterim: true)
        #expect(response.status == 403)
        #expect(response.field("connection") == "close")
        try? client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finishSending()
        #expect(client.isClosedByPeer())
        #expect(client.received.isEmpty)
        #expect(backend.log.requests.map(\.target) == ["/"])
    }
}

/// Owns a descriptor in an array.
final class FileDescriptorBox {
    let descriptor: FileDescriptor

    init(_ descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }
}
